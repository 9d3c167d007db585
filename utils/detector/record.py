"""The record of one recording: what a JSON line, a table row and the text for a person show."""
import math
from dataclasses import asdict

from utils.audio.decode import AudioInfo
from utils.common.errors import shown
from utils.detector.decision import Decision
from utils.detector.scoring import RecordingScore
from utils.detector.timeline import spoofed_parts, stretches
from utils.detector.verdict import (CANNOT_JUDGE, is_demo, judge, too_short_to_be_sure,
                                    trained_on)

LLR, RAW, PUBLISHED = "log-likelihood ratio", "score", "bona fide logit"    # kinds of score
DIRECTION = "higher = bona fide"


def head(file: str, score_kind: str, decision: Decision | None, metadata: dict,
         provenance: dict) -> dict:
    """The fields of every record, for a recording that has no score yet."""
    band = decision.band if decision else None
    return {"file": shown(file), "score": None, "verdict": None, "error": None,
            "score_kind": score_kind, "threshold": decision.threshold if decision else None,
            "band": list(band) if band else None,
            "threshold_origin": decision.origin if decision else None,
            "model": trained_on(metadata), "demo": is_demo(metadata), "direction": DIRECTION,
            **provenance, "reasons": [], "warnings": []}


def failed(begun: dict, error: str) -> dict:
    """The record of a recording that could not be scored; `error` says why in one sentence."""
    verdict = None if begun["score_kind"] == PUBLISHED else CANNOT_JUDGE
    return begun | {"verdict": verdict, "error": error, "reasons": [error]}


def interrupted(begun: dict, partial: RecordingScore, decision: Decision | None,
                error: str) -> dict:
    """As `failed`, with the windows scored so far."""
    return failed(begun, error) | {"seconds": partial.seconds,
                                   "windows": [asdict(window) for window in partial.windows],
                                   "stretches": [asdict(part) for part in
                                                 stretches(partial.windows, decision)]}


def bare(begun: dict, score: float, info: AudioInfo) -> dict:
    """The record of the published protocol: a score without a verdict."""
    return begun | {"score": score, "seconds": info.seconds, "audio": _audio(info)}


def judged(begun: dict, scored: RecordingScore, info: AudioInfo, metadata: dict,
           decision: Decision | None) -> dict:
    """The record of a scored recording.

    It has no score and no timeline where the recording cannot be judged, and no timeline where it
    is very short: they would be mistaken for a verdict.
    """
    verdict = judge(scored, info, metadata, decision)
    parts = []
    if verdict.judgeable and not too_short_to_be_sure(scored):
        parts = stretches(scored.windows, decision)
    return begun | {
        "score": scored.score if verdict.judgeable else None, "verdict": verdict.outcome,
        "reasons": verdict.reasons,
        "warnings": spoofed_parts(verdict.outcome, parts) + verdict.warnings,
        "seconds": scored.seconds, "speech_seconds": round(scored.speech_seconds, 3),
        "level_dbfs": round(scored.level_dbfs, 2) if math.isfinite(scored.level_dbfs) else None,
        "bandwidth_hz": scored.bandwidth_hz, "audio": _audio(info),
        "stretches": [asdict(part) for part in parts],
        "windows": [asdict(window) for window in scored.windows]}


def _audio(info: AudioInfo) -> dict:
    return {"sample_rate": info.sample_rate, "channels": info.channels, "format": info.format,
            "subtype": info.subtype, "decoder": info.decoder,
            "clipped_fraction": round(info.clipped_fraction, 6), "peak": round(info.peak, 6)}
