"""From the command line to a run that is ready for its next epoch."""
import argparse
import contextlib
from collections import Counter
from pathlib import Path

import torch
from torch import nn

from models import CONFIGS, build_model
from models.encoder import longest_input
from models.front_ends import HOP
from utils.common.errors import InputError
from utils.common.locks import only_run
from utils.common.text import readable_corpora
from utils.detector.checkpoint import load_checkpoint
from utils.detector.fitting import too_few_for_verdicts
from utils.detector.scoring import audio_profile
from utils.export.calibrating import OTHER_SPLIT, split_otherwise
from utils.parallel.join import Alone
from utils.signals import N_SAMPLES, SAMPLE_RATE
from utils.store.reader import StoredTrial
from utils.common.allocator import keep_freed_memory
from utils.training.architectures import ARCHITECTURES, RECIPE_OPTIONS, chosen, recipe_for
from utils.training.batches import seed_epoch
from utils.training.data import CropDataset, identity, open_part
from utils.training.learners.em import ExpectationMaximisation, affordable
from utils.training.learners.gradient import Gradient
from utils.training.learners.ridge import Ridge, penalties
from utils.training.orders import make_order
from utils.training.run import LAST, Run
from utils.training.setup.front_end import check_network, known_front_end
from utils.training.setup.speech_encoder import with_encoder
from utils.training.setup.weights import file_id, give_weights, with_widths

LEARNERS = {"gradient": Gradient, "em": ExpectationMaximisation, "ridge": Ridge}
SHORTEST_CROP = 0.2             # seconds; every network accepts it
BEFORE_TRAINING = 2 ** 31       # in place of the epoch when the first weights are drawn


def open_run(args: argparse.Namespace, processes: Alone) -> Run:
    """The run that the arguments describe, before its first epoch.

    Raises `InputError` for unusable data, files, names and sizes.
    """
    architecture = chosen(args)
    args.freeze = args.freeze or ARCHITECTURES[architecture].freeze
    values = {name: getattr(args, option) for option, name in RECIPE_OPTIONS.items()}
    recipe = recipe_for(architecture, args.recipe, **values)
    seed = recipe["seed"]
    train, dev = (open_part(args.data_dir, subset, args.max_samples, seed)
                  for subset in ("train", "dev"))
    name = choose_name(args.checkpoint_dir, architecture, args.run_name, args.resume)
    epochs = args.epochs or recipe["epochs"]
    crop = round(recipe["crop_seconds"] * SAMPLE_RATE)
    order = make_order(train.rows, recipe, seed)
    check_batch(order.batch_size, processes.size)
    check_crop(architecture, CONFIGS[architecture], recipe["crop_seconds"])
    front_end = known_front_end(args.front_end, crop)
    config = configuration(args, front_end, train.rows)
    if front_end != args.front_end:
        check_network(config, crop)
    recorded = recorded_arguments(args, recipe) | {"architecture": architecture, "epochs": epochs,
                                                   "front_end": front_end}
    model, start = first_network(config, seed, args, processes.device)
    run = Run(
        name=name, architecture=architecture, recipe=recipe, args=recorded,
        folder=args.checkpoint_dir / name, results_dir=args.results_dir / name,
        data_dir=args.data_dir, epochs=epochs, early_stop=args.early_stop,
        more_data=args.more_data, workers=args.num_workers, processes=processes,
        train=train, dev=dev, data={"train": identity(train), "dev": identity(dev)},
        audio=audio_profile(train), order=order,
        crops=CropDataset(train, crop, seed, recipe["augmentation"], tuple(penalties(recipe))),
        config=config, model=model, start=start)
    run.learner = LEARNERS[ARCHITECTURES[architecture].learner](run, args)
    return run


def first_network(config: dict, seed: int, args: argparse.Namespace,
                  device: torch.device) -> tuple[nn.Module, dict | None]:
    """The network with its first weights on `device`, and the origin that --init_from names."""
    keep_freed_memory()
    seed_epoch(seed, BEFORE_TRAINING)
    torch.use_deterministic_algorithms(device.type == "cpu")
    # Every new tensor would be filled with NaN first: a second pass over all activations.
    torch.utils.deterministic.fill_uninitialized_memory = False
    model = build_model(config)
    start = give_weights(model, config, args.encoder, args.init_from)
    return model.to(device), start


def recorded_arguments(args: argparse.Namespace, recipe: dict) -> dict:
    """The command line as checkpoints record it: sums of files instead of private paths."""
    given = {name: value for name, value in vars(args).items() if not isinstance(value, Path)}
    files = {name: file_id(getattr(args, name)) for name in ("teacher", "init_from", "encoder")}
    return given | recipe | files


