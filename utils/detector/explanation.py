"""Why a window got its score: by occlusion, silencing one stretch of time or one band of frequencies in turn."""
from typing import Any

import numpy as np

from utils.audio import decode
from utils.signals import SAMPLE_RATE
from utils.detector.scoring import RecordingScore, Window, raw_scores, reported, waveform
from utils.detector.verdict import Decision
from utils.detector.windows import tile

SEGMENTS = 12
FADE_SAMPLES = 160  # 10 ms at either end of a silenced stretch, so that the edit itself makes no click
BAND_EDGES_HZ = (0, 250, 500, 1000, 1500, 2000, 3000, 4000, 5000, 6000, 7000, 8000)
STRONGEST = 5
DOES_NOT_PROVE = ("this shows what the score of this one window rests on, found by removing parts of it; it does not "
                  "prove that those parts are fake or genuine; and without a part it is audio that the model never saw")


def explain(engine: Any, path: str, scored: RecordingScore, decision: Decision | None) -> dict:
    """What moved the score of the recording's most telling window.

    "times" and "bands" list every part with "moved": how far the reported score falls when the part is silenced, so
    that above zero it spoke for bona fide, below for spoof. Decodes the recording once more, up to that window.
    """
    window = telling_window(scored, decision)
    start, end = round(window.start * SAMPLE_RATE), round(window.end * SAMPLE_RATE)
    with decode.open_audio(path) as stream:
        samples = take(stream, start, end - start)
    parts = _time_parts(len(samples)) + _band_parts()
    waves = (occlude(samples, part) for part in parts)
    scores = [_score(engine, wave) for wave in waves]
    base = _score(engine, waveform(samples))
    told = [_told(part, start, base - score) for part, score in zip(parts, scores)]
    return {"start": window.start, "end": window.end, "score": base, "times": told[:-len(BAND_EDGES_HZ) + 1],
            "bands": told[-len(BAND_EDGES_HZ) + 1:],
            "strongest": sorted(told, key=lambda part: -abs(part["moved"]))[:STRONGEST],
            "method": "occlusion: each stretch of time or band of frequencies silenced in turn",
            "does_not_prove": DOES_NOT_PROVE}


def telling_window(scored: RecordingScore, decision: Decision | None) -> Window:
    """The speech window with the most spoof-like score where one falls below the line, else the most bona fide one."""
    windows = [window for window in scored.windows if window.speech] or scored.windows
    line = decision.threshold if decision else 0.0
    lowest = min(windows, key=lambda window: window.score)
    return lowest if lowest.score < line else max(windows, key=lambda window: window.score)


def take(blocks: Any, start: int, count: int) -> np.ndarray:
    """Samples start .. start + count of a recording that arrives in blocks; what lies before is let go."""
    kept, position = [], 0
    for block in blocks:
        kept.append(block[max(0, start - position):max(0, start + count - position)])
        position += len(block)
        if position >= start + count:
            break
    return np.concatenate(kept)


def occlude(samples: np.ndarray, part: tuple[str, int, int]) -> np.ndarray:
    """The window's waveform, float32, without one part: ("time", first, last sample) or ("band", low, high Hz)."""
    kind, low, high = part
    wave = waveform(samples)
    if kind == "time":
        gain = np.ones(len(wave), np.float32)
        gain[low:high] = 0
        fade = np.hanning(2 * FADE_SAMPLES + 1)[FADE_SAMPLES:-1].astype(np.float32)  # from 1 to 0
        before, after = gain[max(0, low - FADE_SAMPLES):low], gain[high:high + FADE_SAMPLES]
        before *= fade[len(fade) - len(before):]
        after *= fade[::-1][:len(after)]
        return wave * gain
    spectrum, frequencies = np.fft.rfft(wave), np.fft.rfftfreq(len(wave), 1 / SAMPLE_RATE)
    spectrum[(frequencies >= low) & ((frequencies < high) | (high == SAMPLE_RATE // 2))] = 0
    return np.fft.irfft(spectrum, len(wave)).astype(np.float32)


def _time_parts(length: int) -> list[tuple[str, int, int]]:
    edges = np.linspace(0, length, SEGMENTS + 1).round().astype(int).tolist()
    return [("time", low, high) for low, high in zip(edges, edges[1:]) if high > low]


def _band_parts() -> list[tuple[str, int, int]]:
    return [("band", low, high) for low, high in zip(BAND_EDGES_HZ, BAND_EDGES_HZ[1:])]


def _score(engine: Any, wave: np.ndarray) -> float:
    raw = raw_scores(engine, tile(wave, engine.metadata["n_samples"])[None])
    return float(reported(raw, engine.metadata.get("calibration"))[0])


def _told(part: tuple[str, int, int], start: int, moved: float) -> dict:
    kind, low, high = part
    if kind == "time":
        return {"start": (start + low) / SAMPLE_RATE, "end": (start + high) / SAMPLE_RATE, "moved": moved}
    return {"low_hz": low, "high_hz": high, "moved": moved}
