"""The record of one recording, with its timeline: what JSON, tables and the text show."""
import math
from dataclasses import asdict, dataclass

import numpy as np

from utils.audio.info import AudioInfo
from utils.common.errors import shown
from utils.detector.decision import BONAFIDE, SPOOF, UNCERTAIN, Decision
from utils.detector.scoring import RecordingScore, Window
from utils.detector.verdict import (CANNOT_JUDGE, conditions, is_demo, judge,
                                    too_short_to_be_sure, trained_on, weakness)
from utils.detector.voices import Voice, Voices

LLR, RAW, PUBLISHED = "log-likelihood ratio", "score", "bona fide logit"    # kinds of score
DIRECTION = "higher = bona fide"
NO_SPEECH = "no speech"     # the outcome of a stretch
MAX_NAMED = 5               # stretches in a warning
VOICE_FIELDS = ("verdict", "score", "speech_seconds", "reasons", "warnings", "stretches")


def head(file: str, score_kind: str, decision: Decision | None, metadata: dict,
         provenance: dict) -> dict:
    """The fields of every record, for a recording that has no score yet.

    "warnings" are about the recording, "model_warnings" about the model that scored it. "origin" is
    what the file says of itself, in the entries of `utils.origin`.
    """
    band = decision.band if decision else None
    return {"file": shown(file), "score": None, "verdict": None, "error": None,
            "score_kind": score_kind, "threshold": decision.threshold if decision else None,
            "band": list(band) if band else None,
            "threshold_origin": decision.origin if decision else None,
            "model": trained_on(metadata), "demo": is_demo(metadata), "direction": DIRECTION,
            **provenance, "notes": [], "reasons": [], "warnings": [],
            "model_warnings": [], "origin": []}


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
    if decision:
        decision = decision.under(conditions(scored, decision))
    parts = []
    if verdict.judgeable and not too_short_to_be_sure(scored):
        parts = stretches(scored.windows, decision)
    return begun | {
        "score": scored.score if verdict.judgeable else None, "verdict": verdict.outcome,
        "band": list(decision.band) if decision and decision.band else None,
        "notes": info.missing + info.remarks, "reasons": verdict.reasons,
        "warnings": spoofed_parts(verdict.outcome, parts) + verdict.warnings,
        "model_warnings": weakness(metadata) if verdict.judgeable else [],
        "seconds": scored.seconds, "speech_seconds": round(scored.speech_seconds, 3),
        "level_dbfs": round(scored.level_dbfs, 2) if math.isfinite(scored.level_dbfs) else None,
        "bandwidth_hz": scored.bandwidth_hz, "audio": _audio(info),
        "stretches": [asdict(part) for part in parts],
        "windows": [asdict(window) for window in scored.windows]}


def most_suspicious(judged: list[dict], heard: Voices) -> dict:
    """The record of a file from those of its voices: the most suspicious one, which decides.

    "voices" lists the outcome of each, "voice" names the one that decides.
    """
    order = (SPOOF, UNCERTAIN, BONAFIDE, CANNOT_JUDGE)
    decides = min(range(len(judged)), key=lambda i: (
        order.index(judged[i]["verdict"]), judged[i]["score"] or 0.0))
    found = listed(judged, heard.found)
    notes = _notes(judged, heard.found) + heard.notes
    if len(judged) > 1:
        notes.append("; ".join(in_short(voice) for voice in found))
    return judged[decides] | {"notes": notes, "voice": heard.found[decides].name, "voices": found}


def listed(judged: list[dict], voices: list[Voice]) -> list[dict]:
    """What "voices" of a record says of each voice that was judged."""
    return [{"voice": voice.name} | {field: record[field] for field in VOICE_FIELDS}
            for voice, record in zip(voices, judged)]


def _notes(judged: list[dict], voices: list[Voice]) -> list[str]:
    """What was missing or odd; with the track's name where it is not so for all."""
    notes = []
    for note in dict.fromkeys(note for record in judged for note in record["notes"]):
        of = [voice for voice, record in zip(voices, judged) if note in record["notes"]]
        tracks = dict.fromkeys(voice.track for voice in of)
        alike = len(tracks) == len({voice.track for voice in voices})
        name = "" if alike else ", ".join(f"track {track + 1}" for track in tracks) + ": "
        notes.append(name + note)
    return notes


def in_short(voice: dict) -> str:
    """One voice of "voices" in a phrase."""
    score = "" if voice["score"] is None else f" ({voice['score']:.2f})"
    return f"{voice['voice']}: {voice['verdict']}{score}"


def _audio(info: AudioInfo) -> dict:
    return {"sample_rate": info.sample_rate, "channels": info.channels, "format": info.format,
            "subtype": info.subtype, "tracks": info.tracks,
            "clipped_fraction": round(info.clipped_fraction, 6), "peak": round(info.peak, 6)}


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of a recording, in seconds, with one outcome.

    `score` is its mean, None where there is no speech.
    """
    start: float
    end: float
    outcome: str
    score: float | None


def segments(windows: list[Window]) -> tuple[np.ndarray, np.ndarray]:
    """Edges (n + 1,) in seconds of the pieces between window borders, and their scores (n,).

    A piece's score is the mean over its speech windows, NaN where it has none. Most pieces are
    half a window long: the finest that the overlap can resolve.
    """
    starts = np.array([window.start for window in windows])
    ends = np.array([window.end for window in windows])
    scores = np.array([window.score for window in windows])
    speech = np.array([window.speech for window in windows], dtype=float)
    # np.unique takes 15 ms to import what it needs
    edges = np.array(sorted({*starts.tolist(), *ends.tolist()}))
    first, last = np.searchsorted(edges, starts), np.searchsorted(edges, ends)
    sums, counts = np.zeros(len(edges)), np.zeros(len(edges))
    for total, values in ((sums, scores * speech), (counts, speech)):
        np.add.at(total, first, values)
        np.subtract.at(total, last, values)
    sums, counts = np.cumsum(sums)[:-1], np.round(np.cumsum(counts)[:-1])
    means = np.divide(sums, counts, out=np.full(len(sums), np.nan), where=counts > 0)
    return edges, means


def stretches(windows: list[Window], decision: Decision | None) -> list[Stretch]:
    """Neighbouring pieces of one outcome joined, in order.

    Empty without a decision or without windows.
    """
    if decision is None or not windows:
        return []
    edges, scores = segments(windows)
    outcomes = [NO_SPEECH if np.isnan(score) else decision.outcome(score) for score in scores]
    changes = [k for k in range(1, len(outcomes)) if outcomes[k] != outcomes[k - 1]]
    borders = [0, *changes, len(outcomes)]
    found = []
    for a, b in zip(borders, borders[1:]):
        mean = float(np.average(scores[a:b], weights=np.diff(edges[a:b + 1])))
        found.append(Stretch(float(edges[a]), float(edges[b]), outcomes[a],
                             None if outcomes[a] == NO_SPEECH else mean))
    return found


def spoofed_parts(verdict: str, found: list[Stretch]) -> list[str]:
    """A warning where stretches are likely spoof and the whole recording is not."""
    spoofed = [stretch for stretch in found if stretch.outcome == SPOOF]
    if verdict not in (BONAFIDE, UNCERTAIN) or not spoofed:
        return []
    times = ", ".join(f"{stretch.start:.1f} to {stretch.end:.1f} s"
                      for stretch in spoofed[:MAX_NAMED])
    left = len(spoofed) - MAX_NAMED
    more = f" and {left} more stretches" if left > 0 else ""
    return [f"parts of it are likely spoof though the whole is not: {times}{more}"]
