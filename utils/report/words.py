"""An evaluation in words: the same sentences on the terminal, in the report and the model card."""
from collections.abc import Iterator

from utils.common.text import counted
from utils.metrics.intervals import FEW_SPEAKERS
from utils.report.evaluation import Evaluation

METRICS = {"eer": "EER", "min_dcf": "minDCF", "act_dcf": "actDCF", "cllr": "Cllr (bits)"}
PARTS = {"all attacks": None, "seen attacks": "seen", "attacks seen on dev only": "seen_on_dev",
         "unseen attacks": "unseen"}


def percent(rate: float | None, digits: int = 2) -> str:
    """A rate in percent; "n/a" for None."""
    return "n/a" if rate is None else f"{rate:.{digits}%}".replace("%", " %")


def number(value: float | None) -> str:
    """A value with four decimals; "n/a" for None."""
    return "n/a" if value is None else f"{value:.4f}"


def with_interval(part: dict, metric: str) -> str:
    """A metric with its interval, EER in percent: "9.53 % (7.11 to 11.81)"."""
    if part[metric] is None:
        return f"n/a ({part['reason']})"
    scale, digits, unit = (100, 2, " %") if metric == "eer" else (1, 4, "")
    text = f"{part[metric] * scale:.{digits}f}{unit}"
    if span := part.get(f"{metric}_interval"):
        text += f" ({span[0] * scale:.{digits}f} to {span[1] * scale:.{digits}f})"
    return text


def trials(part: dict) -> str:
    """How many trials of each class: "20 / 1,000"."""
    return f"{part['trials']['bonafide']:,} / {part['trials']['spoof']:,}"


def parts(metrics: dict) -> Iterator[tuple[str, dict]]:
    """Names and parts: all attacks and, where known, those seen, seen on dev only, and unseen."""
    for name, key in PARTS.items():
        part = metrics.get(key) if key else metrics
        if part and (key is None or part["attacks"]):
            yield name, part


def few_speakers(metrics: dict) -> bool:
    """Whether the intervals resample so few speakers that they are too narrow."""
    count = (metrics.get("interval") or {}).get("fewest")
    return count is not None and count <= FEW_SPEAKERS


def interval_note(metrics: dict) -> str:
    """What the intervals are."""
    made = metrics.get("interval")
    if not made:
        return "No intervals were computed."
    text = (f"Ranges are {percent(made['level'], 0)} bootstrap intervals over {made['by']} "
            f"({made['replicates']:,} replicates, seed {made['seed']}).")
    if few_speakers(metrics):
        text += (f" One class has only {counted(made['fewest'], 'speaker')}, so they are "
                 "too narrow and do not cover other speakers.")
    return text


def costs(metrics: dict) -> str:
    """Prior and costs."""
    return (f"P(spoof) = {metrics['prior_spoof']:g}; a miss costs {metrics['cost_miss']:g}, "
            f"a false alarm {metrics['cost_fa']:g}")


def headline(metrics: dict) -> list[str]:
    """The main figures, in a few lines for the terminal."""
    lines = []
    for name, part in parts(metrics):
        tags = f" ({', '.join(part['attacks'])})" if "attacks" in part else ""
        counts = f"{part['trials']['bonafide']:,} bona fide, {part['trials']['spoof']:,} spoof"
        lines.append(f"{name}{tags}: EER {with_interval(part, 'eer')}, "
                     f"minDCF {number(part['min_dcf'])}, actDCF {number(part['act_dcf'])}, "
                     f"Cllr {number(part['cllr'])} bits; {counts}")
    lines.append(interval_note(metrics))
    return lines + [metrics[name] for name in ("attacks_note", "met_before", "hint")
                    if metrics.get(name)]


def training_facts(evaluation: Evaluation) -> dict[str, str]:
    """What the model is and what it was trained on."""
    metadata = evaluation.metadata
    if not metadata:
        return {"model": "unknown: the scores were read from a file"}
    trained = metadata.get("trained_on") or {}
    count = trained.get("utterances")
    window = None
    if metadata.get("n_samples"):
        window = f"{metadata['n_samples'] / metadata['sample_rate']:.2f} s"
    facts = {"architecture": metadata.get("architecture"), "window": window,
             "trained on": trained.get("description") or trained.get("corpus"),
             "training utterances": f"{count:,}" if isinstance(count, int) else None,
             "attacks in training": ", ".join(trained.get("attacks") or []),
             "attacks in dev": ", ".join(trained.get("dev_attacks") or []),
             "seed": trained.get("seed"), "origin": metadata.get("origin")}
    return {name: str(value) for name, value in facts.items() if value not in (None, "")}


