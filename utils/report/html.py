"""report.html: one page that holds its pictures and loads nothing."""
import base64
import re
from html import escape
from pathlib import Path

from utils.report import words
from utils.report.evaluation import Evaluation
from utils.report.pictures import worst_trials
from utils.report.words import METRICS, number, percent, with_interval

STYLE = """
body { font: 16px/1.55 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; color: #1c1c1c;
       background: #fff; margin: 0 auto; max-width: 66rem; padding: 1.5rem; }
h1 { font-size: 1.7rem; margin: 0 0 .3rem; }
h2 { font-size: 1.25rem; margin: 2.2rem 0 .6rem; border-bottom: 1px solid #ddd; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: .6rem 0; }
th, td { text-align: left; padding: .25rem .9rem .25rem 0; border-bottom: 1px solid #e6e6e6;
         vertical-align: top; }
th { font-weight: 600; }
.scroll { overflow-x: auto; }
.small, .range { font-size: .88rem; color: #444; }
.range { white-space: nowrap; }
.note { background: #fff4e0; border-left: 4px solid #d98c00; padding: .6rem .9rem;
        margin: 1rem 0; }
.pair { display: flex; flex-wrap: wrap; gap: 1rem; }
.pair figure { flex: 1 1 26rem; }
figure { margin: .6rem 0; }
img { max-width: 100%; height: auto; }
code { word-break: break-all; }
"""
PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">\
<meta name="viewport" content="width=device-width, initial-scale=1">\
<title>{name}: evaluation</title><style>{style}</style></head>\
<body><h1>{name}: evaluation on {subset}</h1>\
<p class=small>{convention}. Score: {score}.</p>{body}</body></html>
"""
ALT = {"det": "DET curves with the operating point", "roc": "ROC curves with the operating point",
       "histogram": "Histogram of scores by key", "attacks": "EER of each attack with its interval",
       "calibration": "Calibration: stated and measured evidence, and cost at other priors",
       "history": "Loss and dev EER by epoch", "worst": "Spectrograms of the worst trials"}


def build_page(evaluation: Evaluation, pictures: dict[str, Path]) -> str:
    """The report as one HTML page, with `pictures` (files by name) inside."""
    images = {name: _image(name, file) for name, file in pictures.items()}
    body = "".join(f"<p class=note>{escape(text)}</p>" for text in words.warnings(evaluation))
    body += "".join(f"<section><h2>{escape(title)}</h2>{html}</section>"
                    for title, html in _sections(evaluation, images).items() if html)
    metrics = evaluation.metrics
    facts = {name: escape(metrics[name]) for name in ("subset", "convention", "score")}
    return PAGE.format(name=escape(evaluation.name), style=STYLE, body=body, **facts)


def _sections(evaluation: Evaluation, images: dict[str, str]) -> dict[str, str]:
    """HTML by title; empty if the trials do not allow a section."""
    metrics = evaluation.metrics
    facts = words.training_facts(evaluation) | words.evaluation_facts(evaluation)
    limits = "".join(f"<li>{escape(text)}</li>" for text in words.limits(evaluation))
    curves = ""
    if "det" in images:
        curves = f"<div class=pair>{images['det']}{images['roc']}</div>"
    return {"Figures": _figures(metrics),
            "Model and data": _table([], [list(fact) for fact in facts.items()]),
            "Operating point": _operating_point(metrics) + images["histogram"],
            "DET and ROC": curves,
            "By group": images.get("attacks", "") + _groups(metrics),
            "Calibration": _calibration(metrics) + images.get("calibration", ""),
            "Training": images.get("history", ""),
            "Worst trials": _worst(evaluation) + images.get("worst", ""),
            "Environment": _environment(evaluation), "Limits": f"<ul>{limits}</ul>"}


def _image(name: str, file: Path) -> str:
    """A picture with its data inside."""
    data = base64.b64encode(file.read_bytes()).decode("ascii")
    return f'<figure><img alt="{escape(ALT[name])}" src="data:image/png;base64,{data}"></figure>'


def _table(header: list[str], rows: list[list[str]]) -> str:
    """An HTML table of escaped cells; the first column heads each row."""
    head = ""
    if header:
        head = f"<tr>{''.join(f'<th scope=col>{escape(cell)}</th>' for cell in header)}</tr>"
    body = ""
    for name, *cells in rows:
        body += f"<tr><th scope=row>{escape(name)}</th>{''.join(map(_cell, cells))}</tr>"
    return f"<div class=scroll><table>{head}{body}</table></div>"


def _cell(text: str) -> str:
    """A table cell; an interval in brackets goes below its figure."""
    text = escape(text).replace(" %", "&nbsp;%")
    text = re.sub(r" \((\S+ to \S+)\)$", r"<br><span class=range>\1</span>", text)
    return f"<td>{text}</td>"


def _figures(metrics: dict) -> str:
    rows = [[name, *(with_interval(part, metric) for metric in METRICS), number(part["auc"]),
             number(part["min_tdcf"]), words.trials(part)] for name, part in words.parts(metrics)]
    note = (f"{words.interval_note(metrics)} {words.costs(metrics)}. minDCF and actDCF are "
            "normalised: 1 is the cost of a detector that ignores the recording. "
            "Cllr: 0 is perfect, 1 carries no information, above 1 misleads.")
    return (_table(["", *METRICS.values(), "AUC", "min t-DCF", "bona fide / spoof"], rows)
            + f"<p class=small>{escape(note)}</p>")


def _operating_point(metrics: dict) -> str:
    rows = []
    for name, part in words.parts(metrics):
        point = part["operating_point"]
        rates = [percent(point[rate]) for rate in ("miss_rate", "false_alarm_rate", "hter")]
        rows.append([name, *rates, number(point["dcf"])])
    header = ["", "bona fide rejected", "spoof accepted", "HTER", "normalised cost"]
    return f"<p>{escape(words.decision_words(metrics))}</p>" + _table(header, rows)


def _groups(metrics: dict) -> str:
    html = ""
    for key, title in (("per_attack", "attack"), ("per_codec", "codec"), ("per_gender", "gender")):
        rows = [[name, *(with_interval(part, metric) for metric in METRICS), words.trials(part)]
                for name, part in metrics.get(key, {}).items()]
        if rows:
            html += _table([title, *METRICS.values(), "bona fide / spoof"], rows)
    return html


def _calibration(metrics: dict) -> str:
    made = metrics.get("calibration")
    if not made:
        return "<p>This project fitted no calibration for these scores.</p>"
    fitted = made["fitted"]
    subset = fitted.get("subset", "dev")
    rows = [["Cllr (bits) here", number(made["cllr_before"]), number(made["cllr_after"])],
            ["actDCF here", number(made["act_dcf_before"]), number(made["act_dcf_after"])],
            [f"Cllr (bits) on {subset}", number(fitted.get("cllr_before")),
             number(fitted.get("cllr_after"))]]
    sign = "-" if fitted["offset"] < 0 else "+"
    text = (f"LLR = {fitted['scale']:.5g} × score {sign} {abs(fitted['offset']):.5g} (natural "
            f"logarithm), fitted on {fitted.get('trials', '?')} trials of {subset}. "
            f"Method: {fitted.get('method', 'not recorded')}.")
    return f"<p>{escape(text)}</p>" + _table(["", "raw score", "calibrated"], rows)


def _worst(evaluation: Evaluation) -> str:
    rows = []
    for i in worst_trials(evaluation):
        labels = evaluation.rows[i].labels
        rows.append([evaluation.rows[i].utterance, labels.key, labels.attack, labels.speaker,
                     f"{evaluation.scores[i]:.3f}"])
    return ("<p>The bona fide trials with the lowest scores and the spoof trials with the highest. "
            "Look here first for errors of the model and for wrong labels.</p>"
            + _table(["utterance", "key", "attack", "speaker", "score"], rows))


def _environment(evaluation: Evaluation) -> str:
    made = {"trained with": evaluation.metadata.get("environment"),
            "evaluated with": evaluation.metrics["environment"]}
    rows = [[name, words.environment(packages)] for name, packages in made.items() if packages]
    for name, arguments in (("training arguments", evaluation.metadata.get("args")),
                            ("evaluation arguments", evaluation.metrics.get("arguments"))):
        if arguments:
            rows.append([name, words.arguments(arguments)])
    return _table([], rows)
