"""Records in words: a few lines for one recording, one line each for many."""
from utils.common.errors import printable
from utils.common.text import counted, readable_corpora
from utils.detector.decision import BONAFIDE, SPOOF, UNCERTAIN
from utils.detector.detector import Detector
from utils.detector.record import PUBLISHED, RAW
from utils.detector.verdict import (CANNOT_JUDGE, dev_eer, is_demo, no_decision, trained_on,
                                    weakness)
from utils.origin.statement import BY_ANYBODY, TAGS

PRETRAINED = "pretrained/detector.onnx"     # how a record names the pretrained model's file
MAX_STRETCHES = 12  # of the timeline, in the text; JSON has all of them
DIRECTION = "higher means bona fide"
PLAIN = {BONAFIDE: "This is likely real speech.", SPOOF: "This is likely synthetic speech.",
         UNCERTAIN: "This may be real or synthetic: the model cannot tell.",
         CANNOT_JUDGE: "This recording cannot be judged."}


def outcome(record: dict) -> str:
    """The verdict; without verdicts, whether there is a score."""
    return record["verdict"] or ("no score" if record["error"] else "scored")


def describe(record: dict, detector: Detector, below_heading: bool = False) -> list[str]:
    """The lines for one recording; `below_heading`: without those that `heading` says for all."""
    name = printable(record["file"])
    if record["error"]:
        return [f"{name}: {outcome(record)}",
                _line("reason", printable(record["error"])), *_timeline(record)]
    if detector.published_protocol:
        common = [_line("score", score_words(detector)), _line("model", model_words(detector))]
        return [f"{name}: {record['score']:.6f}", *([] if below_heading else common)]
    first = f"{name}: {record['verdict']}"
    if is_demo(detector.metadata) and record["score"] is not None:
        first += " (by a model made with the demo corpus: a demonstration, no evidence)"
    reasons = [_line("reason", reason) for reason in record["reasons"]]
    known = [_line(name, text) for name, text in facts(record, detector, below_heading).items()]
    lines = reasons + known if record["verdict"] == CANNOT_JUDGE else known + reasons
    of_model = [] if below_heading else record["model_warnings"]
    warnings = [_line("warning", warning) for warning in of_model + record["warnings"]]
    notes = [_line("heard", note) for note in record["notes"]]
    picture = [_line("picture", printable(record["picture"]))] if record.get("picture") else []
    return [first, *notes, *lines, *warnings, *_timeline(record),
            *_explanation(record.get("explanation")), *picture, *_origin(record["origin"])]


def sentence(record: dict) -> str:
    """The verdict as a sentence for somebody who knows none of the terms."""
    if record["error"]:
        return "This recording cannot be read."
    text = PLAIN[record["verdict"]]
    if record["demo"] and record["score"] is not None:
        text += " The model was made with the demo corpus: a demonstration, no evidence."
    return text


def row(record: dict) -> str:
    """One recording in one line, without what `heading` says for all."""
    verdict = record["verdict"] or ""
    if record["demo"] and verdict:
        verdict += " (demo model)"
    score = "" if record["score"] is None else f"{record['score']:.3f}"
    line = f"{verdict:{29 if record['demo'] else 16}} {score:>9}  {printable(record['file'])}"
    notes = [record["error"]]
    if not record["error"]:
        notes = [*record["notes"], *record["reasons"], *record["warnings"],
                 *(f"the file says: {told['says']}" for told in record["origin"]
                   if told.get("generated"))]
    return f"{line}  [{printable('; '.join(notes))}]" if notes else line


def heading(detector: Detector) -> list[str]:
    """The lines above many rows: what holds for all of them."""
    model = f"model: {model_words(detector)}"
    if is_demo(detector.metadata):
        model += "; made with the demo corpus: each verdict is a demonstration, no evidence"
    lines = [model, f"score: {score_words(detector)}"]
    if detector.published_protocol:
        return lines
    return [*lines, f"threshold: {threshold_words(detector)}",
            *(f"warning: {warning}" for warning in weakness(detector.metadata))]


def score_words(detector: Detector) -> str:
    """What the score is."""
    if detector.score_kind == PUBLISHED:
        heard = ("whole recording" if detector.metadata.get("published_whole")
                 else "first 64,600 samples")
        less = " minus spoof" if detector.metadata.get("published_difference") else ""
        return (f"bona fide{less} logit of the {heard}, as in the published evaluation; "
                f"{DIRECTION}; it has no threshold")
    if detector.score_kind == RAW:
        return f"uncalibrated score, not a probability; {DIRECTION}"
    return f"log-likelihood ratio, natural logarithm; {DIRECTION}"


