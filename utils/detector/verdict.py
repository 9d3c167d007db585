"""From a recording's score to one of four outcomes, with the reasons and warnings that a person needs to weigh it."""
from dataclasses import dataclass
from typing import Any

from utils.detector.speech_activity import FLOOR_DBFS
from utils.detector.scoring import RecordingScore

BONAFIDE, UNCERTAIN, SPOOF, CANNOT_JUDGE = "likely bona fide", "uncertain", "likely spoof", "cannot judge"

MIN_SECONDS = 0.3            # of speech: below, nothing is judged
SURE_SECONDS = 1.0           # of speech: below, nothing but "uncertain", for one real clip in ten to four is called spoof (model card)
SHORT_SECONDS = 2.0          # of speech: below, a warning
MOSTLY_SILENT = 0.1          # share of speech
CLIPPED_FRACTION = 0.001
OUT_OF_PHASE = 0.1           # share of the channels' power left in their sum: below, they cancel each other out
LEVEL_MARGIN_DB, BANDWIDTH_MARGIN_HZ = 6.0, 500.0  # beyond the training audio's 5th and 95th percentile
LOSSY = ("mp3", "mpeg", "mp2", "vorbis", "opus", "aac", "amr", "wma", "gsm", "g722", "g723", "g726", "g729", "adpcm",
         "ulaw", "alaw", "mulaw", "ac3", "ac-3", "dts", "speex", "musepack", "mpc", "realmedia", "nms", "vox")

OUT_OF_PHASE_WORDS = ("its channels cancel each other out when mixed to mono (opposite phase): save one channel by itself "
                      "and have that judged")


@dataclass(frozen=True)
class Decision:
    """Where the line is, on the scale of reported scores: `band` is (low, high) around `threshold`, or None."""
    threshold: float
    band: tuple[float, float] | None
    origin: str


@dataclass(frozen=True)
class Verdict:
    """One of the four outcomes (None for a bare score), why, and what may mislead."""
    outcome: str | None
    reasons: list[str]
    warnings: list[str]
    judgeable: bool = True  # False where the recording itself forbids a judgement: its score then means nothing


def decision_for(metadata: dict, prior: float | None = None, cost_miss: float | None = None,
                 cost_fa: float | None = None) -> Decision | None:
    """The model's decision at the prior and costs named, by `calibration.decision_at`; None where it carries none."""
    from utils.detector.decision import decision_at
    found = decision_at(metadata, prior, cost_miss, cost_fa)
    if not found:
        return None
    band = found["band"]
    return Decision(found["threshold"], (band[0], band[1]) if band else None, found["origin"])


def no_decision(metadata: dict) -> str:
    """Why a model carries no decision: what dev showed, where the checkpoint says so."""
    return str(metadata.get("reason") or "the model carries no threshold from dev data: only the score can be told")


def trained_on(metadata: dict) -> str:
    """What the model learnt from, in a phrase."""
    source = metadata.get("trained_on") or {}
    what = source.get("description") or source.get("corpus") or metadata.get("origin") or "data that it does not name"
    count = f", {source['utterances']:,} utterances" if isinstance(source.get("utterances"), int) else ""
    what = str(what).rstrip(".")
    what = what if what.startswith("trained") else f"trained on {what}"
    return f"{metadata.get('architecture', 'a model')} {what}{count}"


def is_demo(metadata: dict) -> bool:
    """Whether the model comes from the demo corpus, which every verdict must say."""
    return bool((metadata.get("trained_on") or {}).get("demo"))


def outcome(score: float, decision: Decision) -> str:
    """On which side of the line a score lies."""
    if decision.band and decision.band[0] <= score <= decision.band[1]:
        return UNCERTAIN
    return BONAFIDE if score >= decision.threshold else SPOOF


def obstacles(scored: RecordingScore) -> list[str]:
    """Why a recording cannot be judged; empty where it can."""
    if scored.score is None:
        return ["the recording is empty"]
    if scored.peak_level_dbfs < FLOOR_DBFS:
        return [f"silent: nothing in it is louder than {FLOOR_DBFS:.0f} dBFS"]
    if scored.seconds < MIN_SECONDS:
        return [f"too short: {scored.seconds:.2f} s, and at least {MIN_SECONDS} s of speech is needed"]
    if not any(window.speech for window in scored.windows):
        return ["not speech-like: no part of it has the level, spectrum and movement of speech"]
    if scored.speech_seconds < MIN_SECONDS:
        return [f"too short: {scored.speech_seconds:.2f} s of speech, and at least {MIN_SECONDS} s is needed"]
    return []


