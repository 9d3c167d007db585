"""One recording, from path to record: what the JSON line, the table row and the text for a person are all made of."""
import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from utils.audio import decode
from utils.common.errors import InputError, printable, shown
from utils.detector.scoring import Recording, published_score, score_blocks
from utils.detector.timeline import spoofed_parts, stretches
from utils.detector.verdict import CANNOT_JUDGE, Decision, is_demo, judge, too_short_to_be_sure, trained_on

LLR, RAW, PUBLISHED = "log-likelihood ratio", "score", "bona fide logit"
DIRECTION = "higher = bona fide"

Tap = Callable[[decode.AudioStream], Iterator[np.ndarray]]


@dataclass(frozen=True)
class Job:
    """How recordings are to be analysed: with which model, against which line."""
    engine: Any
    decision: Decision | None
    published_protocol: bool = False
    explain: bool = False
    batch_size: int = 1
    provenance: dict = field(default_factory=dict)  # goes into every record: which model file and code made it

    @property
    def score_kind(self) -> str:
        """What a reported score is."""
        return PUBLISHED if self.published_protocol else LLR if self.engine.metadata.get("calibration") else RAW


class Interrupted(KeyboardInterrupt):
    """Ctrl-C in the middle of a recording; `record` is what was scored of it."""

    def __init__(self, record: dict) -> None:
        super().__init__()
        self.record = record


def analyse(path: str, job: Job, tap: Tap | None = None) -> dict:
    """The record of one recording. A file that cannot be read gives a record with `error`; nothing is judged in part.

    `tap` sees every block on its way (a picture, a progress bar). Raises `Interrupted` on Ctrl-C.
    """
    stream, recording = decode.open_audio(path), Recording()
    try:
        with stream as opened:
            blocks = tap(opened) if tap else opened
            if job.published_protocol:
                return _bare(path, published_score(job.engine, blocks), stream.info, job)
            scored = score_blocks(job.engine, blocks, job.batch_size, recording)
    except InputError as error:
        return failure(path, printable(error), job)
    except KeyboardInterrupt:
        partial = recording.result()
        heard = f"{printable(path)} was not heard to its end: interrupted after {partial.seconds:.1f} s"
        record = failure(path, heard, job)
        raise Interrupted(record | {"seconds": partial.seconds, "windows": [asdict(window) for window in partial.windows],
                                    "stretches": [asdict(part) for part in stretches(partial.windows, job.decision)]}) from None
    record = _record(path, scored, stream.info, job)
    if job.explain and record["verdict"] != CANNOT_JUDGE:
        from utils.detector.explanation import explain
        record["explanation"] = explain(job.engine, path, scored, job.decision)
    return record


def _empty(path: str, job: Job) -> dict:
    line = job.decision
    return {"file": shown(path), "score": None, "verdict": None, "error": None, "score_kind": job.score_kind,
            "threshold": line.threshold if line else None, "band": list(line.band) if line and line.band else None,
            "threshold_origin": line.origin if line else None, "model": trained_on(job.engine.metadata),
            "demo": is_demo(job.engine.metadata), "direction": DIRECTION, **job.provenance, "reasons": [], "warnings": []}


def failure(path: str, error: str, job: Job) -> dict:
    """The record of a recording that could not be analysed, with the reason in one sentence."""
    return _empty(path, job) | {"verdict": None if job.published_protocol else CANNOT_JUDGE, "error": error,
                                "reasons": [error]}


def _audio(info: Any) -> dict:
    return {"sample_rate": info.sample_rate, "channels": info.channels, "format": info.format, "subtype": info.subtype,
            "decoder": info.decoder,
            "clipped_fraction": round(info.clipped_fraction, 6), "peak": round(info.peak, 6)}


def _bare(path: str, score: float | None, info: Any, job: Job) -> dict:
    if score is None:
        return failure(path, f"{printable(path)} is empty", job)
    return _empty(path, job) | {"score": score, "seconds": info.seconds, "audio": _audio(info)}


def _finite(value: float | None) -> float | None:
    return round(value, 2) if value is not None and math.isfinite(value) else None


def _record(path: str, scored: Any, info: Any, job: Job) -> dict:
    """The record; without a score and a timeline where the recording cannot be judged, without a timeline where it is very short:
    they would pass for a verdict."""
    verdict = judge(scored, info, job.engine.metadata, job.decision)
    parts = stretches(scored.windows, job.decision) if verdict.judgeable and not too_short_to_be_sure(scored) else []
    return _empty(path, job) | {
        "score": scored.score if verdict.judgeable else None, "verdict": verdict.outcome, "reasons": verdict.reasons,
        "warnings": spoofed_parts(verdict.outcome, parts) + verdict.warnings, "seconds": scored.seconds,
        "speech_seconds": round(scored.speech_seconds, 3), "level_dbfs": _finite(scored.level_dbfs),
        "bandwidth_hz": scored.bandwidth_hz, "audio": _audio(info),
        "stretches": [asdict(stretch) for stretch in parts],
        "windows": [asdict(window) for window in scored.windows]}
