"""What an evaluation leaves in results/<run>/: scores and keys in official form, metrics.json, pictures and report."""
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from utils.common.errors import InputError
from utils.detector.decision import Calibration, Costs, Decision, decision_of
from utils.metrics.det import as_bonafide, checked
from utils.metrics.intervals import REPLICATES
from utils.metrics.metrics import ASVSPOOF5_ASV, AsvRates, act_dcf, cllr
from utils.report.evaluation import LLR, OTHER_SYSTEM, RAW, Evaluation
from utils.metrics.summary import summarise
from utils.common.files import atomic_folder, atomic_write, write_json
from utils.common.provenance import environment

FILES = ("scores.tsv", "keys.tsv", "det.png", "roc.png", "histogram.png", "attacks.png", "calibration.png", "history.png", "worst.png",
         "report.html", "MODEL_CARD.md", "metrics.json")      # take their places together; the last says that all are there
LOCK = ".lock"      # in the folder of results: who writes there holds it
ANY_FOLDERS = "folders"     # what earlier versions, and the model in the box, call every corpus of folders
BY_NAME = ("Attacks are called seen or unseen by their names in the folders' lists alone: what is listed there under another name "
           "counts as unseen.")
CONVENTION = "CM score: higher = bona fide; rates are fractions; Cllr in bits"


def choose_operating_point(metadata: dict, prior_spoof: float | None, cost_miss: float | None, cost_fa: float | None) -> dict:
    """The decision to apply: {"threshold", "band", "origin", "prior_spoof", "cost_miss", "cost_fa"}.

    That of `decision_of`; where a model carries none, and for scores of another system, the Bayes threshold,
    so that there are figures. Raises `InputError` for an uncalibrated model with other costs.
    """
    decision = decision_of(metadata, prior_spoof, cost_miss, cost_fa) if metadata else None
    if decision is None:
        taken = "taking scores as log-likelihood ratios"
        if metadata:
            taken += ", which this model's raw scores are not"
        decision = Decision.bayes(Costs().changed(prior_spoof, cost_miss, cost_fa), taken)
    return decision.to_dict()


def _calibration_on(scores: np.ndarray, is_bonafide: np.ndarray, fitted: dict, price: tuple) -> dict:
    """How the raw scores and the calibrated ones do on these trials, beside the same on dev."""
    raw = Calibration.from_dict(fitted).undo(scores)
    groups = [(values[is_bonafide], values[~is_bonafide]) for values in (raw, scores)]
    costs = [act_dcf(*group, *price) for group in groups]
    values = {"cllr_before": cllr(*groups[0]), "cllr_after": cllr(*groups[1]),
              "act_dcf_before": costs[0], "act_dcf_after": costs[1]}
    return {**{name: None if np.isnan(value) else value for name, value in values.items()}, "fitted": fitted}


def attack_groups(metadata: dict, corpus: str | None, seen_attacks: Sequence[str] | None) -> tuple[dict, str | None]:
    """Which attacks the model knows, as arguments of `summarise`, and a sentence where that cannot be told or is told by names alone.

    Tags compare within one corpus only: "A07" of another one is another attack. So seen and unseen stand apart where the
    evaluated `corpus` is the one that the model was trained on, or where the caller names `seen_attacks`. Folders are known
    by their train list ("folders 0f3a..."): those prepared before that was so are the same as no other, and of the rest
    the sentence tells that names alone were compared.
    """
    if seen_attacks is not None:
        return {"seen_attacks": seen_attacks}, None
    trained = metadata.get("trained_on") or {}
    if trained.get("attacks") is None:
        return {}, None
    if corpus not in (None, ANY_FOLDERS) and corpus == trained.get("corpus"):
        return ({"seen_attacks": trained["attacks"], "dev_attacks": trained.get("dev_attacks") or ()},
                BY_NAME if corpus.startswith(ANY_FOLDERS) else None)
    where, there = _called(corpus) or "a corpus that is not named", _called(trained.get("corpus"))
    return {}, (f"Attacks seen and unseen in training are not told apart: tags of {where} do not compare with those of "
                f"{there or 'the training data, whose corpus is not named'}.")


def _called(corpus: str | None) -> str | None:
    return "folders prepared by an earlier version" if corpus == ANY_FOLDERS else corpus


def inverted(result: dict) -> str | None:
    """A hint where scores separate the classes the wrong way round."""
    if result["eer"] is None or result["eer"] <= 0.5:
        return None
    return (f"The EER of {result['eer']:.1%} is above 50 %: perhaps these scores are inverted (here, higher must mean bona "
            "fide), or the keys do not belong to them.")


