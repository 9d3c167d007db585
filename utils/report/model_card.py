"""MODEL_CARD.md: what a model is, what was measured, and where not to trust it."""
from utils.report import words
from utils.report.evaluation import Evaluation
from utils.report.words import METRICS, number, with_interval

USE = """## Use

For research on audio deepfake detection. The model scores speech. A score is evidence for a person
to weigh, never proof. The model must not decide about people alone: not in moderation, in court or
at a border, and not as the only check of an authentication.

    python utils/simplified_inference.py --input_file recording.wav --force_cpu --model MODEL
"""


def build_card(evaluation: Evaluation) -> str:
    """The text of the card."""
    metrics = evaluation.metrics
    facts = words.training_facts(evaluation) | words.evaluation_facts(evaluation)
    sections = [
        f"# Model card: {evaluation.name}\n",
        "The evaluation wrote this card from its own figures. Evaluate again to update it.\n",
        "## Model and data\n", _list([f"{name}: {value}" for name, value in facts.items()]), USE,
        "## Measured\n", _figures(dict(words.parts(metrics))),
        f"{words.interval_note(metrics)} {metrics['convention']}. {words.costs(metrics)}.\n",
        "## Decision\n", words.decision_words(metrics) + "\n"]
    if calibration := metrics.get("calibration"):
        sections.append("On these trials, calibration changes Cllr from "
                        f"{number(calibration['cllr_before'])} to "
                        f"{number(calibration['cllr_after'])} bits.\n")
    if metrics.get("per_attack"):
        sections += ["## By attack\n", _figures(metrics["per_attack"])]
    limits = words.warnings(evaluation) + words.limits(evaluation)
    sections += ["## Limits\n", _list(limits), "## Environment\n", _environment(evaluation)]
    return "\n".join(sections)


def _list(items: list[str]) -> str:
    return "\n".join(f"- {item}" for item in items) + "\n"


def _figures(parts: dict[str, dict]) -> str:
    """A Markdown table of parts by name."""
    rows = [[name, *(with_interval(part, metric) for metric in METRICS), words.trials(part)]
            for name, part in parts.items()]
    header = ["", *METRICS.values(), "bona fide / spoof"]
    lines = [header, ["---"] * len(header), *rows]
    cells = [[cell.replace("|", "\\|").replace("\n", " ") for cell in line] for line in lines]
    return "".join(f"| {' | '.join(line)} |\n" for line in cells)


def _environment(evaluation: Evaluation) -> str:
    made = evaluation.metadata.get("environment") or evaluation.metrics["environment"]
    lines = [words.environment(made)]
    if given := evaluation.metadata.get("args"):
        lines.append(f"training arguments: {words.arguments(given)}")
    return _list(lines)
