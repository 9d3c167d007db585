"""How an evaluation is put into words: the same sentences on the terminal, in the report and in the model card."""
from collections.abc import Iterator

from utils.metrics.intervals import FEW_SPEAKERS
from utils.report.evaluation import RAW, Evaluation

PARTS = {"all attacks": None, "seen attacks": "seen", "attacks seen on dev only": "seen_on_dev", "unseen attacks": "unseen"}


def percent(rate: float | None, digits: int = 2) -> str:
    """A rate in percent; "n/a" for None."""
    return "n/a" if rate is None else f"{rate:.{digits}%}".replace("%", " %")


def number(value: float | None, digits: int = 4) -> str:
    """A plain figure; "n/a" for None."""
    return "n/a" if value is None else f"{value:.{digits}f}"


def with_interval(part: dict, metric: str) -> str:
    """A figure with its interval, EER in percent: "9.53 % (7.11 to 11.81)"."""
    show = (lambda v: f"{v * 100:.2f}") if metric == "eer" else number
    if part[metric] is None:
        return f"n/a ({part['reason']})"
    text = show(part[metric]) + (" %" if metric == "eer" else "")
    span = part.get(f"{metric}_interval")
    return f"{text} ({show(span[0])} to {show(span[1])})" if span else text


def parts(metrics: dict) -> Iterator[tuple[str, dict]]:
    """The parts of a summary worth a row: all attacks, and those seen, seen on dev only and unseen where they are told apart."""
    for name, key in PARTS.items():
        part = metrics if key is None else metrics.get(key)
        if part is not None and (key is None or part["attacks"]):
            yield name, part


def interval_note(metrics: dict) -> str:
    """One sentence on what the intervals are."""
    made = metrics.get("interval")
    if not made:
        return "No intervals were computed."
    text = (f"Ranges are {percent(made['level'], 0)} bootstrap intervals over {made['by']} ({made['replicates']:,} replicates, "
            f"seed {made['seed']}).")
    return text + (f" Only {made['speakers']} speakers: too narrow, so they do not cover other speakers." * few_speakers(metrics))


def few_speakers(metrics: dict) -> bool:
    """Whether intervals resample too few speakers to hold what they name."""
    count = (metrics.get("interval") or {}).get("speakers")
    return count is not None and count <= FEW_SPEAKERS


def price(metrics: dict) -> str:
    """Prior and costs in words."""
    return (f"P(spoof) = {metrics['prior_spoof']:g}, a miss costs {metrics['cost_miss']:g}, a false alarm "
            f"{metrics['cost_fa']:g}")


def headline(metrics: dict) -> list[str]:
    """The figures in a few lines a person reads."""
    lines = []
    for name, part in parts(metrics):
        tags = f" ({', '.join(part['attacks'])})" if "attacks" in part else ""
        counts = f"{part['trials']['bonafide']:,} bona fide, {part['trials']['spoof']:,} spoof"
        lines.append(f"{name}{tags}: EER {with_interval(part, 'eer')}, minDCF {number(part['min_dcf'])}, "
                     f"actDCF {number(part['act_dcf'])}, Cllr {number(part['cllr'])} bits; {counts}")
    return lines + [interval_note(metrics)] + [note for name in ("attacks_note", "hint") if (note := metrics.get(name))]


def training_facts(evaluation: Evaluation) -> dict[str, str]:
    """What the model is and what it was trained on."""
    metadata, trained = evaluation.metadata, evaluation.metadata.get("trained_on") or {}
    if not metadata:
        return {"model": "scores read from a file; nothing is known of the system that made them"}
    facts = {"architecture": metadata.get("architecture"), "trained on": trained.get("description") or trained.get("corpus"),
             "training utterances": f"{trained['utterances']:,}" if isinstance(trained.get("utterances"), int) else None,
             "attacks in training": ", ".join(trained.get("attacks") or []),
             "attacks in dev": ", ".join(trained.get("dev_attacks") or []), "seed": trained.get("seed"),
             "window": f"{metadata['n_samples'] / metadata['sample_rate']:.2f} s" if metadata.get("n_samples") else None,
             "origin": metadata.get("origin")}
    return {name: str(value) for name, value in facts.items() if value not in (None, "")}


