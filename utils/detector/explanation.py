"""Why a window got its score: by occlusion, silencing one part of time or frequency in turn."""
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from utils.audio.decode import AudioStream
from utils.detector.decision import Decision
from utils.detector.engines import Engine
from utils.detector.scoring import RecordingScore, Window, heard, model_wave, reported_scores
from utils.signals import SAMPLE_RATE
from utils.signals.windows import tile

SEGMENTS = 12
FADE_SAMPLES = 160  # 10 ms at both ends of a silenced part, so that the edit makes no click
BAND_EDGES_HZ = (0, 250, 500, 1000, 1500, 2000, 3000, 4000, 5000, 6000, 7000, 8000)
STRONGEST = 5
METHOD = "occlusion: each stretch of time or band of frequencies silenced in turn"
DOES_NOT_PROVE = ("this shows on which parts the score of this one window rests; it does not prove "
                  "that those parts are fake or genuine; no training audio had a silenced part")


@dataclass(frozen=True)
class Time:
    """A stretch of a window, in samples."""
    low: int
    high: int

    def silenced(self, wave: np.ndarray) -> np.ndarray:
        """The waveform without this stretch, float32."""
        gain = np.ones(len(wave), np.float32)
        gain[self.low:self.high] = 0
        fade = np.hanning(2 * FADE_SAMPLES + 1)[FADE_SAMPLES:-1].astype(np.float32)  # from 1 to 0
        before = gain[max(0, self.low - FADE_SAMPLES):self.low]
        after = gain[self.high:self.high + FADE_SAMPLES]
        before *= fade[len(fade) - len(before):]
        after *= fade[::-1][:len(after)]
        return wave * gain

    def place(self, start: int) -> dict:
        """Where it lies, in seconds of a recording; the window starts at sample `start`."""
        return {"start": (start + self.low) / SAMPLE_RATE, "end": (start + self.high) / SAMPLE_RATE}


@dataclass(frozen=True)
class Band:
    """A band of frequencies, in Hz."""
    low: int
    high: int

    def silenced(self, wave: np.ndarray) -> np.ndarray:
        """The waveform without this band, float32."""
        spectrum = np.fft.rfft(wave)
        frequencies = np.fft.rfftfreq(len(wave), 1 / SAMPLE_RATE)
        below_end = (frequencies < self.high) | (self.high == SAMPLE_RATE // 2)
        spectrum[(frequencies >= self.low) & below_end] = 0
        return np.fft.irfft(spectrum, len(wave)).astype(np.float32)

    def place(self, _start: int) -> dict:
        """Where it lies, in Hz."""
        return {"low_hz": self.low, "high_hz": self.high}


def explain(engine: Engine, opened: Callable[[], AudioStream], scored: RecordingScore,
            decision: Decision | None) -> dict:
    """What moved the score of the recording's most telling window.

    "times" and "bands" list every part with "moved": how far the reported score falls when the
    part is silenced. Above zero, the part spoke for bona fide; below, for spoof. `opened` decodes
    the recording once more, up to that window.
    """
    window = telling_window(scored, decision)
    start, end = round(window.start * SAMPLE_RATE), round(window.end * SAMPLE_RATE)
    with opened() as stream:
        wave = model_wave(engine, take(heard(engine, stream), start, end - start))[:end - start]
    times = _times(len(wave))
    bands = [Band(low, high) for low, high in zip(BAND_EDGES_HZ, BAND_EDGES_HZ[1:])]
    silenced = [*times, *bands]
    scores = [_score(engine, part.silenced(wave)) for part in silenced]
    score = _score(engine, wave)
    parts = [part.place(start) | {"moved": score - without}
             for part, without in zip(silenced, scores)]
    return {"start": window.start, "end": window.end, "score": score,
            "times": parts[:len(times)], "bands": parts[len(times):],
            "strongest": sorted(parts, key=lambda part: -abs(part["moved"]))[:STRONGEST],
            "method": METHOD, "does_not_prove": DOES_NOT_PROVE}


def telling_window(scored: RecordingScore, decision: Decision | None) -> Window:
    """The most spoof-like speech window if it lies below the threshold, else the most bona fide."""
    windows = [window for window in scored.windows if window.speech] or scored.windows
    threshold = decision.threshold if decision else 0.0
    lowest = min(windows, key=lambda window: window.score)
    if lowest.score < threshold:
        return lowest
    return max(windows, key=lambda window: window.score)


def take(blocks: Iterable[np.ndarray], start: int, count: int) -> np.ndarray:
    """Samples start .. start + count of a recording that arrives in blocks."""
    kept = []
    position = 0
    for block in blocks:
        kept.append(block[max(0, start - position):max(0, start + count - position)])
        position += len(block)
        if position >= start + count:
            break
    return np.concatenate(kept)


def _times(length: int) -> list[Time]:
    edges = np.linspace(0, length, SEGMENTS + 1).round().astype(int).tolist()
    return [Time(low, high) for low, high in zip(edges, edges[1:]) if high > low]


def _score(engine: Engine, wave: np.ndarray) -> float:
    return float(reported_scores(engine, tile(wave, engine.metadata["n_samples"])[None])[0])
