"""Where a recording holds speech: a simple rule on frame statistics, and what else those statistics tell.

A frame (32 ms, every 16 ms) is speech-like when the spectral flatness of its 100 to 3800 Hz lies between that of a tone
and that of white noise. A window is marked speech when
  1. its speech-like frames reach FLOOR_DBFS, and come within RANGE_DB of the loudest window, for SPEECH_SECONDS,
  2. its band levels move: their standard deviation over time, averaged over seven bands, is at least MOVEMENT_DB.
Silence and faint noise fail the first, hum, tones and steady noise the second or the flatness. Music and animals can
pass: the rule keeps out what is plainly no speech and no more. Measured when it was made: 2,500 windows of real and
synthesised speech have a flatness of -34 to -4 dB and move by 6.5 dB or more in 99.5 %; steady noise moves by 1.8 dB.
"""
from dataclasses import dataclass, field

import numpy as np

from utils.signals import SAMPLE_RATE

FRAME, STEP = 512, 256                      # samples
FLOOR_DBFS, RANGE_DB = -65.0, 40.0
SPEECH_SECONDS = 0.3
FLATNESS_DB = (-45.0, -5.0)
MOVEMENT_DB, MOVEMENT_DEPTH_DB = 3.5, 45.0  # levels further below the loudest band than the depth count as silence
BAND_EDGES_HZ = (100, 300, 500, 800, 1200, 1800, 2600, 3600)
BANDWIDTH_DEPTH_DB = 60.0                   # how far below its peak the long-term spectrum still counts as sound
LEVEL_BINS_DBFS = np.arange(-100.0, 1.0)

_FREQUENCIES = np.fft.rfftfreq(FRAME, 1 / SAMPLE_RATE)
_BANDS = np.stack([(_FREQUENCIES >= low) & (_FREQUENCIES < high)
                   for low, high in zip(BAND_EDGES_HZ, BAND_EDGES_HZ[1:])]).astype(np.float32)
_FLATNESS_RANGE = slice(*np.searchsorted(_FREQUENCIES, (100, 3800)))
_TAPER = np.hanning(FRAME).astype(np.float32)
_TINY = 1e-12                               # -120 dBFS: below any 16-bit sample


def _db(power: np.ndarray) -> np.ndarray:
    return 10 * np.log10(power + _TINY)


@dataclass
class Frames:
    """Statistics of a stretch's frames: level in dBFS and speech-likeness (n,), power spectra (n, FRAME // 2 + 1)."""
    level: np.ndarray
    speech_like: np.ndarray
    power: np.ndarray

    @classmethod
    def of(cls, samples: np.ndarray) -> "Frames":
        """The frames that lie whole inside int16 `samples` (n,); a stretch shorter than one is filled up with zeros."""
        wave = np.pad(samples, (0, max(0, FRAME - len(samples)))).astype(np.float32) / 32768
        frames = np.lib.stride_tricks.sliding_window_view(wave, FRAME)[::STEP]
        power = np.abs(np.fft.rfft(frames * _TAPER, axis=1)).astype(np.float32) ** 2 / FRAME
        voice = power[:, _FLATNESS_RANGE]
        flatness = _db(voice).mean(axis=1) - _db(voice.mean(axis=1))
        speech_like = (flatness > FLATNESS_DB[0]) & (flatness < FLATNESS_DB[1])
        return cls(_db(np.square(frames).mean(axis=1)), speech_like, power)

    def movement(self) -> float:
        """How much the band levels vary over time: mean standard deviation in dB."""
        levels = _db(self.power @ _BANDS.T)
        return float(np.maximum(levels, levels.max() - MOVEMENT_DEPTH_DB).std(axis=0).mean())

    def speech_level(self) -> float:
        """The level in dBFS that speech-like frames reach for SPEECH_SECONDS together; -inf where they never do."""
        needed, levels = round(SPEECH_SECONDS * SAMPLE_RATE / STEP), self.level[self.speech_like]
        return float(np.partition(levels, -needed)[-needed]) if len(levels) >= needed else -np.inf


@dataclass
class Activity:
    """Collects the windows of one recording, in order; a few numbers per window are all it keeps."""
    levels: list[float] = field(default_factory=list)   # per window, -inf where it is not speech whatever its level
    histogram: np.ndarray = field(default_factory=lambda: np.zeros(len(LEVEL_BINS_DBFS), np.int64))
    spectrum: np.ndarray = field(default_factory=lambda: np.zeros(FRAME // 2 + 1))
    peak_level: float = -np.inf                         # loudest frame of any kind, dBFS
    end: int = 0

    def add(self, start: int, samples: np.ndarray) -> None:
        """Take in the window at sample `start`; what it shares with the window before is not counted twice."""
        frames = Frames.of(samples)
        self.peak_level = max(self.peak_level, float(frames.level.max()))
        moves = frames.movement() >= MOVEMENT_DB
        self.levels.append(frames.speech_level() if moves else -np.inf)
        if moves:
            fresh = frames.speech_like & (start + STEP * np.arange(len(frames.level)) >= self.end)
            bins = np.clip(frames.level[fresh] - LEVEL_BINS_DBFS[0], 0, len(LEVEL_BINS_DBFS) - 1).astype(int)
            self.histogram += np.bincount(bins, minlength=len(self.histogram))
            self.spectrum += frames.power[fresh].sum(axis=0)
        self.end = start + len(samples)

    @property
    def level(self) -> float:
        """Level of the loudest speech in dBFS; -inf where there is none."""
        return max(self.levels, default=-np.inf)

    @property
    def threshold(self) -> float:
        """The level in dBFS from which on a speech-like frame counts as speech."""
        return max(FLOOR_DBFS, self.level - RANGE_DB)

    def speech(self) -> np.ndarray:
        """Which windows are speech: (windows,) bool."""
        return np.array(self.levels, dtype=float) >= self.threshold

    def speech_seconds(self) -> float:
        """How much of the recording is speech: speech-like frames loud enough, pauses between words left out."""
        return float(self.histogram[LEVEL_BINS_DBFS >= np.floor(self.threshold)].sum() * STEP / SAMPLE_RATE)

    def bandwidth_hz(self) -> float | None:
        """The highest frequency at which the speech's long-term spectrum is within BANDWIDTH_DEPTH_DB of its peak."""
        if not self.spectrum.any():
            return None
        lowest = self.spectrum.max() * 10 ** (-BANDWIDTH_DEPTH_DB / 10)
        return float(_FREQUENCIES[np.flatnonzero(self.spectrum >= lowest)[-1]])