def evaluate(rows: Sequence[Any], scores: np.ndarray, metadata: dict | None = None, *, subset: str = "eval",
             prior_spoof: float | None = None, cost_miss: float | None = None, cost_fa: float | None = None,
             seen_attacks: Sequence[str] | None = None, store: Any = None, replicates: int = REPLICATES, seed: int = 0,
             asv: AsvRates = ASVSPOOF5_ASV, arguments: dict | None = None) -> dict:
    """All figures of scored trials as metrics.json holds them: `summarise`, and what the scores, threshold and model are.

    Arguments as in `write_results`; nothing is written.
    """
    metadata, scores, keys = metadata or {}, checked(scores), [row.labels.key for row in rows]
    if len(scores) != len(rows):
        raise InputError(f"there are {len(scores)} scores for {len(rows)} trials: score the subset again")
    decision = choose_operating_point(metadata, prior_spoof, cost_miss, cost_fa)
    price = {name: decision[name] for name in ("prior_spoof", "cost_miss", "cost_fa")}
    corpus = (store.info.get("corpus") or {}).get("name") if store is not None else None
    groups, attacks_note = attack_groups(metadata, corpus, seen_attacks)
    columns = {f"{name}s": [getattr(row.labels, name) for row in rows] for name in ("attack", "speaker", "codec", "gender")}
    result = summarise(scores, keys, **columns, **groups, threshold=decision["threshold"], **price, asv=asv, replicates=replicates,
                       seed=seed)
    result["operating_point"] |= {"origin": decision["origin"], "band": decision["band"]}
    if (band := decision["band"]) is not None:
        result["operating_point"]["in_band"] = float(np.mean((scores >= band[0]) & (scores <= band[1])))
    fitted = metadata.get("calibration")
    if fitted:
        result["calibration"] = _calibration_on(scores, as_bonafide(keys), fitted, tuple(price.values()))
    described = {name: metadata.get(name) for name in ("architecture", "trained_on", "origin")} if metadata else None
    return result | {"score": OTHER_SYSTEM if not metadata else LLR if fitted else RAW, "convention": CONVENTION,
                     "subset": subset, "corpus": corpus, "attacks_note": attacks_note, "hint": inverted(result),
                     "asv": {"official": asv == ASVSPOOF5_ASV, **asdict(asv)}, "model": described,
                     "arguments": arguments, "environment": environment()}


def write_table(path: Path, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Write tab-separated columns under a header, atomically."""
    with atomic_write(path) as file:
        file.writelines("\t".join(row) + "\n" for row in (header, *rows))


def write_results(run_dir: Path, rows: Sequence[Any], scores: np.ndarray, metadata: dict | None = None, *, subset: str = "eval",
                  prior_spoof: float | None = None, cost_miss: float | None = None, cost_fa: float | None = None,
                  seen_attacks: Sequence[str] | None = None, store: Any = None, history: Sequence[dict] | None = None,
                  report: bool = True, replicates: int = REPLICATES, seed: int = 0, asv: AsvRates = ASVSPOOF5_ASV,
                  arguments: dict | None = None) -> dict:
    """Evaluate scored trials, write everything into `run_dir` at once, and return the content of metrics.json.

    `rows` are stored utterances, trials or key rows; `scores` the reported scores in their order (float64, higher = bona
    fide); `metadata` that of the engine or checkpoint (None for scores of another system). `seen_attacks` come from
    `metadata` where not given, for a `store` of the corpus that the model was trained on; `history` from
    `run_dir`/history.csv or else `metadata`. With `store`, the report shows spectrograms of the worst trials. `asv` are the
    speaker verification rates for the t-DCF. `arguments` (what this run was asked for, threads included) go into
    metrics.json as they are. Files:
    scores.tsv and keys.tsv (ASVspoof 5's official form), metrics.json, det.png, roc.png, histogram.png, attacks.png,
    calibration.png, history.png, and with `report` also report.html and MODEL_CARD.md. Raises `InputError`.
    """
    metadata, run_dir, scores = metadata or {}, Path(run_dir), checked(scores)
    result = evaluate(rows, scores, metadata, subset=subset, prior_spoof=prior_spoof, cost_miss=cost_miss, cost_fa=cost_fa,
                      seen_attacks=seen_attacks, store=store, replicates=replicates, seed=seed, asv=asv, arguments=arguments)
    named = [(row.utterance, repr(float(score))) for row, score in zip(rows, scores)]
    from utils.report.pictures import find_history, write_pictures    # matplotlib takes a second to import
    history = find_history(run_dir, metadata) if history is None else history
    with atomic_folder(run_dir, FILES) as folder:
        write_table(folder / "scores.tsv", ("filename", "cm-score"), named)
        write_table(folder / "keys.tsv", ("filename", "cm-label"), [(row.utterance, row.labels.key) for row in rows])
        evaluation = Evaluation(rows, scores, result, metadata, store, history, run_dir.resolve().name)
        pictures = write_pictures(folder, evaluation)
        if report:
            from utils.report.html import write_report
            write_report(folder, evaluation, pictures)
        write_json(folder / "metrics.json", result)
    return result
