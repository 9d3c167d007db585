"""The verdict in words: a few lines for one recording, one line each for many."""
from utils.common.errors import printable
from utils.detector.detector import Detector
from utils.detector.record import PUBLISHED, RAW
from utils.detector.verdict import CANNOT_JUDGE, is_demo, no_decision, trained_on

IN_THE_BOX = "pretrained/detector.onnx"    # as a record names the file of the model in the box
MANY = 3            # from so many recordings on, one line each
MAX_STRETCHES = 12  # of the timeline, in the text; JSON has them all
DIRECTION = "higher means bona fide"


def clock(seconds: float) -> str:
    """Seconds as h:mm:ss.s or m:ss.s."""
    minutes, rest = divmod(round(seconds * 10), 600)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest / 10:04.1f}" if hours else f"{minutes}:{rest / 10:04.1f}"


def score_words(detector: Detector) -> str:
    """What the reported number is, and what it is not."""
    if detector.score_kind == PUBLISHED:
        return ("bona fide logit of the first 64,600 samples, as in the published evaluation; "
                f"{DIRECTION}; no threshold belongs to it")
    if detector.score_kind == RAW:
        return f"uncalibrated score, not a probability; {DIRECTION}"
    return f"log-likelihood ratio, natural logarithm; {DIRECTION}"


def threshold_words(detector: Detector) -> str:
    """The line that scores are held against, and where it comes from."""
    if detector.decision is None:
        return f"none: {no_decision(detector.metadata)}"
    band = detector.decision.band
    between = f"; uncertain from {band[0]:.2f} to {band[1]:.2f}" if band else "; no band of uncertainty is known"
    return f"{detector.decision.threshold:.2f} ({detector.decision.origin}){between}"


def model_words(detector: Detector) -> str:
    """Which model judged, and what it learnt from."""
    file = detector.provenance.get("model_file")
    note = "; how often it errs: models/pretrained/MODEL_CARD.md" * (file == IN_THE_BOX)
    return (f"{file}: " if file else "") + trained_on(detector.metadata) + note


def describe(record: dict, detector: Detector) -> list[str]:
    """The lines for one recording."""
    name = printable(record["file"])
    if record["error"]:
        reason = printable(record["error"])
        return [f"{name}: {record['verdict'] or 'no score'}", f"  reason     {reason}", *_timeline(record)]
    if detector.published_protocol:
        return [f"{name}: {record['score']:.6f}", f"  score      {score_words(detector)}",
                f"  model      {model_words(detector)}"]
    demo = " (by a model trained on the demo corpus: a demonstration, no evidence)" * is_demo(detector.metadata)
    lines = [f"{name}: {record['verdict']}{demo if record['score'] is not None else ''}"]
    reasons = [f"  reason     {reason}" for reason in record["reasons"]]
    told = [f"  model      {model_words(detector)}",
            f"  recording  {record['seconds']:.1f} s, {record['speech_seconds']:.1f} s of it speech; "
            + _source(record["audio"])]
    if record["score"] is not None:
        told = [f"  score      {record['score']:.2f} ({score_words(detector)})", f"  threshold  {threshold_words(detector)}", *told]
    lines += reasons + told if record["verdict"] == CANNOT_JUDGE else told + reasons
    lines += [f"  warning    {warning}" for warning in record["warnings"]]
    return lines + _timeline(record) + _explanation(record.get("explanation"))


def _source(audio: dict) -> str:
    channels = f"{audio['channels']} channel{'s' * (audio['channels'] != 1)}"
    return f"{audio['sample_rate']:,} Hz, {channels}, {audio['format']} {audio['subtype']}"


def _timeline(record: dict) -> list[str]:
    parts = record.get("stretches")
    if not parts or len(record["windows"]) < 2:
        return []
    lines = [f"  {clock(part['start']):>9} to {clock(part['end']):<9} {part['outcome']}"
             + ("" if part["score"] is None else f" ({part['score']:.2f})") for part in parts[:MAX_STRETCHES]]
    if (more := len(parts) - MAX_STRETCHES) > 0:
        lines.append(f"  ... and {more} more stretches: see them all with --json")
    return ["  timeline   (to about two seconds)", *lines]


def _explanation(explanation: dict | None) -> list[str]:
    if not explanation:
        return []
    lines = [f"  explained  the window from {clock(explanation['start'])} to {clock(explanation['end'])}, whose score "
             f"is {explanation['score']:.2f}; what moved it most:"]
    for part in explanation["strongest"]:
        where = (f"{clock(part['start'])} to {clock(part['end'])}" if "start" in part
                 else f"{part['low_hz']:,} to {part['high_hz']:,} Hz")
        side = "bona fide" if part["moved"] > 0 else "spoof"
        lines.append(f"    {where:<22} spoke for {side} by {abs(part['moved']):.2g}")
    return lines + [f"    {explanation['does_not_prove']}"]


def row(record: dict) -> str:
    """One recording in one line."""
    score = f"{record['score']:9.3f}" if record["score"] is not None else " " * 9
    notes = [record["error"]] if record["error"] else [*record["reasons"], *record["warnings"]]
    note = f"  [{printable('; '.join(notes))}]" if notes else ""
    verdict = (record["verdict"] or "") + " (demo model)" * record["demo"] * bool(record["verdict"])
    return f"{verdict:{29 if record['demo'] else 16}} {score}  {printable(record['file'])}{note}"


def heading(detector: Detector) -> list[str]:
    """What holds for every line of a long list."""
    demo = "; trained on the demo corpus: every verdict is a demonstration, no evidence" * is_demo(detector.metadata)
    lines = [f"model: {model_words(detector)}{demo}", f"score: {score_words(detector)}"]
    return lines if detector.published_protocol else [*lines, f"threshold: {threshold_words(detector)}"]
