"""The options of training: what each means, who reads it, and which fit together.

With the default None, the recipe of the architecture decides: utils/training/recipes.py.
PyTorch is not imported: `--help` answers at once.
"""
import argparse
import re
from pathlib import Path

from utils.common.arguments import count, positive, rate, seeds, share, weight
from utils.common.devices import DEVICES
from utils.common.files import CHECKPOINT_DIR, DATA_DIR, RESULTS_DIR
from utils.parallel.processes import launched
from utils.training.architectures import (ARCHITECTURES, FRONT_ENDS, LEARNERS, OPTIONS,
                                          SUM, Architecture, chosen)


def front_end(text: str) -> str:
    """The name of a front end, or FILE.py:CLASS."""
    if text not in FRONT_ENDS and not re.fullmatch(r".+\.py:[^\W\d]\w*", text):
        raise argparse.ArgumentTypeError(f"{text!r} is neither {' nor '.join(FRONT_ENDS)} nor "
                                         "FILE.py:CLASS")
    return text


def layers(text: str) -> int | str:
    """A number of blocks, or SUM."""
    return text if text == SUM else positive(text)


# By their readers, as `add_groups` takes them.
GROUPS = {
    "most used": (
        ("small_model", bool, False, "train the small network, which suits a laptop"),
        ("test", bool, False, "evaluate the best epoch on eval at the end"),
        ("resume", bool, False, "continue the run if it exists"),
        ("more_data", bool, False, "with --resume: accept stores with other data than before")),
    "network": (
        ("architecture", tuple(ARCHITECTURES), None, "network to train (default: aasist)"),
        ("front_end", front_end, None, "features that small or lcnn reads: lfcc, logmel, or a "
         "class of your own in FILE.py:CLASS, whose code runs (default: log spectrogram; lcnn: "
         "lfcc)"),
        ("components", positive, None, "components per mixture of lfcc-gmm (default: at most 512)"),
        ("encoder", Path, None, "ONNX file with the weights of the frozen speech encoder; ssl and "
         "ssl-aasist: a name such as xlsr-300m, a Hugging Face folder, or a fairseq file"),
        ("layers", layers, None, "N: ssl and ssl-aasist read the encoder's first N blocks "
         "(default: half, or all); sum: ssl-aasist reads a learnt weighted sum of all"),
        ("init_from", Path, None, "start from the weights of this checkpoint (.pt)")),
    "every learner": (
        ("recipe", ("default", "published"), "default",
         "default: chosen for each network; published: that of the AASIST paper"),
        ("augment", ("none", "speed", "rawboost", "full", "turns"), None,
         "augmentation of both classes; turns: speed and full in turn, by epoch or view"),
        ("crop_seconds", rate, None, "seconds of a training crop (default: 4.0375)"),
        ("batch_size", positive, None, "utterances per step (default: the recipe's)"),
        ("epochs", positive, None, "all epochs, resumed ones included (default: the recipe's)"),
        ("early_stop", positive, None, "stop after so many epochs without a lower dev EER"),
        ("source_power", share, None, "P: n recordings of a source count like n^P (default: the "
                                      "recipe's, 0.5 or 0.75)")),
    "learning by gradients or expectation-maximisation": (
        ("balance", ("none", "class", "attack", "source"), None,
         "how batches are drawn. none: shuffled; class: half bona fide; attack, source: also "
         "evenly over attacks or sources (default: the recipe's, attack)"),),
    "learning by gradients": (
        ("learning_rate", rate, None, "the highest learning rate (default: the recipe's)"),
        ("label_smoothing", share, None, "share of a label spread over both classes (default: 0)"),
        ("averaging", ("none", "moving", "swa-on-dev-improvement"), None,
         "which average of the weights to keep"),
        ("freeze", str, None, "parts that do not learn, separated by commas: names of modules, "
                              "a number of blocks, or norm (all batch-norm statistics)")),
    "learning by gradients or ridge regression": (
        ("teacher", Path, None, "learn this detector's scores (.pt or .onnx) beside the labels"),
        ("distil_weight", share, None, "weight of the teacher, 0 to 1 (default: 0.5)"),
        ("distil_temperature", rate, None, "softens the teacher's probabilities (default: 2)")),
    "learning by ridge regression": (
        ("views", positive, None, "crops of each utterance in one fit, each augmented anew "
                                  "(default: 1)"),
        ("ridge", rate, None, "penalty per unit of squared weight (default: the recipe's)"),
        ("level_penalty", weight, None,
         "penalty per squared change of the score at another level (default: 0, none)"),
        ("channel_penalty", weight, None,
         "penalty per squared change of the score through another channel (default: 0, none)")),
    "run": (
        ("max_samples", positive, None, "at most so many utterances of train, and of dev"),
        ("device", DEVICES, "cpu", "device that computes (default: cpu)"),
        ("seed", count, None, "equal seeds and threads give equal models on the CPU (default: 1)"),
        ("seeds", seeds, None, "seeds of several runs, such as 1,2,3; gives mean and spread"),
        ("num_workers", count, 0, "processes that load data ahead (default: 0)"),
        ("run_name", str, None, "folder of the run (default: <architecture>-<n>)"),
        ("data_dir", Path, DATA_DIR, "folder that holds processed/"),
        ("checkpoint_dir", Path, CHECKPOINT_DIR, "where models go"),
        ("results_dir", Path, RESULTS_DIR, "where figures go")),
}