def evaluation_facts(evaluation: Evaluation) -> dict[str, str]:
    """What the figures were measured on."""
    rows, metrics = evaluation.rows, evaluation.metrics
    speakers, attacks = {row.labels.speaker for row in rows} - {"-"}, {row.labels.attack for row in rows} - {"-"}
    facts = {"evaluated on": metrics["subset"],
             "trials": f"{metrics['trials']['bonafide']:,} bona fide, {metrics['trials']['spoof']:,} spoof",
             "speakers": f"{len(speakers):,}" if speakers else "unknown"}
    for name, words in (("seen", "seen in training"), ("seen_on_dev", "seen on dev only"), ("unseen", "unseen")):
        if metrics.get(name):
            facts[f"attacks {words}"] = ", ".join(metrics[name]["attacks"]) or "none"
    if "seen" not in metrics:
        facts["attacks"] = ", ".join(sorted(attacks)) or "unknown"
    return facts


def decision_sentence(metrics: dict) -> str:
    """Where the threshold and the band come from, and what they do on these trials."""
    at = metrics["operating_point"]
    text = (f"Threshold {at['threshold']:.4f} on the {metrics['score']}: {at['origin']}. On these trials {percent(at['miss_rate'])} of "
            f"the bona fide ones are rejected and {percent(at['false_alarm_rate'])} of the spoofed ones accepted (HTER "
            f"{percent(at['hter'])}).")
    if at["band"]:
        text += (f" Band of uncertainty: {at['band'][0]:.2f} to {at['band'][1]:.2f}, which holds {percent(at['in_band'], 1)} of "
                 "these trials.")
    return text


def environment(made: dict) -> str:
    """Versions and platform in one line."""
    packages = ", ".join(f"{name} {version}" for name, version in (made.get("packages") or {}).items())
    return f"Python {made.get('python')} on {made.get('platform')}, code version {made.get('commit') or 'unknown'}; {packages}"


def limits(evaluation: Evaluation) -> list[str]:
    """What these figures do not show, read off the evaluation itself."""
    metrics, trained = evaluation.metrics, evaluation.metadata.get("trained_on") or {}
    found = []
    if trained.get("demo"):
        found.append("The model was trained on a small demonstration corpus. The figures "
                     "do not carry over to other recordings, and the model must not be relied on to detect modern deepfakes.")
        found += [metrics["hint"]] if metrics.get("hint") else []
    if metrics.get("unseen", {}).get("attacks"):
        count = len(metrics["unseen"]["attacks"])
        found.append(f"\"Unseen\" means {count} attack{'s' * (count > 1)} absent from training"
                     f"{' and dev' * ('seen_on_dev' in metrics)}, of the same corpus and channel. Attacks of another kind may be missed far more often.")
    elif metrics.get("per_attack") and not metrics.get("attacks_note"):
        found.append("No attack in this evaluation is known to be new to the model, so it says nothing about attacks unlike "
                     "those of training.")
    found += [metrics["attacks_note"]] if metrics.get("attacks_note") else []
    if metrics.get("interval", {}).get("by") == "trials":
        found.append("The intervals resample trials, not speakers (too few are known), so they are too narrow where trials of "
                     "one speaker resemble each other.")
    elif few_speakers(metrics):
        found.append(f"The intervals resample only {metrics['interval']['speakers']} speakers: too narrow. They do not cover other "
                     "speakers, nor other attacks, recordings or languages, nor another training run.")
    elif metrics.get("interval"):
        found.append("The intervals cover other speakers like these, not other attacks, recordings or languages, nor another "
                     "training run.")
    if metrics["score"] == RAW:
        found.append("The scores are not calibrated: actDCF and Cllr take them as log-likelihood ratios, which they are not, and "
                     "no score is a probability.")
    else:
        found.append("A log-likelihood ratio is only as good as the likeness between the recording and the trials it was "
                     "calibrated on.")
    if not evaluation.metadata:
        found.append("The scores were read from a file and taken as log-likelihood ratios for actDCF, Cllr and the "
                     "calibration plot.")
    if metrics.get("asv", {}).get("official", True):
        found.append("min t-DCF assumes the speaker verification system of the ASVspoof 5 plan; no such system was run here.")
    return found
