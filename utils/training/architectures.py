"""Which network a training run builds, and which of its options go together."""
import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from utils.common.errors import InputError
from utils.parallel.ranks import launched

if TYPE_CHECKING:
    from torch import nn

    from utils.store.reader import StoredTrial

ARCHITECTURES = ("aasist", "aasist-l", "small", "lcnn", "lfcc-gmm", "encoder", "hybrid")
FRONT_ENDS = ("lfcc", "logmel")
SHORTEST_CROP = 0.2     # seconds, which every network takes
FITTED = {"lfcc-gmm": "expectation-maximisation", "hybrid": "ridge regression"}    # what is learnt without gradients, and how
_BELONGS = {"encoder": ("encoder", "hybrid"), "front_end": ("lcnn",), "components": ("lfcc-gmm",), "ridge": ("hybrid",)}   # option -> architectures
_GRADIENTS = ("init_from", "freeze", "teacher", "distil_weight", "distil_temperature", "label_smoothing", "averaging")


def chosen(args: argparse.Namespace) -> str:
    """The architecture that the arguments ask for."""
    return "small" if args.small_model else args.architecture or "aasist"


def misuse(args: argparse.Namespace) -> str | None:
    """Why these arguments do not go together, for a usage error; None where they do."""
    architecture = chosen(args)
    if args.architecture not in (None, architecture):
        return f"--small_model and --architecture {args.architecture} ask for two networks: give one of them"
    for option, owners in _BELONGS.items():
        if getattr(args, option) is not None and architecture not in owners:
            return f"--{option} belongs to --architecture {' or '.join(owners)}, not to {architecture}"
    if architecture in _BELONGS["encoder"] and args.encoder is None:
        return f"--architecture {architecture} needs --encoder FILE: the ONNX file with the first two blocks of Whisper base"
    if architecture == "hybrid" and args.init_from is None:
        return "--architecture hybrid needs --init_from FILE: a checkpoint of an AASIST, which it reads and leaves as it is"
    if args.source_power is not None and args.balance != "source" and architecture != "hybrid":
        return "--source_power belongs to --balance source: add that, or leave it out"
    if architecture in FITTED:
        return _misuse_of_fit(args, architecture) or _misuse_of_runs(args)
    return _misuse_of_runs(args)


def _options(names: list[str], verb: str) -> str:
    """The options that a sentence is about, with its verb: "--a needs", "--a and --b need"."""
    *others, last = [f"--{name}" for name in names]
    return f"{', '.join(others)} and {last} {verb}" if others else f"{last} {verb}s"


def _misuse_of_fit(args: argparse.Namespace, architecture: str) -> str | None:
    how = FITTED[architecture]
    if args.learning_rate is not None:
        return f"--learning_rate does not go with {architecture}: {how} has none"
    # A hybrid takes the AASIST in it from --init_from.
    gradients = [name for name in _GRADIENTS if getattr(args, name) is not None and (architecture, name) != ("hybrid", "init_from")]
    if gradients:
        return f"{_options(gradients, 'belong')} to what learns by gradients: {architecture} is fitted by {how}"
    if args.recipe == "published":
        return f"--recipe published trains by gradients, {architecture} is fitted by {how}: leave it out"
    if args.balance and architecture == "hybrid":
        return "--balance draws batches, and hybrid is fitted to every utterance, weighted by source: give --source_power alone"
    if launched() and architecture == "lfcc-gmm":
        return f"{architecture} is fitted in one process: start it without torchrun"
    return None


def _misuse_of_runs(args: argparse.Namespace) -> str | None:
    distil = [name for name in ("distil_weight", "distil_temperature") if getattr(args, name) is not None]
    if distil and args.teacher is None:
        return f"{_options(distil, 'need')} a teacher: add --teacher FILE, or leave {'it' if len(distil) == 1 else 'them'} out"
    if args.seeds and args.seed is not None:
        return "--seeds names the seeds of several runs: leave out --seed"
    if args.more_data and not args.resume:
        return "--more_data goes on with a run: add --resume, or start a run from its weights with --init_from"
    return None


def configuration(args: argparse.Namespace, rows: list["StoredTrial"]) -> dict:
    """The configuration of the network for the training utterances `rows`."""
    from models import CONFIGS
    from models.front_ends import HOP
    from utils.signals import N_SAMPLES
    from utils.training.learners.em import affordable
    config = CONFIGS[chosen(args)]
    if args.front_end is not None:
        config = config | {"front_end": args.front_end}
    if "components" in config:
        rarer = min(sum(row.labels.key == key for row in rows) for key in ("bonafide", "spoof"))
        config = config | {"components": affordable(args.components or config["components"], rarer, N_SAMPLES // HOP)}
    return config


def check_crop(architecture: str, config: dict, seconds: float) -> None:
    """`InputError` where the network of this configuration cannot take crops of so many seconds."""
    from models.encoder import longest_input
    from utils.signals import SAMPLE_RATE
    if seconds < SHORTEST_CROP:
        raise InputError(f"--crop_seconds {seconds:g} is too short for a network: give at least {SHORTEST_CROP}")
    if "max_frames" in config and round(seconds * SAMPLE_RATE) > (longest := longest_input(config["max_frames"])):
        raise InputError(f"--crop_seconds {seconds:g} is too long for {architecture}: give at most {longest / SAMPLE_RATE:.4f}")


def give_weights(model: "nn.Module", encoder: Path | None) -> None:
    """Give a freshly built network the weights that it does not learn, and freeze them. `InputError` for a bad file."""
    if encoder is not None:
        from utils.training.encoder_weights import load_encoder_weights
        load_encoder_weights(model.encoder, encoder)
        model.encoder.requires_grad_(False)
    if hasattr(model, "aasist"):
        model.aasist.requires_grad_(False)