def misuse(args: argparse.Namespace) -> str | None:
    """Why these arguments contradict each other, for a usage error; None if they do not."""
    name = chosen(args)
    network = ARCHITECTURES[name]
    learner = LEARNERS[network.learner]
    if args.architecture not in (None, name):
        return (f"--small_model and --architecture {args.architecture} ask for two networks: "
                "give one of them")
    given = [option for option in OPTIONS if getattr(args, option) is not None]
    if unknown := [option for option in given if not network.knows(option)]:
        return _unknown(unknown, name, learner.method)
    for option, what in network.required.items():
        if option not in given and not (network.whole_start and args.init_from):
            return f"--architecture {name} needs --{option} {what}"
    if network.whole_start and args.init_from and (args.encoder or args.layers):
        return f"--init_from gives {name} its encoder too: leave out --encoder and --layers"
    if args.layers == SUM and network.learner != "gradient":
        return f"--layers {SUM} is learnt by gradients: give a number, or choose ssl-aasist"
    if args.recipe == "published" and network.learner != "gradient":
        return (f"--recipe published needs gradients, and {name} learns by {learner.method}: "
                "leave it out")
    if launched() and not learner.several_processes:
        return f"{name} learns in one process: start it without torchrun"
    return _misuse_of_run(args, network)


def _unknown(options: list[str], name: str, method: str) -> str:
    owners = [other for other, network in ARCHITECTURES.items() if network.knows(options[0])]
    *others, last = [f"--{option}" for option in options]
    subject = f"{', '.join(others)} and {last} have" if others else f"{last} has"
    return (f"{subject} no meaning for {name}, which learns by {method}: leave "
            f"{'them' if others else 'it'} out, or choose --architecture {' or '.join(owners)}")


def _misuse_of_run(args: argparse.Namespace, network: Architecture) -> str | None:
    by_source = args.balance == "source" or "balance" not in network.recipe
    if args.source_power is not None and not by_source:
        return "--source_power needs --balance source: add that, or leave it out"
    if args.teacher is None:
        for option in ("distil_weight", "distil_temperature"):
            if getattr(args, option) is not None:
                return f"--{option} needs a teacher: add --teacher FILE, or leave it out"
    if args.seeds and args.seed is not None:
        return "--seeds names the seeds of several runs: leave out --seed"
    if args.more_data and not args.resume:
        return ("--more_data resumes a run: add --resume, or start a new run from its weights "
                "with --init_from")
    return None
