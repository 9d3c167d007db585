"""A verdict that follows while somebody speaks: after each second, on all that was said so far."""
from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy

import numpy as np

from utils.audio.info import AudioInfo
from utils.detector import record
from utils.detector.detector import Detector
from utils.detector.engines import Engine
from utils.detector.scoring import (Recording, RecordingScore, Scorer, heard, model_wave,
                                    reported_scores)
from utils.detector.voices import Voice, Voices
from utils.inference.picture import Sketch
from utils.signals.resampling import FULL_SCALE, Resampler

NAME = "microphone"     # what a record calls the file
UPDATE_SAMPLES = 14000  # at least so many are new in an update: 0.9 s


class LiveRecording:
    """A recording that arrives while it is spoken.

    Its windows are those of a file. So is its last verdict: that of the same samples in a file.
    Where no window is complete since the last update, the seconds up to now are scored as one;
    that score holds until the next update. So a second costs one window.
    """

    def __init__(self, detector: Detector, engine: Engine, rate: int,
                 show: Callable[[dict], None],
                 is_behind: Callable[[], bool] = lambda: False) -> None:
        """`engine` scores; `rate` in Hz; `show` gets the record so far, about once a second.

        While the scoring `is_behind` what was said, it gets none.
        """
        self.detector = detector
        self.engine = engine
        self.show = show
        self.is_behind = is_behind
        self.info = AudioInfo(sample_rate=rate, channels=1, tracks=1, format="microphone",
                              subtype="pcm_s16le", lossless=True)
        self.sketch = Sketch()
        self.recording = Recording()
        self._scorer = Scorer(engine, 1)
        self._recent = np.zeros(0, np.float32)      # the last window's length
        self._known = 0                             # windows at the last update
        self._samples = 0                           # behind the front stage
        self._told = 0                              # of them at the last update

    def judge(self, blocks: Iterable[np.ndarray]) -> dict:
        """The record of int16 blocks (n,) at `rate`, at their end."""
        passing = self._passing(heard(self.engine, self.sketch.tap(self._resampled(blocks))))
        self._scorer.add_heard(self.recording, passing)
        return self._record(self.recording.result())

    def _resampled(self, blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        resampler = Resampler(self.info.sample_rate)
        for block in blocks:
            if len(block):
                self.info.measure(self.info.sample_rate, block[:, None])
                yield resampler.push(block.astype(np.float32) / np.float32(FULL_SCALE))
        yield resampler.finish()

    def _passing(self, blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Pass blocks on to the windows; when they come back for more, show what is known."""
        for block in blocks:
            self._samples += len(block)
            self._recent = np.concatenate([self._recent, block])[-self._scorer.length:]
            yield block
            if self._samples - self._told >= UPDATE_SAMPLES and not self.is_behind():
                self._told = self._samples
                self.show(self._record(self._so_far()))

    def _so_far(self) -> RecordingScore:
        known = len(self.recording.scores)
        if known > self._known:
            self._known = known
            return self.recording.result()
        with_now = deepcopy(self.recording)
        start = self._samples - len(self._recent)
        with_now.activity.add(start, self._recent)
        with_now.spans.append((start, self._samples))
        wave = model_wave(self.engine, self._recent)
        with_now.scores.append(float(reported_scores(self.engine, wave[None])[0]))
        return with_now.result()

    def _record(self, scored: RecordingScore) -> dict:
        judged = record.judged(self.detector.head(NAME), scored, self.info, self.engine.metadata,
                               self.detector.decision)
        return record.most_suspicious([judged], Voices([Voice()]))
