"""From a recording's score to one of four outcomes, with the reasons and warnings for a person."""
from dataclasses import dataclass

from utils.audio.info import AudioInfo
from utils.common.text import counted
from utils.detector.decision import UNCERTAIN, Decision
from utils.detector.fitting import MIN_TRIALS
from utils.detector.scoring import RecordingScore
from utils.detector.speech_activity import FLOOR_DBFS
from utils.signals import SAMPLE_RATE

CANNOT_JUDGE = "cannot judge"
NOISY, NARROW = "noisy", "narrow"       # conditions under which a model errs more often

MIN_SECONDS = 0.3            # of speech: below, nothing is judged
SURE_SECONDS = 1.5           # of speech: below, always "uncertain" (see the model card)
SHORT_SECONDS = 2.0          # of speech: below, a warning
TOO_LITTLE_DEV = (f"the model was tried on fewer than {MIN_TRIALS} dev utterances of a class, too "
                  "few to know where it errs")
WEAK_EER = 0.25             # on dev: from here on, each verdict says so
MOSTLY_SILENT = 0.1          # share of speech
CLIPPED_FRACTION = 0.001
SOFT_DBFS = -50.0            # of speech: below, a warning in spite of the front stage
LEVEL_MARGIN_DB = 6.0        # both margins: beyond the training audio's 5th and 95th percentile
BANDWIDTH_MARGIN_HZ = 500.0
NOISY_DB = 28.0              # of speech above its background: below, a recording is noisy
NARROW_HZ = 4000.0           # speech that reaches no higher came over a telephone


@dataclass(frozen=True)
class Verdict:
    """An outcome, its reasons, and warnings about what may mislead.

    `judgeable` is False where the recording itself forbids a judgement: its score means nothing.
    """
    outcome: str
    reasons: list[str]
    warnings: list[str]
    judgeable: bool = True


def judge(scored: RecordingScore, info: AudioInfo, metadata: dict,
          decision: Decision | None) -> Verdict:
    """The verdict on a scored recording; `info` describes its file, `metadata` the model."""
    known = conditions(scored, decision)
    warnings = source_warnings(info, NARROW in known)
    if reasons := obstacles(scored):
        return Verdict(CANNOT_JUDGE, reasons, warnings, judgeable=False)
    warnings += [*speech_warnings(scored), *training_warnings(scored, metadata, info.rounded,
                                                                NARROW in known)]
    if decision is None:
        return Verdict(CANNOT_JUDGE, [no_decision(metadata)], warnings)
    if too_short_to_be_sure(scored):
        reason = (f"only {scored.speech_seconds:.2f} s of speech, and a verdict needs at least "
                  f"{SURE_SECONDS:g} s: shorter ones of both kinds score alike")
        return Verdict(UNCERTAIN, [reason], warnings)
    decision = decision.under(known)
    outcome = decision.outcome(scored.score)
    if outcome == UNCERTAIN:
        reasons = [TOO_LITTLE_DEV]
        if decision.band:
            low, high = decision.band
            reasons = [f"too close to call: the score lies between {low:.2f} and {high:.2f}",
                       *(f"{words}; so more scores are uncertain" for words in known.values())]
    return Verdict(outcome, reasons, warnings)


def conditions(scored: RecordingScore, decision: Decision | None) -> dict[str, str]:
    """The conditions of a recording that its decision has a band for, each with words on it."""
    found = {}
    if scored.snr_db is not None and scored.snr_db < NOISY_DB:
        found[NOISY] = f"the recording is noisy: its background is {scored.snr_db:.0f} dB below it"
    if scored.bandwidth_hz is not None and scored.bandwidth_hz <= NARROW_HZ:
        found[NARROW] = (f"its speech ends at {scored.bandwidth_hz:,.0f} Hz, as on a telephone")
    return {name: words for name, words in found.items() if decision and name in decision.bands}


def obstacles(scored: RecordingScore) -> list[str]:
    """Why a recording cannot be judged; empty where it can."""
    if scored.score is None:
        return ["the recording is empty"]
    if scored.peak_level_dbfs < FLOOR_DBFS:
        return [f"silent: no part of it is louder than {FLOOR_DBFS:.0f} dBFS"]
    if scored.seconds < MIN_SECONDS:
        return [f"too short: {scored.seconds:.2f} s, and a verdict needs at least "
                f"{MIN_SECONDS} s of speech"]
    if not any(window.speech for window in scored.windows):
        return ["not speech-like: no part of it has the level, spectrum and movement of speech"]
    if scored.speech_seconds < MIN_SECONDS:
        return [f"too short: {scored.speech_seconds:.2f} s of speech, and a verdict needs at least "
                f"{MIN_SECONDS} s"]
    return []


def too_short_to_be_sure(scored: RecordingScore) -> bool:
    """Whether there is so little speech that its score decides nothing."""
    return scored.speech_seconds < SURE_SECONDS


