"""The end of a run: its best model is chosen, exported, and evaluated on eval."""
from functools import partial

from utils.common.errors import InputError
from utils.common.locks import only_run
from utils.common.text import counted
from utils.detector.checkpoint import load_checkpoint, save_checkpoint
from utils.detector.engines import load_engine
from utils.detector.verdict import no_decision
from utils.export.export import export_onnx
from utils.report.plots import plot_history
from utils.report.results import LOCK, write_results
from utils.report.words import headline
from utils.store.reader import Store
from utils.training.batches import batches
from utils.training.data import write_examples
from utils.training.dev_scoring import score_dev, scores_of
from utils.training.run import BEST, BEST_EPOCH, Run
from utils.training.saving import averages_epochs, best_eer, checkpoint, write_history
from utils.training.learners.freezing import freeze, renew_statistics

EXPORTED = "best.onnx"
CHANCE = 0.5        # the EER of a model that does not listen


def export_best(run: Run) -> float:
    """Export the best model and draw the curves; returns the model's dev EER.

    An average of epochs is kept unless the best epoch has a lower dev EER.
    """
    best, dev_eer = "the best epoch", best_eer(run)
    if averages_epochs(run):
        best, dev_eer = _choose_average(run)
    if not run.processes.lead:
        return dev_eer
    write_history(run)      # it lacks the last epoch if the run was killed just after saving it
    kept = run.folder / BEST
    difference = export_onnx(kept, run.folder / EXPORTED)
    plot_history(run.results_dir / "history.png", run.history)
    print(f"kept {best}, dev EER {dev_eer:.2%}: {kept} and {EXPORTED} (logits equal to "
          f"{difference:.0e}); {run.results_dir / 'history.csv'} and history.png")
    if why := distrust(load_checkpoint(kept), dev_eer):
        print(f"this model cannot judge: {why}")
    return dev_eer


def distrust(metadata: dict, dev_eer: float) -> str | None:
    """Why verdicts of a model are worth nothing, if dev shows it."""
    if metadata.get("decision") is None:
        return no_decision(metadata)
    return "on dev, it errs as often as chance, or more" if dev_eer >= CHANCE else None


def _choose_average(run: Run) -> tuple[str, float]:
    """Write best.pt, the average of epochs or the best epoch; returns its name and its dev EER.

    One pass over train renews the average's batch-norm statistics first.
    """
    average = run.learner.average.module
    frozen = run.args["freeze"]
    resting = freeze(average, run.architecture, frozen) if frozen else []
    waves = (batch.waves.to(run.processes.device) for batch in batches(run, len(run.history)))
    renew_statistics(average, resting, waves,
                     partial(run.processes.whole_batch, run.order.batch_size))
    figures = score_dev(run, average)
    which = f"the average of {counted(int(run.learner.average.n_averaged), 'epoch')}"
    better = figures["dev_eer"] <= best_eer(run)
    if run.processes.lead:
        save_checkpoint(run.folder / BEST, checkpoint(run, average, figures, which) if better
                        else load_checkpoint(run.folder / BEST_EPOCH))
    print(f"{which}: dev EER {figures['dev_eer']:.2%}")
    return (which, figures["dev_eer"]) if better else ("the best epoch", best_eer(run))


def test(run: Run) -> dict | None:
    """Evaluate the best model on eval: figures, pictures, report, two example recordings.

    Of several processes, each scores its share. Number 0 returns the metrics, all others None.
    """
    store = Store(run.data_dir / "processed" / "eval")
    corpus = run.train.info["corpus"]["name"]
    if store.info["corpus"]["name"] != corpus:
        raise InputError(f"{store.path} holds {store.info['corpus']['name']}, the model was "
                         f"trained on {corpus}: preprocess the eval subset of the same corpus, "
                         "prepared together")
    run.processes.wait()      # for the exported model
    engine = load_engine(run.folder / EXPORTED)
    print(f"evaluating on {len(store)} eval utterances", flush=True)
    if not run.processes.lead:
        scores_of(run, engine, store)
        return None
    with only_run(run.results_dir / LOCK, f"writing {run.results_dir}"):
        scores = scores_of(run, engine, store, progress=True)
        metrics = write_results(run.results_dir, store.rows, scores, engine.metadata, store=store,
                                history=run.history, arguments=run.args)
    write_examples(run.results_dir / "examples", store, run.recipe["seed"])
    print("\n".join(headline(metrics)))
    print(f"figures: {run.results_dir / 'metrics.json'}; "
          f"report: {run.results_dir / 'report.html'}")
    return metrics
