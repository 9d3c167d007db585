"""results/<run>/report.html, one file with everything inside, and MODEL_CARD.md from the same figures."""
import base64
import re
from html import escape
from pathlib import Path

from utils.report import words as wording
from utils.report.model_card import write_model_card
from utils.report.evaluation import Evaluation
from utils.report.worst_trials import plot_worst, worst_trials
from utils.common.files import atomic_write

STYLE = """
body { font: 16px/1.55 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; color: #1c1c1c; background: #fff;
       margin: 0 auto; max-width: 66rem; padding: 1.5rem; }
h1 { font-size: 1.7rem; margin: 0 0 .3rem; } h2 { font-size: 1.25rem; margin: 2.2rem 0 .6rem; border-bottom: 1px solid #ddd; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: .6rem 0; }
th, td { text-align: left; padding: .25rem .9rem .25rem 0; border-bottom: 1px solid #e6e6e6; vertical-align: top; }
th { font-weight: 600; } .scroll { overflow-x: auto; } .small, .range { font-size: .88rem; color: #444; }
.range { white-space: nowrap; }
.note { background: #fff4e0; border-left: 4px solid #d98c00; padding: .6rem .9rem; margin: 1rem 0; }
.pair { display: flex; flex-wrap: wrap; gap: 1rem; } .pair figure { flex: 1 1 26rem; }
figure { margin: .6rem 0; } img { max-width: 100%; height: auto; } code { word-break: break-all; }
"""
METRICS = {"eer": "EER", "min_dcf": "minDCF", "act_dcf": "actDCF", "cllr": "Cllr (bits)"}
ALT = {"det": "DET curves with the operating point", "roc": "ROC curves with the operating point",
       "histogram": "Histogram of scores by key", "attacks": "EER of each attack with its interval",
       "calibration": "Calibration: evidence stated against found, and cost over priors",
       "history": "Loss and dev EER by epoch", "worst": "Spectrograms of the worst trials"}


def _cell(text: str) -> str:
    """An escaped cell; an interval in brackets goes below its figure, and neither is broken over lines."""
    text = escape(text).replace(" %", "&nbsp;%")
    return re.sub(r" \((\S+ to \S+)\)$", r"<br><span class=range>\1</span>", text)


def table(header: list[str], rows: list[list[str]]) -> str:
    """An HTML table of escaped cells; without header the first column heads each row."""
    head = f"<tr>{''.join(f'<th scope=col>{escape(cell)}</th>' for cell in header)}</tr>" if header else ""
    body = "".join(f"<tr><th scope=row>{escape(name)}</th>{''.join(f'<td>{_cell(cell)}</td>' for cell in cells)}</tr>"
                   for name, *cells in rows)
    return f"<div class=scroll><table>{head}{body}</table></div>"


def image(name: str, pictures: dict[str, Path]) -> str:
    """A picture inside the page; nothing where there is none."""
    if name not in pictures:
        return ""
    data = base64.b64encode(pictures[name].read_bytes()).decode("ascii")
    return f'<figure><img alt="{escape(ALT[name])}" src="data:image/png;base64,{data}"></figure>'


def metric_rows(parts: list[tuple[str, dict]]) -> list[list[str]]:
    """One row per part: its trials and every metric, intervals in brackets."""
    return [[name, *(wording.with_interval(part, metric) for metric in METRICS), wording.number(part["auc"]),
             wording.number(part["min_tdcf"]), f"{part['trials']['bonafide']:,} / {part['trials']['spoof']:,}"]
            for name, part in parts]


def _figures(metrics: dict) -> str:
    header = ["", *METRICS.values(), "AUC", "min t-DCF", "bona fide / spoof"]
    note = (f"{wording.interval_note(metrics)} {wording.price(metrics)}; minDCF and actDCF are normalised, 1 is what a detector "
            "that does not listen costs. Cllr: 0 is perfect, 1 says nothing, above 1 misleads.")
    return table(header, metric_rows(list(wording.parts(metrics)))) + f"<p class=small>{escape(note)}</p>"


def _operating(metrics: dict) -> str:
    rows = [[name, *(wording.percent(part["operating_point"][rate]) for rate in ("miss_rate", "false_alarm_rate", "hter")),
             wording.number(part["operating_point"]["dcf"])] for name, part in wording.parts(metrics)]
    return (f"<p>{escape(wording.decision_sentence(metrics))}</p>"
            + table(["", "bona fide rejected", "spoof accepted", "HTER", "normalised cost"], rows))


def _groups(metrics: dict) -> str:
    html = ""
    for key, title in (("per_attack", "attack"), ("per_codec", "codec"), ("per_gender", "speaker group (gender)")):
        if metrics.get(key):
            rows = [[name, *(wording.with_interval(part, metric) for metric in METRICS),
                     f"{part['trials']['bonafide']:,} / {part['trials']['spoof']:,}"] for name, part in metrics[key].items()]
            html += table([title, *METRICS.values(), "bona fide / spoof"], rows)
    return html