def too_short_to_be_sure(scored: RecordingScore) -> bool:
    """Whether there is so little speech that the score and its sides of the threshold decide nothing."""
    return scored.speech_seconds < SURE_SECONDS


def judge(scored: RecordingScore, info: Any, metadata: dict, decision: Decision | None) -> Verdict:
    """The verdict on a scored recording; `info` is the `AudioInfo` of its source."""
    warnings, reasons = _warnings(scored, info, metadata), obstacles(scored)
    if reasons and OUT_OF_PHASE_WORDS in warnings:   # that is why it is silent
        reasons, warnings = [OUT_OF_PHASE_WORDS], [words for words in warnings if words != OUT_OF_PHASE_WORDS]
    if reasons:
        return Verdict(CANNOT_JUDGE, reasons, warnings, judgeable=False)
    if decision is None:
        return Verdict(CANNOT_JUDGE, [no_decision(metadata)], warnings)
    if too_short_to_be_sure(scored):
        return Verdict(UNCERTAIN, [f"only {scored.speech_seconds:.2f} s of speech, and at least {SURE_SECONDS:.0f} s is needed for a "
                                   "verdict: shorter ones of both kinds score alike"], warnings)
    result = outcome(scored.score, decision)
    if result is UNCERTAIN:
        reasons = [f"the score lies between {decision.band[0]:.2f} and {decision.band[1]:.2f}, where dev utterances of "
                   "both kinds are found or the evidence is weak"]
    return Verdict(result, reasons, warnings)


def _warnings(scored: RecordingScore, info: Any, metadata: dict) -> list[str]:
    found = _source_warnings(info)
    if obstacles(scored):
        return found
    if scored.speech_seconds < SHORT_SECONDS:
        found.append(f"only {scored.speech_seconds:.1f} s of speech: short recordings are judged less reliably")
    if scored.speech_seconds < MOSTLY_SILENT * scored.seconds:
        found.append(f"mostly silent: {scored.speech_seconds:.1f} s of speech in {scored.seconds:.1f} s")
    found += _unlike_training(scored, metadata.get("audio") or {})
    span = metadata.get("score_range")
    if span and scored.score is not None and not span[0] <= scored.score <= span[1]:
        found.append(f"the score lies outside the range seen on dev ({span[0]:.2f} to {span[1]:.2f}): the recording is "
                     "unlike the data the model was tuned on")
    return found


def _source_warnings(info: Any) -> list[str]:
    found = []
    if info.sample_rate < 16000:
        found.append(f"recorded at {info.sample_rate:,} Hz: it holds nothing above {info.sample_rate // 2:,} Hz, where "
                     "many traces of synthesis lie")
    if info.clipped_fraction > CLIPPED_FRACTION:
        found.append(f"clipped: {info.clipped_fraction:.1%} of the samples are at full scale")
    coding = f"{info.format} {info.subtype}".lower()
    if any(name in coding for name in LOSSY):
        found.append(f"lossy coding ({info.format}, {info.subtype}) can hide traces of synthesis or leave some of its "
                     "own")
    if info.in_phase < OUT_OF_PHASE:
        found.append(OUT_OF_PHASE_WORDS)
    if info.unmarked_end:
        found.append("its format cannot tell whether the recording was cut short")
    return found


def _unlike_training(scored: RecordingScore, training: dict) -> list[str]:
    found = []
    if (usual := training.get("bandwidth_hz")) and scored.bandwidth_hz is not None:
        if not usual[0] - BANDWIDTH_MARGIN_HZ <= scored.bandwidth_hz <= usual[-1] + BANDWIDTH_MARGIN_HZ:
            found.append(f"its speech reaches {scored.bandwidth_hz:,.0f} Hz, that of the training audio "
                         f"{usual[0]:,.0f} to {usual[-1]:,.0f} Hz: the score may reflect the channel")
    if (usual := training.get("speech_level_dbfs")) and scored.level_dbfs > FLOOR_DBFS:
        if not usual[0] - LEVEL_MARGIN_DB <= scored.level_dbfs <= usual[-1] + LEVEL_MARGIN_DB:
            found.append(f"its speech level is {scored.level_dbfs:.0f} dBFS, that of the training audio {usual[0]:.0f} "
                         f"to {usual[-1]:.0f} dBFS")
    return found