def choose_name(checkpoint_dir: Path, architecture: str, run_name: str | None,
                resume: bool) -> str:
    """The given name; by default that of the newest run to resume, or the first free name."""
    if run_name is None and resume:
        runs = sorted(checkpoint_dir.glob(f"{architecture}-[0-9]*/{LAST}"),
                      key=lambda path: path.stat().st_mtime)
        if not runs:
            raise InputError(f"{checkpoint_dir} holds no run of {architecture} to resume: leave "
                             "out --resume, or name a run with --run_name")
        return runs[-1].parent.name
    if run_name is None:
        names = (f"{architecture}-{number}" for number in range(1, 10 ** 6))
        return next(name for name in names if not (checkpoint_dir / name / LAST).exists())
    if Path(run_name).name != run_name or run_name.startswith("."):
        raise InputError(f"--run_name {run_name} cannot be a folder's name: use letters, digits, "
                         "- and _")
    if (checkpoint_dir / run_name / LAST).exists() and not resume:
        raise InputError(f"the run {run_name} exists in {checkpoint_dir}: add --resume to "
                         "continue it, or choose another --run_name")
    return run_name


def configuration(args: argparse.Namespace, front_end: str | None,
                  rows: list[StoredTrial]) -> dict:
    """The configuration of the network for the training utterances `rows`."""
    given = {"front_end": front_end, "components": args.components}
    config = CONFIGS[chosen(args)] | {name: value for name, value in given.items()
                                      if value is not None}
    if "read" in config:
        config = (load_checkpoint(args.init_from)["config"] if args.init_from
                  else with_encoder(config, args.encoder, args.layers))
    elif args.init_from:
        config = with_widths(config, args.init_from)
    if "components" in config:
        bonafide = sum(row.labels.is_bonafide for row in rows)
        rarer = min(bonafide, len(rows) - bonafide)
        config["components"] = affordable(config["components"], rarer, N_SAMPLES // HOP)
    return config


def check_crop(architecture: str, config: dict, seconds: float) -> None:
    """Raise `InputError` if the network of this configuration cannot take crops of this length."""
    if seconds < SHORTEST_CROP:
        raise InputError(f"--crop_seconds {seconds:g} is too short for a network: "
                         f"give at least {SHORTEST_CROP}")
    if "max_frames" in config:
        longest = longest_input(config["max_frames"])
        if round(seconds * SAMPLE_RATE) > longest:
            raise InputError(f"--crop_seconds {seconds:g} is too long for {architecture}: "
                             f"give at most {longest / SAMPLE_RATE:.4f}")


def check_batch(size: int, processes: int) -> None:
    """Raise `InputError` if a batch has fewer utterances than there are processes."""
    if size < processes:
        raise InputError(f"a batch of {size} cannot be shared by {processes} processes: raise "
                         "--batch_size, or train on more utterances")


def alone_in_its_folder(run: Run) -> contextlib.AbstractContextManager:
    """A context in which no other process may write this run."""
    if not run.processes.lead:
        return contextlib.nullcontext()
    return only_run(run.folder / ".lock", f"training {run.name}")


def describe(run: Run) -> str:
    """Network, data, steps and epochs ahead, augmentation, and what does not learn."""
    done = len(run.history)
    if done >= run.epochs:
        return f"run {run.name} already has its {run.epochs} epochs: raise --epochs to train on"
    weights = sum(weight.numel() for weight in run.model.parameters())
    lines = [f"run {run.name}: {run.architecture} ({weights:,} weights) on "
             f"{run.processes.device}, {readable_corpora(run.train.info['corpus']['name'])}: "
             f"{len(run.train)} train and {len(run.dev)} dev utterances, {len(run.order)} steps of "
             f"{run.recipe['batch_size']} per epoch, epochs {done + 1} to {run.epochs}",
             *(run.crops.augmentation(0, name).describe()
               for name in dict.fromkeys(map(run.crops.named, range(2))))]
    used, stored = (too_few_for_verdicts(*Counter(row.labels.key for row in rows).values())
                    for rows in (run.dev.rows, run.dev.store.rows))
    if used:
        lines.append(used + ("" if stored else "; --max_samples left the others out"))
    if run.start:
        lines.append(f"starts from {run.args['init_from']}: {run.start['origin']}")
        if split_otherwise({"trained_on": run.start}, run.dev):
            lines.append(f"CAREFUL: {OTHER_SPLIT}")
    if "read" in run.config:
        blocks = run.config["encoder"]["encoder_num_layers"]
        lines.append(f"its encoder has {blocks} blocks")
    if part := ARCHITECTURES[run.architecture].starts:
        lines.append(f"its part {part} stays as it is; the rest is fitted to these data")
    if run.args["freeze"]:
        learning = sum(weight.numel() for weight in run.model.parameters() if weight.requires_grad)
        lines.append(f"frozen: {run.args['freeze']}; {learning:,} weights learn")
    if run.args["teacher"]:
        lines.append(f"teacher: {run.args['teacher']}")
    if run.processes.size > 1:
        lines.append(f"{run.processes.size} processes share each batch")
    return "\n".join(lines)
