"""The one scoring path: dev, eval and inference cut, mark, score and average windows here."""
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from tqdm import tqdm

from utils.common.errors import InputError
from utils.detector.decision import Calibration
from utils.detector.engines import Engine
from utils.detector.speech_activity import Activity
from utils.signals import N_SAMPLES, SAMPLE_RATE
from utils.signals.front import HighPass, at_speech_level, high_passed
from utils.signals.windows import Cutter, cut, tile

BONAFIDE = 1                  # index of the logit; 0 is spoof
READ_SAMPLES = 10 * SAMPLE_RATE
LONGEST_WHOLE = 120 * SAMPLE_RATE   # attention over more takes gigabytes
SHORTEST = SAMPLE_RATE // 10        # a network makes frames of so many samples
PROFILE = ("bandwidth_hz", "speech_level_dbfs", "seconds")


@dataclass(frozen=True, slots=True)
class Window:
    """One scored window: its place in seconds, its reported score, and whether it holds speech."""
    start: float
    end: float
    score: float
    speech: bool


@dataclass(frozen=True)
class RecordingScore:
    """The outcome for one recording.

    `score` is the mean over the speech windows, over all windows where none holds speech, and
    None for an empty recording.
    """
    score: float | None
    windows: list[Window]
    seconds: float
    speech_seconds: float
    level_dbfs: float           # of the loudest speech; -inf where there is none
    peak_level_dbfs: float      # of the loudest frame, speech or not; -inf for an empty recording
    bandwidth_hz: float | None  # of the speech
    snr_db: float | None = None     # of the speech above its background