def evaluation_facts(evaluation: Evaluation) -> dict[str, str]:
    """What the figures were measured on."""
    metrics = evaluation.metrics
    speakers = {row.labels.speaker for row in evaluation.rows} - {"-"}
    attacks = {row.labels.attack for row in evaluation.rows} - {"-"}
    facts = {"evaluated on": metrics["subset"],
             "trials": f"{metrics['trials']['bonafide']:,} bona fide, "
                       f"{metrics['trials']['spoof']:,} spoof",
             "speakers": f"{len(speakers):,}" if speakers else "unknown"}
    for key, name in (("seen", "attacks seen in training"),
                      ("seen_on_dev", "attacks seen on dev only"), ("unseen", "unseen attacks")):
        if metrics.get(key):
            facts[name] = ", ".join(metrics[key]["attacks"]) or "none"
    if "seen" not in metrics:
        facts["attacks"] = ", ".join(sorted(attacks)) or "unknown"
    return facts


def decision_words(metrics: dict) -> str:
    """The threshold and the band, where they come from, and what they do on these trials."""
    point = metrics["operating_point"]
    text = (f"The threshold is {point['threshold']:.4f} on the {metrics['score']}: "
            f"{point['origin']}. It rejects {percent(point['miss_rate'])} of the bona fide trials "
            f"and accepts {percent(point['false_alarm_rate'])} of the spoof trials "
            f"(HTER {percent(point['hter'])}).")
    if point["band"]:
        low, high = point["band"]
        text += (f" The band of uncertainty, {low:.2f} to {high:.2f}, holds "
                 f"{percent(point['in_band'], 1)} of all trials.")
    return text


def environment(made: dict) -> str:
    """Versions and platform in one line."""
    packages = ", ".join(f"{name} {version}"
                         for name, version in (made.get("packages") or {}).items())
    return (f"Python {made.get('python')} on {made.get('platform')}, "
            f"code version {made.get('commit') or 'unknown'}; {packages}")


def arguments(given: dict) -> str:
    """Arguments of a command in one line."""
    return ", ".join(f"{name} = {value}" for name, value in given.items())


def warnings(evaluation: Evaluation) -> list[str]:
    """What makes the figures unreliable; a report says it first."""
    found = []
    if (evaluation.metadata.get("trained_on") or {}).get("demo"):
        found.append("The model was trained on a small demonstration corpus. Its figures do not "
                     "carry over to other recordings. Do not rely on it to detect modern "
                     "deepfakes.")
    return found + [evaluation.metrics[name] for name in ("met_before", "hint")
                    if evaluation.metrics.get(name)]


def limits(evaluation: Evaluation) -> list[str]:
    """What the figures do not show."""
    metrics = evaluation.metrics
    found = [*_attack_limits(metrics), *_interval_limits(metrics)]
    if not evaluation.metadata:
        found.append("The scores were read from a file. actDCF, Cllr and the calibration picture "
                     "read them as log-likelihood ratios.")
    elif not evaluation.metadata.get("calibration"):
        found.append("The scores are not calibrated. Even so, actDCF and Cllr read them as "
                     "log-likelihood ratios.")
    if "calibration" in metrics:
        found.append("A log-likelihood ratio holds only for recordings like the trials that "
                     "calibrated it.")
    if metrics["asv"]["official"]:
        found.append("min t-DCF assumes the speaker verification system of the ASVspoof 5 plan. "
                     "No such system ran here.")
    return found


def _attack_limits(metrics: dict) -> list[str]:
    if metrics.get("unseen", {}).get("attacks"):
        count = len(metrics["unseen"]["attacks"])
        where = "training and dev" if "seen_on_dev" in metrics else "training"
        found = [f"\"Unseen\" means {counted(count, 'attack')} of the same corpus "
                 f"and channel that {where} did not have. Other kinds of attack may be missed far "
                 "more often."]
    elif metrics.get("per_attack") and not metrics.get("attacks_note"):
        found = ["No attack here is known to be new to the model. The figures say nothing about "
                 "attacks unlike those of training."]
    else:
        found = []
    return found + ([metrics["attacks_note"]] if metrics.get("attacks_note") else [])


def _interval_limits(metrics: dict) -> list[str]:
    made = metrics.get("interval")
    if not made:
        return []
    others = "other attacks, recordings or languages, nor another training run."
    if made["by"] == "trials":
        return ["The intervals resample trials, since too few speakers are known. They are too "
                "narrow where trials of one speaker resemble each other."]
    if few_speakers(metrics):
        return [f"One class has only {counted(made['fewest'], 'speaker')}, so the intervals are "
                f"too narrow. They do not cover other speakers, {others}"]
    return [f"The intervals cover other speakers like these. They do not cover {others}"]
