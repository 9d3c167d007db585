"""A training run: all that the loop of notebooks/aasist_training.py passes on."""
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from utils.parallel.join import Alone
from utils.store.reader import StorePart
from utils.training.data import CropDataset
from utils.training.orders import Order

LAST = "last.pt"                # the state that --resume loads
BEST = "best.pt"
BEST_EPOCH = "best_epoch.pt"    # the best epoch, where best.pt may hold an average of epochs
AVERAGE_OF_EPOCHS = "swa-on-dev-improvement"


@dataclass
class Run:
    """Made by `open_run` of utils/training/setup. Only the last five fields change in training."""
    name: str
    architecture: str
    recipe: dict
    args: dict              # the command line as checkpoints record it, without private paths
    folder: Path            # of checkpoints
    results_dir: Path
    data_dir: Path
    epochs: int             # in all, those of a resumed run included
    early_stop: int | None  # epochs without a lower dev EER
    more_data: bool
    workers: int            # processes that load data ahead
    processes: Alone        # this one alone, or among several
    train: StorePart
    dev: StorePart
    data: dict              # what identifies the data, by subset
    audio: dict             # the audio profile of the train store
    order: Order
    crops: CropDataset
    config: dict            # of the network
    model: nn.Module
    start: dict | None      # what the checkpoint of --init_from says about its origin
    learner: Any = None     # of utils/training/learners
    history: list[dict] = field(default_factory=list)
    met: dict = field(default_factory=dict)     # what its epochs meet: see `met` in data.py
    # The lowest dev EER of the first `epochs` epochs, on today's dev set.
    bar: dict = field(default_factory=lambda: {"epochs": 0, "dev_eer": 1.0})