class Recording:
    """One recording while it arrives; `result` may be called at any time."""

    def __init__(self, engine: Engine) -> None:
        self.activity = Activity()
        self.spans: list[tuple[int, int]] = []      # of windows, in samples
        self.scores: list[float] = []               # may lag behind `spans` by a batch
        self._stage = HighPass() if engine.metadata.get("front") else None
        self._cutter = Cutter(int(engine.metadata["n_samples"]))

    def push(self, block: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        """(start, samples) of the windows that are complete after a block (n,) in int16's unit."""
        return self._cutter.push(self._stage.push(block) if self._stage else block)

    def finish(self) -> Iterator[tuple[int, np.ndarray]]:
        """(start, samples) of the windows that the end completes."""
        if self._stage:
            yield from self._cutter.push(self._stage.finish())
        yield from self._cutter.finish()

    def windows(self, first: int = 0) -> list[Window]:
        """The scored windows, from number `first` on."""
        speech = self.activity.speech(first)
        return [Window(start / SAMPLE_RATE, end / SAMPLE_RATE, score, bool(mark))
                for (start, end), score, mark in zip(self.spans[first:], self.scores[first:],
                                                     speech)]

    def result(self) -> RecordingScore:
        """The score of the windows that are scored so far."""
        scores = np.array(self.scores)
        speech = self.activity.speech()[:len(self.scores)]
        counted = scores[speech] if speech.any() else scores
        score = float(counted.mean()) if len(scores) else None
        return RecordingScore(score, self.windows(), self.activity.end / SAMPLE_RATE,
                              self.activity.speech_seconds(), self.activity.level,
                              self.activity.peak_level, self.activity.bandwidth_hz(),
                              self.activity.snr_db())


def waveform(samples: np.ndarray) -> np.ndarray:
    """Samples in the unit of int16 as the float32 in [-1, 1] that models take."""
    return samples.astype(np.float32) / 32768


def heard(engine: Engine, blocks: Iterable[np.ndarray]) -> Iterable[np.ndarray]:
    """The blocks of a recording, behind the high-pass where the model has the front stage."""
    return high_passed(blocks) if engine.metadata.get("front") else blocks


def model_wave(engine: Engine, samples: np.ndarray) -> np.ndarray:
    """A window of `heard` blocks as the wave float32 (n_samples,) that the model takes."""
    wave = waveform(samples)
    if engine.metadata.get("front"):
        wave = at_speech_level(wave)
    return tile(wave, int(engine.metadata["n_samples"]))


def raw_scores(engine: Engine, waves: np.ndarray) -> np.ndarray:
    """Raw CM scores, float64 (B,), of float32 waves (B, n_samples): bona fide minus spoof logit."""
    logits = engine.logits(waves)
    return logits[:, BONAFIDE] - logits[:, 1 - BONAFIDE]


def reported_scores(engine: Engine, waves: np.ndarray) -> np.ndarray:
    """CM scores as reported, float64 (B,): log-likelihood ratios where the model is calibrated."""
    raw = raw_scores(engine, waves)
    calibration = Calibration.from_dict(engine.metadata.get("calibration"))
    return calibration.apply(raw) if calibration else raw


class Scorer:
    """Scores windows in batches, whichever recordings they come from; holds one batch."""

    def __init__(self, engine: Engine, batch_size: int) -> None:
        self.engine = engine
        self.batch_size = batch_size
        self.pending: list[tuple[Recording, np.ndarray]] = []

    def add(self, recording: Recording, block: np.ndarray) -> None:
        """Score the windows that a block (n,) completes, the last perhaps at `flush`."""
        self._score(recording, recording.push(block))

    def end(self, recording: Recording) -> None:
        """The recording is over: score its last window, perhaps at `flush`."""
        self._score(recording, recording.finish())

    def _score(self, recording: Recording, windows: Iterable[tuple[int, np.ndarray]]) -> None:
        for start, samples in windows:
            recording.activity.add(start, samples)
            recording.spans.append((start, start + len(samples)))
            self.pending.append((recording, model_wave(self.engine, samples)))
            if len(self.pending) == self.batch_size:
                self.flush()

    def flush(self) -> None:
        """Score the pending windows."""
        if not self.pending:
            return
        waves = np.stack([wave for _, wave in self.pending])
        for (recording, _), score in zip(self.pending, reported_scores(self.engine, waves)):
            recording.scores.append(float(score))
        self.pending.clear()


def score_blocks(engine: Engine, blocks: Iterable[np.ndarray], batch_size: int = 1,
                 recording: Recording | None = None) -> RecordingScore:
    """Score one recording that arrives in blocks (n,) at 16 kHz, in constant memory.

    After an interruption or an error, a `Recording` of your own holds the windows scored so far.
    """
    recording = Recording(engine) if recording is None else recording
    scorer = Scorer(engine, batch_size)
    for block in blocks:
        scorer.add(recording, block)
    scorer.end(recording)
    scorer.flush()
    return recording.result()


def score_store(engine: Engine, store: Any, batch_size: int = 16,
                progress: bool = True) -> np.ndarray:
    """Reported scores of a store's utterances, in its order: float64 (N,).

    Equal to those of `score_blocks` within 1e-5. Raises `InputError` for an empty utterance.
    """
    scorer = Scorer(engine, batch_size)
    scores = np.full(len(store), np.nan)
    waiting = []
    for i, row in enumerate(tqdm(store.rows, "scoring", unit="utterance", disable=not progress)):
        recording = Recording(engine)
        waiting.append((i, recording))
        for start in range(0, row.n_samples, READ_SAMPLES):
            scorer.add(recording, store.read(i, start, min(READ_SAMPLES, row.n_samples - start)))
        scorer.end(recording)
        while waiting and len(waiting[0][1].scores) == len(waiting[0][1].spans):
            _settle(scores, *waiting.pop(0), store)
    scorer.flush()
    for i, recording in waiting:
        _settle(scores, i, recording, store)
    return scores


def _settle(scores: np.ndarray, i: int, recording: Recording, store: Any) -> None:
    score = recording.result().score
    if score is None:
        raise InputError(f"utterance {store.rows[i].utterance} of the store holds no samples: "
                         "run python utils/preprocess_data.py --force")
    scores[i] = score


def published_score(engine: Engine, blocks: Iterable[np.ndarray]) -> float | None:
    """The score of the published evaluation: bona fide logit of the first 64,600 samples.

    A shorter recording is repeated. Where the model's own evaluation hears whole recordings
    ("published_whole" of its metadata), so does this. Where it compares probabilities
    ("published_difference"), the spoof logit is taken off. Reads every block, so that a damaged
    end is noticed. None for an empty recording. Raises `InputError` if it is too long to be heard
    whole.
    """
    whole = bool(engine.metadata.get("published_whole"))
    longest = LONGEST_WHOLE + 1 if whole else N_SAMPLES
    kept = []
    held = 0
    for block in blocks:
        if held < longest and len(block):
            kept.append(block[:longest - held])
            held += len(kept[-1])
    if not held:
        return None
    if whole and held > LONGEST_WHOLE:
        raise InputError(f"the published evaluation of this model hears whole recordings, and "
                         f"this one is longer than {LONGEST_WHOLE // SAMPLE_RATE} s: cut it")
    samples = np.concatenate(kept)
    waves = waveform(samples if whole and held >= SHORTEST else tile(samples, N_SAMPLES))[None]
    if engine.metadata.get("published_difference"):
        return float(raw_scores(engine, waves)[0])
    return float(engine.logits(waves)[0, BONAFIDE])


def check_published_lengths(engine: Engine, store: Any) -> None:
    """Raise `InputError` where a store holds what `published_score` would refuse as too long."""
    if not engine.metadata.get("published_whole"):
        return
    long = [row.utterance for row in store.rows if row.n_samples > LONGEST_WHOLE]
    if long:
        raise InputError(f"the published evaluation of this model hears whole recordings, and "
                         f"{len(long):,} in {store.path} are longer than "
                         f"{LONGEST_WHOLE // SAMPLE_RATE} s, the first is {long[0]}: cut or remove "
                         "them, or leave out --published_protocol")


def audio_profile(store: Any, utterances: int = 500) -> dict:
    """A checkpoint's "audio": percentiles 5, 50 and 95 of evenly chosen utterances with speech."""
    count = min(utterances, len(store))
    chosen = np.unique(np.linspace(0, len(store) - 1, count).astype(int))
    found = []
    for i in chosen:
        activity = Activity()
        for start, samples in cut([store.read(int(i))], N_SAMPLES):
            activity.add(start, samples)
        if activity.speech().any():
            seconds = store.rows[int(i)].n_samples / SAMPLE_RATE
            found.append((activity.bandwidth_hz(), activity.level, seconds))
    if not found:
        raise InputError("no utterance of the store holds speech: "
                         "check the recordings in data/raw")
    percentiles = np.percentile(np.array(found, dtype=float), (5, 50, 95), axis=0).round(2)
    return {"utterances": len(found),
            **{name: percentiles[:, k].tolist() for k, name in enumerate(PROFILE)}}