def _calibration(metrics: dict) -> str:
    made = metrics.get("calibration")
    if not made:
        return "<p>No calibration was fitted for these scores by this project.</p>"
    fitted = made["fitted"]
    rows = [["Cllr (bits) here", wording.number(made["cllr_before"]), wording.number(made["cllr_after"])],
            ["actDCF here", wording.number(made["act_dcf_before"]), wording.number(made["act_dcf_after"])],
            [f"Cllr (bits) on {fitted.get('subset', 'dev')}", *(wording.number(fitted.get(f"cllr_{when}"))
                                                                for when in ("before", "after"))]]
    sign = "-" if fitted["offset"] < 0 else "+"
    how = (f"LLR = {fitted['scale']:.5g} × score {sign} {abs(fitted['offset']):.5g} (natural logarithm), fitted on "
           f"{fitted.get('trials', '?')} trials of {fitted.get('subset', 'dev')}: {fitted.get('method', 'method not recorded')}.")
    return f"<p>{escape(how)}</p>" + table(["", "raw score", "calibrated"], rows)


def _worst(evaluation: Evaluation, pictures: dict[str, Path]) -> str:
    rows = [[row.utterance, row.labels.key, row.labels.attack, row.labels.speaker, f"{score:.3f}"] for row, score in
            ((evaluation.rows[i], evaluation.scores[i]) for i in worst_trials(evaluation))]
    text = ("The bona fide trials with the lowest scores and the spoof trials with the highest: the first place to look for "
            "what the model gets wrong, and for wrong labels.")
    return f"<p>{text}</p>" + table(["utterance", "key", "attack", "speaker", "score"], rows) + image("worst", pictures)


def _environment(evaluation: Evaluation) -> str:
    made = {"trained with": evaluation.metadata.get("environment"), "evaluated with": evaluation.metrics["environment"]}
    rows = [[name, wording.environment(environment)] for name, environment in made.items() if environment]
    if arguments := evaluation.metadata.get("args"):
        rows.append(["training arguments", ", ".join(f"{name} = {value}" for name, value in arguments.items())])
    if asked := evaluation.metrics.get("arguments"):
        rows.append(["evaluation arguments", ", ".join(f"{name} = {value}" for name, value in asked.items())])
    return table([], rows)


def build_page(evaluation: Evaluation, pictures: dict[str, Path]) -> str:
    """The whole report as one HTML page that loads nothing from anywhere."""
    metrics, name = evaluation.metrics, escape(evaluation.name)
    limits = wording.limits(evaluation)
    demo = (evaluation.metadata.get("trained_on") or {}).get("demo")
    facts = {**wording.training_facts(evaluation), **wording.evaluation_facts(evaluation)}
    sections = {
        "What was trained on what": table([], [[key, value] for key, value in facts.items()]),
        "Figures": _figures(metrics), "Operating point": _operating(metrics) + image("histogram", pictures),
        "DET and ROC": f"<div class=pair>{image('det', pictures)}{image('roc', pictures)}</div>" if "det" in pictures else "",
        "By group": image("attacks", pictures) + _groups(metrics) if _groups(metrics) else "",
        "Calibration": _calibration(metrics) + image("calibration", pictures), "Training": image("history", pictures),
        "Worst trials": _worst(evaluation, pictures), "Environment": _environment(evaluation),
        "Limits": f"<ul>{''.join(f'<li>{escape(text)}</li>' for text in limits)}</ul>"}
    body = "".join(f"<section><h2>{escape(title)}</h2>{html}</section>" for title, html in sections.items() if html)
    note = f"<p class=note>{escape(limits[0])}</p>" if demo else ""
    return ('<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>{name}: evaluation</title><style>{STYLE}</style></head>"
            f"<body><h1>{name}: evaluation on {escape(metrics['subset'])}</h1>"
            f"<p class=small>{escape(metrics['convention'])}. Score: {escape(metrics['score'])}.</p>{note}{body}</body></html>\n")


def write_report(run_dir: Path, evaluation: Evaluation, pictures: dict[str, Path]) -> Path:
    """Write report.html and MODEL_CARD.md into `run_dir`; returns the report's path."""
    if evaluation.store is not None:
        pictures = {**pictures, "worst": plot_worst(run_dir / "worst.png", evaluation)}
    else:
        (run_dir / "worst.png").unlink(missing_ok=True)
    with atomic_write(run_dir / "report.html") as file:
        file.write(build_page(evaluation, pictures))
    write_model_card(run_dir, evaluation)
    return run_dir / "report.html"
