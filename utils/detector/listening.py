"""A recording that still runs: windows scored as they come, and the verdict at any time."""
import copy

import numpy as np

from utils.audio.info import AudioInfo
from utils.detector import record
from utils.detector.decision import Decision
from utils.detector.engines import Engine
from utils.detector.scoring import Recording, Scorer, Window
from utils.detector.voices import Voice, Voices
from utils.origin.told import statements
from utils.signals import SAMPLE_RATE


class Listener:
    """One running recording. `Detector.listen` makes it.

        listener = Detector.load().listen()
        for samples in microphone:
            for window in listener.feed(samples):
                print(window.start, window.end, window.score)
        print(listener.verdict()["verdict"])

    Memory: a few windows, and less than 2 MB an hour for the timeline.
    """

    def __init__(self, engine: Engine, decision: Decision | None, head: dict,
                 info: AudioInfo | None = None) -> None:
        """`head`: of the record. `info`: what the source knows of itself; default: bare samples."""
        self.decision = decision
        self.notes: list[str] = []      # what a person must know, in sentences
        self._engine = engine
        self._head = head
        self._bare = info is None
        self._info = info or AudioInfo(sample_rate=SAMPLE_RATE, channels=1, tracks=1, format="raw",
                                       subtype="pcm_s16le", lossless=True)
        self._recording = Recording(engine)
        self._scorer = Scorer(engine, 1)

    def feed(self, samples: np.ndarray) -> list[Window]:
        """Hear int16 samples (n,), 16 kHz mono, of any number; the windows that they complete.

        A window lasts 4 s, and one begins every 2 s. The high-pass filters whole pieces, so it
        comes up to one second after its end. Whether it counts as speech may change while louder
        ones follow.
        """
        if self._bare and len(samples):
            self._info.measure(SAMPLE_RATE, samples[:, None])
        before = len(self._recording.scores)
        self._scorer.add(self._recording, samples)
        return self._recording.windows(before)

    @property
    def seconds(self) -> float:
        """The length of what was heard, to the end of the last complete window."""
        return self._recording.activity.end / SAMPLE_RATE

    @property
    def score(self) -> float | None:
        """The mean over the complete windows with speech; None where there is none yet."""
        scores = np.array(self._recording.scores)
        scores = scores[self._recording.activity.speech()]
        return float(scores.mean()) if len(scores) else None

    def verdict(self, to_now: bool = True) -> dict:
        """The record, if the recording ended now; it may go on. The same as of such a file.

        It costs the scoring of one window. Unless `to_now`, it is of the complete windows alone,
        and costs nothing.
        """
        heard = self._recording
        if to_now:
            heard = copy.deepcopy(heard)
            self._scorer.end(heard)
        found = record.judged(self._head, heard.result(), self._info, self._engine.metadata,
                              self.decision)
        return (record.most_suspicious([found], Voices([Voice()], self.notes))
                | {"origin": statements(self._info)})

    def failed(self, error: str) -> dict:
        """The record, if what comes cannot be heard; `error` says why in one sentence."""
        return record.failed(self._head, error)
