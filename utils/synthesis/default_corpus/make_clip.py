"""One clip from its plan: an engine makes speech, two stages treat it, a FLAC file stores it."""
import importlib
from functools import lru_cache
from pathlib import Path

import numpy as np

from utils.common.files import atomic_write
from utils.signals import SAMPLE_RATE
from utils.signals.levels import active_span
from utils.signals.wave_files import pcm_file
from utils.synthesis.default_corpus import hifigan_attacks as hifigan
from utils.synthesis.default_corpus import vocoder_attacks as vocoders
from utils.synthesis.default_corpus.attacks import BY_TAG
from utils.synthesis.default_corpus.equalise import as_recorded, final_stage
from utils.synthesis.default_corpus.plan import Clip, stream
from utils.synthesis.default_corpus.recordings import read_recording
from utils.synthesis.tts import engines

# seconds beyond the clip's length that a vocoder gets, because its edges are cropped away
SPARE = 0.35
FOLDERS = {"train": "flac_T", "dev": "flac_D", "eval": "flac_E_eval"}
COPIES = {
    "hifigan": hifigan.hifigan_copy, "world": vocoders.world_copy,
    "griffin_lim": vocoders.griffin_lim, "world_vc": vocoders.world_conversion,
    "hifigan_vc": hifigan.hifigan_conversion, "phase": vocoders.few_iterations,
    "lpc": vocoders.lpc_vocoder, "pitch_shift": vocoders.pitch_shift
}
VOICES = {
    "espeak": engines.espeak, "piper": engines.piper, "hibari": engines.hibari,
    "kokoro": engines.kokoro
}


@lru_cache(maxsize=64)
def _recording(path: Path) -> np.ndarray:
    return read_recording(path)


def clip_path(corpus: Path, clip: Clip) -> Path:
    """The path of a clip's file in the corpus."""
    return corpus / FOLDERS[clip.subset] / f"{clip.utterance}.flac"


def _speak(clip: Clip, packages: Path, rng: np.random.Generator) -> np.ndarray:
    name = BY_TAG[clip.attack].name
    if name == "flite":
        return engines.flite(clip.text, clip.language, rng, packages)
    return VOICES[name](clip.text, clip.language, rng)


def _stretch_of(samples: np.ndarray, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """A random stretch of the speech, slightly longer than the clip."""
    first, last = active_span(samples)
    first = max(0, first - int(SPARE / 2 * SAMPLE_RATE))
    last = min(len(samples), last + int(SPARE / 2 * SAMPLE_RATE))
    length = min(last - first, int((seconds + SPARE) * SAMPLE_RATE))
    start = first + int(rng.integers(last - first - length + 1))
    return samples[start:start + length]


def render(clip: Clip, speech: Path, packages: Path, seed: int) -> np.ndarray:
    """The clip's samples, int16 at 16 kHz; the same plan and seed give the same samples.

    Recordings lie in the folder `speech`, engines from Debian packages in the folder `packages`.
    Raises `ValueError` if too little speech is left.
    """
    rng = stream(seed, "render", clip.utterance)
    reference = None
    if clip.text:
        samples, reference = _speak(clip, packages, rng), _recording(speech / clip.reference)
    else:
        samples = _stretch_of(_recording(speech / clip.source), clip.seconds, rng)
        if clip.attack != "-":
            samples = COPIES[BY_TAG[clip.attack].name](samples, rng)
    if len(samples) < SAMPLE_RATE // 4 or not np.isfinite(samples).all():
        raise ValueError("the engine made too little speech")
    if clip.attack != "-":
        samples = as_recorded(samples, reference, clip.coding, rng)
    return final_stage(samples, clip.seconds, _recording(speech / clip.common), rng)


def try_engine(tag: str, packages: Path) -> str:
    """"" if the attack's engine works, else the reason why not.

    An engine of this project works if the modules that it needs can be imported.
    """
    attack = BY_TAG[tag]
    clip = Clip("", "", "", "", tag, 1.0, "", "", "One two three four five.", "en", "", "")
    try:
        if attack.kind == "tts":
            samples = _speak(clip, packages, np.random.default_rng(1))
            return "" if len(samples) > SAMPLE_RATE // 4 else "the engine is silent"
        for need in (need for need in attack.needs if ":" not in need):
            importlib.import_module(need)
    except (ImportError, OSError, RuntimeError, ValueError) as error:
        return " ".join(str(error).split()) or type(error).__name__
    return ""


def make_clip(clip: Clip, corpus: Path, speech: Path, packages: Path, seed: int) -> str:
    """Write a clip's file unless it exists. Returns "" or the reason of a failure."""
    path = clip_path(corpus, clip)
    if path.is_file():
        return ""
    try:
        samples = render(clip, speech, packages, seed)
    except ValueError as error:
        return str(error)
    with atomic_write(path, "wb") as file:
        file.write(pcm_file(samples, "FLAC"))
    return ""