def source_warnings(info: AudioInfo, narrow: bool) -> list[str]:
    """What in the file itself may mislead; `narrow`: the band allows for its low rate."""
    found = []
    if info.sample_rate < SAMPLE_RATE and not narrow:
        found.append(f"recorded at {info.sample_rate:,} Hz: it holds nothing above "
                     f"{info.sample_rate // 2:,} Hz, where many traces of synthesis lie")
    if info.clipped_fraction > CLIPPED_FRACTION:
        found.append(f"clipped: {info.clipped_fraction:.1%} of the samples are at full scale")
    if not info.lossless:
        found.append(f"lossy coding ({info.format}, {info.subtype}) can hide traces of synthesis "
                     "or leave traces of its own")
    if info.eight_bits:
        found.append("it was stored with 8 bits, whose noise can hide traces of synthesis")
    if info.unmarked_end:
        found.append("its format cannot tell whether the recording was cut short")
    return found


def speech_warnings(scored: RecordingScore) -> list[str]:
    """What in the amount of speech may mislead."""
    found = []
    if scored.speech_seconds < SHORT_SECONDS:
        found.append(f"only {scored.speech_seconds:.1f} s of speech: "
                     "verdicts on short recordings are less reliable")
    if scored.speech_seconds < MOSTLY_SILENT * scored.seconds:
        found.append(f"mostly silent: {scored.speech_seconds:.1f} s of speech "
                     f"in {scored.seconds:.1f} s")
    return found


def training_warnings(scored: RecordingScore, metadata: dict, rounded: bool,
                      narrow: bool) -> list[str]:
    """In what the recording differs from the model's training and dev data.

    `rounded`: it was, to 16 bits. `narrow`: the band allows for its bandwidth.
    """
    found = []
    training = metadata.get("audio") or {}
    usual = training.get("bandwidth_hz")
    if not narrow and _outside(scored.bandwidth_hz, usual, BANDWIDTH_MARGIN_HZ):
        found.append(f"its speech reaches {scored.bandwidth_hz:,.0f} Hz, the training audio "
                     f"{usual[0]:,.0f} to {usual[-1]:,.0f} Hz: the score may reflect the channel")
    if warning := _level_warning(scored.level_dbfs, training, bool(metadata.get("front")),
                                 rounded):
        found.append(warning)
    span = metadata.get("score_range")
    if _outside(scored.score, span, 0):
        found.append("the score lies outside the range of scores on dev "
                     f"({span[0]:.2f} to {span[1]:.2f}): "
                     "the recording is unlike the data that set the threshold")
    return found


def _level_warning(level: float, training: dict, front: bool, rounded: bool) -> str | None:
    """What the level of the speech may do to the score; nothing down to a point, behind a front
    stage."""
    usual = training.get("speech_level_dbfs")
    if front and rounded and FLOOR_DBFS < level < SOFT_DBFS:
        return (f"its speech is so soft ({level:.0f} dBFS) that rounding to 16 bits may move the "
                "score: use a louder copy if there is one")
    if not front and level > FLOOR_DBFS and _outside(level, usual, LEVEL_MARGIN_DB):
        return (f"its speech level is {level:.0f} dBFS, that of the training "
                f"audio {usual[0]:.0f} to {usual[-1]:.0f} dBFS")
    return None


def _outside(value: float | None, usual: list[float] | None, margin: float) -> bool:
    """Whether a value lies outside the usual range; False where either is unknown."""
    if value is None or not usual:
        return False
    return not usual[0] - margin <= value <= usual[-1] + margin


def no_decision(metadata: dict) -> str:
    """Why a model has no decision."""
    return str(metadata.get("reason")
               or "the model has no threshold from dev data, so it gives a score and no verdict")


def dev_eer(metadata: dict) -> float | None:
    """The model's EER on the dev data that set its threshold; None where its file lacks it.

    The file of an earlier version has no entry for it: there it is that of the best epoch.
    """
    if metadata.get("calibrated_on"):
        return metadata["calibrated_on"].get("eer")
    if "dev_eer" in metadata:
        return metadata["dev_eer"]
    return min((epoch["dev_eer"] for epoch in metadata.get("history") or []
                if epoch.get("dev_eer") is not None), default=None)


def weakness(metadata: dict) -> list[str]:
    """That a model errs often on its dev set, if it does: a warning with each of its scores."""
    error = dev_eer(metadata) or 0.0
    return [f"the model is weak: its equal error rate on dev was {error:.0%}, and 50% is chance"
            ] if error >= WEAK_EER else []


def trained_on(metadata: dict) -> str:
    """The model and its training data, in a phrase."""
    source = metadata.get("trained_on") or {}
    data = (source.get("description") or source.get("corpus") or metadata.get("origin")
            or "data that it does not name")
    data = str(data).rstrip(".")
    if not data.startswith("trained"):
        data = f"trained on {data}"
    if isinstance(source.get("utterances"), int):
        data += f", {counted(source['utterances'], 'utterance')}"
    steps = (metadata.get("compression") or {}).get("steps") or []
    if steps:
        data += f"; {', '.join(str(note['step']) for note in steps)}"
    return f"{metadata.get('architecture', 'a model')} {data}"


def is_demo(metadata: dict) -> bool:
    """Whether the demo corpus trained or calibrated the model, which every verdict must say."""
    return any((metadata.get(entry) or {}).get("demo") for entry in ("trained_on", "calibrated_on"))
