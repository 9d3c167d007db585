"""Where a recording holds speech, by simple statistics of its frames; its level and bandwidth.

A frame (32 ms, every 16 ms) is speech-like when the spectral flatness of its 100 to 3800 Hz lies
between that of a tone and that of white noise. A window is marked speech when
  1. its speech-like frames reach FLOOR_DBFS, and come within RANGE_DB of the loudest window, for
     SPEECH_SECONDS,
  2. its band levels move: their standard deviation over time, averaged over seven bands, is at
     least MOVEMENT_DB.
Silence and faint noise fail the first test. Hum, tones and steady noise fail the second or the
flatness. Music and animals can pass: the rule excludes only what is plainly no speech. Measured on
2,500 windows of real and synthesised speech: the flatness is -34 to -4 dB, and 99.5 % move by
6.5 dB or more. Steady noise moves by 1.8 dB.
"""
from dataclasses import dataclass, field

import numpy as np

from utils.signals import SAMPLE_RATE

FRAME = 512                     # samples
STEP = 256                      # samples
FLOOR_DBFS = -80.0              # 21 dB above what rounding to 16 bits adds
RANGE_DB = 40.0
SPEECH_SECONDS = 0.3
FLATNESS_DB = (-45.0, -5.0)
MOVEMENT_DB = 3.5
MOVEMENT_DEPTH_DB = 45.0        # levels further below the loudest band count as silence
BAND_EDGES_HZ = (100, 300, 500, 800, 1200, 1800, 2600, 3600)
BANDWIDTH_DEPTH_DB = 60.0       # so far below its peak, the long-term spectrum counts as sound
LEVEL_BINS_DBFS = np.arange(-100.0, 1.0)
BACKGROUND = 0.05               # share of the frames that are no louder

_FREQUENCIES = np.fft.rfftfreq(FRAME, 1 / SAMPLE_RATE)
_BANDS = np.stack([(_FREQUENCIES >= low) & (_FREQUENCIES < high)
                   for low, high in zip(BAND_EDGES_HZ, BAND_EDGES_HZ[1:])]).astype(np.float32)
_FLATNESS_RANGE = slice(*np.searchsorted(_FREQUENCIES, (100, 3800)))
_TAPER = np.hanning(FRAME).astype(np.float32)
_TINY = 1e-12                   # -120 dBFS: below any 16-bit sample


def _db(power: np.ndarray) -> np.ndarray:
    return 10 * np.log10(power + _TINY)


@dataclass
class Frames:
    """Statistics of the n frames of a window."""
    level: np.ndarray           # (n,), dBFS
    speech_like: np.ndarray     # (n,), bool
    power: np.ndarray           # (n, FRAME // 2 + 1)

    @classmethod
    def of(cls, samples: np.ndarray) -> "Frames":
        """The whole frames in `samples` (n,), in the unit of int16.

        Zeros follow what is shorter than a frame.
        """
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
        """The level in dBFS that speech-like frames reach for SPEECH_SECONDS together, or -inf."""
        needed = round(SPEECH_SECONDS * SAMPLE_RATE / STEP)
        levels = self.level[self.speech_like]
        return float(np.partition(levels, -needed)[-needed]) if len(levels) >= needed else -np.inf


def _histogram(levels: np.ndarray) -> np.ndarray:
    """Counts (bins,) of levels (n,) in dBFS; the first bin also holds all below it."""
    bins = (levels - LEVEL_BINS_DBFS[0]).clip(0, len(LEVEL_BINS_DBFS) - 1)
    return np.bincount(bins.astype(int), minlength=len(LEVEL_BINS_DBFS))


@dataclass
class Activity:
    """The windows of one recording, added in order; it keeps a few numbers for each."""
    levels: list[float] = field(default_factory=list)   # of each window; -inf where it is no speech
    histogram: np.ndarray = field(default_factory=lambda: np.zeros(len(LEVEL_BINS_DBFS), np.int64))
    every: np.ndarray = field(default_factory=lambda: np.zeros(len(LEVEL_BINS_DBFS), np.int64))
    spectrum: np.ndarray = field(default_factory=lambda: np.zeros(FRAME // 2 + 1))
    peak_level: float = -np.inf                         # of the loudest frame of any kind, dBFS
    end: int = 0                                        # samples

    def add(self, start: int, samples: np.ndarray) -> None:
        """Add the window at sample `start`; its overlap with the window before counts once."""
        frames = Frames.of(samples)
        self.peak_level = max(self.peak_level, float(frames.level.max()))
        moves = frames.movement() >= MOVEMENT_DB
        self.levels.append(frames.speech_level() if moves else -np.inf)
        if moves:
            new = start + STEP * np.arange(len(frames.level)) >= self.end
            fresh = frames.speech_like & new
            self.histogram += _histogram(frames.level[fresh])
            self.every += _histogram(frames.level[new])
            self.spectrum += frames.power[fresh].sum(axis=0)
        self.end = start + len(samples)

    @property
    def level(self) -> float:
        """Level of the loudest speech in dBFS; -inf where there is none."""
        return max(self.levels, default=-np.inf)

    @property
    def threshold(self) -> float:
        """The lowest level in dBFS at which a speech-like frame counts as speech."""
        return max(FLOOR_DBFS, self.level - RANGE_DB)

    def speech(self, first: int = 0) -> np.ndarray:
        """Which windows, from number `first` on, are speech: (windows,) bool."""
        return np.array(self.levels[first:], dtype=float) >= self.threshold

    def speech_seconds(self) -> float:
        """The duration of speech: of its loud enough, speech-like frames, without pauses."""
        loud = LEVEL_BINS_DBFS >= np.floor(self.threshold)
        return float(self.histogram[loud].sum() * STEP / SAMPLE_RATE)

    def snr_db(self) -> float | None:
        """How far the loudest speech lies above the background, or None without speech.

        The background is what is heard in the softest frames; digital silence does not count.
        """
        counts = np.cumsum(self.every[1:])
        if not counts[-1] or not np.isfinite(self.level):
            return None
        softest = int(np.searchsorted(counts, BACKGROUND * counts[-1]))
        return float(self.level - LEVEL_BINS_DBFS[1 + softest])

    def bandwidth_hz(self) -> float | None:
        """The highest frequency at which speech is within BANDWIDTH_DEPTH_DB of its peak, or None.

        Read from the speech's long-term spectrum; None where there is no speech.
        """
        if not self.spectrum.any():
            return None
        lowest = self.spectrum.max() * 10 ** (-BANDWIDTH_DEPTH_DB / 10)
        return float(_FREQUENCIES[np.flatnonzero(self.spectrum >= lowest)[-1]])
