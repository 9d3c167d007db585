"""MODEL_CARD.md: what a model is, what it was measured to do, where not to trust it, from the run's own figures."""
from pathlib import Path

from utils.report import words as wording
from utils.report.evaluation import Evaluation
from utils.common.files import atomic_write

METRICS = {"eer": "EER", "min_dcf": "minDCF", "act_dcf": "actDCF", "cllr": "Cllr (bits)"}
USE = """## Use

For research on audio-deepfake detection: it scores speech, and a score is evidence for a person to weigh, never proof.
It is not made to decide about people on its own: not for moderation, in court, at a border or as the only gate of an
authentication.

    python utils/simplified_inference.py --input_file recording.wav --force_cpu --model MODEL
"""


def cell(text: str) -> str:
    """`text` safe inside a Markdown table."""
    return text.replace("|", "\\|").replace("\n", " ")


def markdown_table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(cell, line)) + " |" for line in lines) + "\n"


def _list(items: list[str]) -> str:
    return "\n".join(f"- {item}" for item in items) + "\n"


def _figures(parts: list[tuple[str, dict]]) -> str:
    return markdown_table(["", *METRICS.values(), "bona fide / spoof"],
                          [[name, *(wording.with_interval(part, metric) for metric in METRICS),
                            f"{part['trials']['bonafide']:,} / {part['trials']['spoof']:,}"] for name, part in parts])


def _environment(evaluation: Evaluation) -> str:
    made = evaluation.metadata.get("environment") or evaluation.metrics["environment"]
    lines = [wording.environment(made)]
    if arguments := evaluation.metadata.get("args"):
        lines.append("training arguments: " + ", ".join(f"{name} = {value}" for name, value in arguments.items()))
    return _list(lines)


def build_card(evaluation: Evaluation) -> str:
    """The text of the card."""
    metrics = evaluation.metrics
    facts = {**wording.training_facts(evaluation), **wording.evaluation_facts(evaluation)}
    sections = [f"# Model card: {evaluation.name}\n",
                "Written by the evaluation from its own figures; evaluate again to bring it up to date.\n",
                "## Model and data\n", _list([f"{name}: {value}" for name, value in facts.items()]), USE,
                "## Measured\n", _figures(list(wording.parts(metrics))),
                f"{wording.interval_note(metrics)} {metrics['convention']}. {wording.price(metrics)}.\n",
                "## Decision\n", wording.decision_sentence(metrics) + "\n"]
    if calibrated := metrics.get("calibration"):
        sections.append(f"Calibration takes Cllr on these trials from {wording.number(calibrated['cllr_before'])} to "
                        f"{wording.number(calibrated['cllr_after'])} bits.\n")
    if metrics.get("per_attack"):
        sections += ["## By attack\n", _figures(list(metrics["per_attack"].items()))]
    sections += ["## Limits\n", _list(wording.limits(evaluation)), "## Environment\n", _environment(evaluation)]
    return "\n".join(sections)


def write_model_card(run_dir: Path, evaluation: Evaluation) -> Path:
    """Write MODEL_CARD.md into `run_dir` and return its path."""
    path = run_dir / "MODEL_CARD.md"
    with atomic_write(path) as file:
        file.write(build_card(evaluation))
    return path