def threshold_words(detector: Detector) -> str:
    """The threshold, where it comes from, and the band of uncertainty."""
    decision = detector.decision
    if decision is None:
        return f"none: {no_decision(detector.metadata)}"
    text = f"{decision.threshold:.2f} ({readable_corpora(decision.origin)})"
    if decision.band:
        return f"{text}; uncertain from {decision.band[0]:.2f} to {decision.band[1]:.2f}"
    return f"{text}; dev had too few recordings to say where the model errs: always uncertain"


def model_words(detector: Detector, card: bool = True) -> str:
    """The model's file and its training data; `card`: also where its model card is."""
    text = trained_on(detector.metadata)
    file = detector.provenance.get("model_file")
    if file:
        text = f"{file}: {text}"
    if card and file == PRETRAINED:
        text += "; how often it errs: models/pretrained/MODEL_CARD.md"
    return text


def error_words(detector: Detector) -> str:
    """How often the model errs, as far as its file says."""
    error = dev_eer(detector.metadata)
    told = [] if error is None else [f"EER {error:.1%} on the dev data that set its threshold"]
    if detector.decision and detector.decision.band_origin:
        told.append(detector.decision.band_origin)
    return "; ".join(told) or "its file does not say how often it errs"


def clock(seconds: float) -> str:
    """Seconds as h:mm:ss.s or m:ss.s."""
    minutes, tenths = divmod(round(seconds * 10), 600)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}:{minutes:02d}:{tenths / 10:04.1f}"
    return f"{minutes}:{tenths / 10:04.1f}"


def _line(name: str, text: str) -> str:
    return f"  {name:<10} {text}"


def facts(record: dict, detector: Detector, below_heading: bool = False) -> dict[str, str]:
    """Score and threshold, if the recording has a score; the model, and what was recorded.

    `below_heading`: without what `heading` says for all recordings.
    """
    found = {}
    if record.get("voice"):
        found["of"] = f"{record['voice']}, the most suspicious; the lines below are about it"
    if record["score"] is not None:
        found["score"] = f"{record['score']:.2f}"
    if record["score"] is not None and not below_heading:
        found["score"] += f" ({score_words(detector)})"
        found["threshold"] = threshold_words(detector)
    audio = record["audio"]
    coding = audio["format"]
    if audio["subtype"] != coding.lower():
        coding += f" {audio['subtype']}"
    if not below_heading:
        found["model"] = model_words(detector)
    found["recording"] = (f"{record['seconds']:.1f} s, {record['speech_seconds']:.1f} s of it "
                          f"speech; {audio['sample_rate']:,} Hz, "
                          f"{counted(audio['channels'], 'channel')}, {coding}")
    return found


def _timeline(record: dict) -> list[str]:
    parts = record.get("stretches")
    if not parts or len(record["windows"]) < 2:
        return []
    lines = [_line("timeline", "(means of overlapping windows, right to about two seconds)")]
    for part in parts[:MAX_STRETCHES]:
        line = f"  {clock(part['start']):>9} to {clock(part['end']):<9} {part['outcome']}"
        lines.append(line if part["score"] is None else f"{line} ({part['score']:.2f})")
    if len(parts) > MAX_STRETCHES:
        lines.append(f"  ... and {len(parts) - MAX_STRETCHES} more stretches: --json shows all")
    return lines


def _explanation(explanation: dict | None) -> list[str]:
    if not explanation:
        return []
    window = f"{clock(explanation['start'])} to {clock(explanation['end'])}"
    lines = [_line("explained", f"the window from {window} has the score "
                                f"{explanation['score']:.2f}; these parts moved it most:")]
    for part in explanation["strongest"]:
        where = (f"{clock(part['start'])} to {clock(part['end'])}" if "start" in part
                 else f"{part['low_hz']:,} to {part['high_hz']:,} Hz")
        side = "bona fide" if part["moved"] > 0 else "spoof"
        lines.append(f"    {where:<22} towards {side} by {abs(part['moved']):.2g}")
    return [*lines, f"    {explanation['does_not_prove']}"]


def origin_words(statements: list[dict]) -> list[tuple[str, str]]:
    """What the file says of itself, each with what it proves; of tags, the last says it for all."""
    if not statements:
        return [("nothing of where it comes from, which proves nothing", "")]
    found = [(f"{told['what'].replace('_', ' ')}: {told['says']}",
              "" if told["what"] in TAGS else f"this proves {told['proves']}")
             for told in statements]
    if any(told["what"] in TAGS for told in statements):
        found.append(("", f"{BY_ANYBODY}, and moves no score"))
    return found


def _origin(statements: list[dict]) -> list[str]:
    lines = []
    for says, proves in origin_words(statements):
        lines += [_line("file says", says)] if says else []
        lines += [_line("", f"({proves})")] if proves else []
    return lines
