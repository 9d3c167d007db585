"""The steps that are struck, with the options that make them short and their work worth
interrupting.
"""
from tests.robustness.bench.harness import Bench
from tests.robustness.bench.records import Step

FREQUENT = ("import utils.store.writer as writer\n"
            "writer.COMMIT_BYTES, writer.SHARD_BYTES = 1 << 18, 1 << 20\n")
ONE_EPOCH = """
import sys
import utils.training.saving as saving
whole = saving.save_epoch
def save_epoch(*figures):
    whole(*figures)
    sys.exit(0)
saving.save_epoch = save_epoch
"""
TRAINING = ("--small_model", "--batch_size", "8", "--max_samples", "24", "--seed", "3",
            "--data_dir", "data", "--checkpoint_dir", "checkpoints", "--results_dir", "results",
            "--run_name", "r", "--resume")  # this seed gives scores that can be calibrated
SCORING = ("--model", "checkpoints/r/best.onnx", "--threads", "1")

EXTRACT = Step("prepare --extract", "utils/prepare_dataset.py", ("--data_dir", "data", "--extract"),
               ("data/protocols", "data/raw/flac_D"))
PREPARE = Step("prepare", "utils/prepare_dataset.py", ("--data_dir", "data"), ("data/protocols",),
               ("--data_dir", "data", "--seed", "2"), ("data/protocols/corpus.json",))
# commits made frequent, so that there is something to go on with
PREPROCESS = Step("preprocess", "utils/preprocess_data.py",
                  ("--data_dir", "data", "--workers", "2"), ("data/processed",),
                  ("--data_dir", "data", "--limit", "9"), ("data/processed/*/store.json",),
                  first=FREQUENT)
TRAIN = Step("train", "notebooks/aasist_training.py", (*TRAINING, "--epochs", "3"),
             ("checkpoints", "results/r"), (*TRAINING, "--epochs", "3"), stop=ONE_EPOCH, heavy=True)
EVALUATE = Step("evaluate", "utils/evaluate_model.py",
                (*SCORING, "--data_dir", "data", "--output", "results/e", "--replicates",
                 "100"), ("results/e",),
                (*SCORING, "--data_dir", "data", "--output", "results/e", "--replicates", "20",
                 "--prior", "0.2"),
                ("results/e/metrics.json",), heavy=True)
EXPORT = Step("export", "utils/export_model.py",
              ("--model", "checkpoints/r/best.pt", "--output", "exported/m.onnx"), ("exported",),
              ("--model", "checkpoints/r/last.pt", "--output", "exported/m.onnx"), heavy=True)
INFER = Step("inference", "utils/simplified_inference.py",
             (*SCORING, "--input_file", "audio", "--output", "out/r.csv"), ("out",),
             (*SCORING, "--input_file", "audio", "--output", "out/r.csv", "--prior", "0.3"),
             ("out/r.csv",), code=1)
STEPS = (EXTRACT, PREPARE, PREPROCESS, TRAIN, EVALUATE, INFER)
ALL = (*STEPS[:4], EXPORT, *STEPS[4:])


def settle(bench: Bench, step: Step) -> None:
    """After a step was struck: leave what the steps behind it start from."""
    bench.clear(step)
    # which write to the same folder; archives are read in place from here on
    step = PREPARE if step is EXTRACT else step
    if step.name in bench.references:
        bench.restore(step)


def ready(bench: Bench, step: Step) -> None:
    """Make what comes before `step`, and the step itself once undisturbed; all of it lies in the
    home folder afterwards.
    """
    for before in ALL:
        if before.name not in bench.references:
            bench.reference(before)
            settle(bench, before)
        if before is step:
            return
