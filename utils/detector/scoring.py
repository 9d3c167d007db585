"""The one scoring path: dev, eval and inference cut, mark, score and average windows here, and nowhere else."""
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from utils.signals import N_SAMPLES, SAMPLE_RATE
from utils.common.errors import InputError
from utils.detector.speech_activity import Activity
from utils.detector.windows import cut, tile

BONAFIDE = 1                  # index of the logit; 0 is spoof
READ_SAMPLES = 10 * SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class Window:
    """One scored window: where it lies in seconds, its reported score, and whether it holds speech."""
    start: float
    end: float
    score: float
    speech: bool


@dataclass(frozen=True)
class RecordingScore:
    """The outcome for one recording. `score` is the mean over speech windows, over all where none is, else None."""
    score: float | None
    windows: list[Window]
    seconds: float
    speech_seconds: float
    level_dbfs: float           # of the loudest speech; -inf where there is none
    peak_level_dbfs: float      # of the loudest frame, speech or not; -inf for an empty recording
    bandwidth_hz: float | None  # of the speech


@dataclass
class Recording:
    """One recording while its windows arrive; `result` may be asked for at any time."""
    activity: Activity = field(default_factory=Activity)
    spans: list[tuple[int, int]] = field(default_factory=list)  # samples
    scores: list[float] = field(default_factory=list)           # may lag behind `spans` by a batch

    def result(self) -> RecordingScore:
        """What the windows scored so far give."""
        scores, speech = np.array(self.scores), self.activity.speech()[:len(self.scores)]
        windows = [Window(start / SAMPLE_RATE, end / SAMPLE_RATE, score, bool(mark))
                   for (start, end), score, mark in zip(self.spans, self.scores, speech)]
        score = float(scores[speech].mean() if speech.any() else scores.mean()) if len(scores) else None
        return RecordingScore(score, windows, self.activity.end / SAMPLE_RATE, self.activity.speech_seconds(),
                              self.activity.level, self.activity.peak_level, self.activity.bandwidth_hz())


def waveform(samples: np.ndarray) -> np.ndarray:
    """int16 samples as the float32 that models take."""
    return samples.astype(np.float32) / 32768


def raw_scores(engine: Any, waves: np.ndarray) -> np.ndarray:
    """CM scores of float32 waves (B, n_samples): bona fide minus spoof logit, float64 (B,), higher = bona fide."""
    logits = engine.logits(waves)
    return logits[:, BONAFIDE] - logits[:, 1 - BONAFIDE]


def reported(raw: np.ndarray, calibration: dict | None) -> np.ndarray:
    """The scores as reported: log-likelihood ratios (natural log) where the model is calibrated, else unchanged."""
    return raw if calibration is None else calibration["scale"] * raw + calibration["offset"]


class Scorer:
    """Scores windows in batches, whichever recordings they come from; holds one batch."""

    def __init__(self, engine: Any, batch_size: int) -> None:
        self.engine, self.batch_size = engine, batch_size
        self.length = int(engine.metadata["n_samples"])
        self.pending: list[tuple[Recording, np.ndarray]] = []

    def add(self, recording: Recording, blocks: Iterable[np.ndarray]) -> None:
        """Cut the int16 blocks into windows and score them, the last ones perhaps only at the next `flush`."""
        for start, samples in cut(blocks, self.length):
            recording.activity.add(start, samples)
            recording.spans.append((start, start + len(samples)))
            self.pending.append((recording, tile(samples, self.length)))
            if len(self.pending) == self.batch_size:
                self.flush()

    def flush(self) -> None:
        """Score what is pending."""
        if not self.pending:
            return
        raw = raw_scores(self.engine, waveform(np.stack([samples for _, samples in self.pending])))
        for (recording, _), score in zip(self.pending, reported(raw, self.engine.metadata.get("calibration"))):
            recording.scores.append(float(score))
        self.pending.clear()


def score_blocks(engine: Any, blocks: Iterable[np.ndarray], batch_size: int = 1,
                 recording: Recording | None = None) -> RecordingScore:
    """Score one recording that arrives in int16 blocks (n,) at 16 kHz, in constant memory.

    Give a `Recording` of your own to have what was scored when the blocks end in an interruption or an error.
    """
    recording, scorer = Recording() if recording is None else recording, Scorer(engine, batch_size)
    scorer.add(recording, blocks)
    scorer.flush()
    return recording.result()


def score_store(engine: Any, store: Any, batch_size: int = 16, progress: bool = True) -> np.ndarray:
    """Reported scores of a store's utterances, in its order: float64 (N,), equal to `score_blocks` within 1e-5."""
    from tqdm import tqdm
    scorer, scores, waiting = Scorer(engine, batch_size), np.full(len(store), np.nan), []
    for i, row in enumerate(tqdm(store.rows, "scoring", unit="utterance", disable=not progress)):
        waiting.append((i, Recording()))
        scorer.add(waiting[-1][1], (store.read(i, start, min(READ_SAMPLES, row.n_samples - start))
                                    for start in range(0, row.n_samples, READ_SAMPLES)))
        while waiting and len(waiting[0][1].scores) == len(waiting[0][1].spans):
            _settle(scores, *waiting.pop(0), store)
    scorer.flush()
    for i, recording in waiting:
        _settle(scores, i, recording, store)
    return scores


def _settle(scores: np.ndarray, i: int, recording: Recording, store: Any) -> None:
    outcome = recording.result().score
    if outcome is None:
        raise InputError(f"utterance {store.rows[i].utterance} of the store holds no samples: "
                         "run python utils/preprocess_data.py --force")
    scores[i] = outcome


def audio_profile(store: Any, utterances: int = 500) -> dict:
    """What a store's audio is like, for a checkpoint's "audio": percentiles 5, 50, 95 of evenly chosen utterances."""
    chosen = np.unique(np.linspace(0, len(store) - 1, min(utterances, len(store))).astype(int))
    found = []
    for i in chosen:
        activity = Activity()
        for start, samples in cut([store.read(int(i))], N_SAMPLES):
            activity.add(start, samples)
        if activity.speech().any():
            found.append((activity.bandwidth_hz(), activity.level, store.rows[int(i)].n_samples / SAMPLE_RATE))
    if not found:
        raise InputError("no utterance of the store holds speech: look at the recordings that it was made from")
    percentiles = np.percentile(np.array(found, dtype=float), (5, 50, 95), axis=0).round(2)
    return {"utterances": len(found), **{name: percentiles[:, k].tolist() for k, name in
                                         enumerate(("bandwidth_hz", "speech_level_dbfs", "seconds"))}}


def published_score(engine: Any, blocks: Iterable[np.ndarray]) -> float | None:
    """The score of the published evaluation: bona fide logit of the first 64,600 samples, tiled when shorter.

    Takes every block, so that a recording that breaks off late is noticed; None for an empty one.
    """
    kept, held = [], 0
    for block in blocks:
        if held < N_SAMPLES and len(block):
            kept.append(block[:N_SAMPLES - held])
            held += len(kept[-1])
    if not held:
        return None
    return float(engine.logits(waveform(tile(np.concatenate(kept), N_SAMPLES))[None])[0, BONAFIDE])
