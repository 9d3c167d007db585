"""What ends a run: its best model is chosen and exported, and evaluated on eval."""
from functools import partial

from utils.store.reader import Store
from utils.common.errors import InputError
from utils.report.plots import plot_history
from utils.report.results import LOCK, write_results
from utils.report.words import headline
from utils.common.locks import only_run
from utils.detector.checkpoint import load_checkpoint, save_checkpoint
from utils.detector.engines import load_engine
from utils.export.export import export_onnx
from utils.training.data import write_examples
from utils.training.run import BEST, BEST_EPOCH, write_history
from utils.training.session import Session
from utils.training.transfer import renew_statistics


def finish(session: Session) -> float:
    """Let the average of epochs compete on dev (published recipe), export the best model, and draw the curves; its dev EER."""
    best, dev_eer = "the best epoch", session.best_eer
    if session.recipe["averaging"] == "swa-on-dev-improvement":
        best, dev_eer = _choose_average(session)
    if not session.group.ranks.lead:
        return dev_eer
    write_history(session.results_dir / "history.csv", session.history)   # a run killed just before writing it had its last epoch
    exported = session.run_dir / "best.onnx"
    difference = export_onnx(session.run_dir / BEST, exported)
    plot_history(session.results_dir / "history.png", session.history)
    print(f"kept {best}, dev EER {dev_eer:.2%}: {session.run_dir / BEST} and {exported.name} (logits equal to {difference:.0e}); "
          f"{session.results_dir / 'history.csv'} and history.png")
    return dev_eer


def _choose_average(session: Session) -> tuple[str, float]:
    """Write best.pt: the average of epochs, its batch-norm statistics renewed by one pass over train, or the best epoch.

    Which of the two in words, and its dev EER.
    """
    average = session.average.module
    waves = (waves.to(session.device) for waves, _ in session.batches(session.epochs_done))
    renew_statistics(average, session.resting_in(average), waves, partial(session.group.randomness, session.order.batch_size))
    figures, which = session.score_dev(average), f"the average of {int(session.average.n_averaged)} epochs"
    better = figures["dev_eer"] <= session.best_eer
    if session.group.ranks.lead:
        save_checkpoint(session.run_dir / BEST, session.checkpoint(average, figures, which) if better
                        else load_checkpoint(session.run_dir / BEST_EPOCH))
    print(f"{which}: dev EER {figures['dev_eer']:.2%}")
    return (which, figures["dev_eer"]) if better else ("the best epoch", session.best_eer)


def test(session: Session) -> dict | None:
    """Evaluate the best model on the eval subset; leave figures, pictures, report and two example recordings. The metrics.

    Of several processes each scores its share; all but the first return None.
    """
    store = Store(session.data_dir / "processed" / "eval")
    if store.info["corpus"]["name"] != session.train.info["corpus"]["name"]:
        raise InputError(f"{store.path} holds {store.info['corpus']['name']}, the model was trained on "
                         f"{session.train.info['corpus']['name']}: preprocess the eval subset of the same corpus, prepared together")
    session.group.wait()      # for best.onnx
    engine = load_engine(session.run_dir / "best.onnx")
    print(f"evaluating on {len(store)} eval utterances", flush=True)
    if not session.group.ranks.lead:
        session.scores_of(engine, store)
        return None
    with only_run(session.results_dir / LOCK, f"writing {session.results_dir}"):
        scores = session.scores_of(engine, store, progress=True)
        result = write_results(session.results_dir, store.rows, scores, engine.metadata, store=store, history=session.history,
                               arguments=session.args)
    write_examples(session.results_dir / "examples", store, session.seed)
    print("\n".join(headline(result)))
    print(f"figures: {session.results_dir / 'metrics.json'}; report: {session.results_dir / 'report.html'}")
    return result


def figures(session: Session, dev_eer: float, metrics: dict | None) -> dict:
    """A run in a row: its seed, epochs and times, `dev_eer` (of the model kept), and the EERs of eval where `metrics` are given."""
    row = {"seed": session.seed, "run": session.name, "epochs": session.epochs_done, "minutes": round(
        sum(line["seconds"] for line in session.history) / 60, 2), "dev_eer": dev_eer}
    if metrics:
        row |= {"eval_eer": metrics["eer"]}
        row |= {f"eval_eer_{name}": (metrics.get(name) or {}).get("eer") for name in ("seen", "unseen")}
    return row
