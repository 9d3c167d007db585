"""Learning by gradients: what the loop of notebooks/aasist_training.py calls beside the network."""
import argparse

from torch import Tensor, nn

from models.aasist import draw_band_mask
from utils.training.batches import Batch
from utils.training.learners.optimisation import (Criterion, learning_rate, make_average,
                                                  make_optimizer)
from utils.training.run import Run
from utils.training.learners.freezing import freeze
from utils.training.learners.teacher import Teacher


class Gradient:
    """Optimiser, loss and averaged weights. Its epoch is `train_epoch` of the script."""

    def __init__(self, run: Run, args: argparse.Namespace):
        self.recipe = run.recipe
        self.model = run.model
        self.processes = run.processes
        self.steps_per_epoch = len(run.order)
        frozen = run.args["freeze"]
        self.resting = freeze(run.model, run.architecture, frozen) if frozen else []
        self.network = run.processes.shared_network(run.model)
        self.average = make_average(run.model, run.recipe)
        self.optimizer = make_optimizer(run.model, run.recipe)
        device = run.processes.device
        self.criterion = Criterion(run.recipe, device)
        self.teacher = Teacher(args.teacher, run.crops, device.type) if args.teacher else None

    @property
    def rate(self) -> float:
        """The learning rate of the last step."""
        return self.optimizer.param_groups[0]["lr"]

    @property
    def scored(self) -> nn.Module:
        """The network that dev scores: the moving average, where the recipe has one."""
        return self.average.module if self.recipe["averaging"] == "moving" else self.model

    def training_mode(self) -> None:
        """Dropout and batch statistics on, but for what is frozen."""
        self.network.train()
        for module in self.resting:
            module.eval()

    def set_rate(self, epoch: int, step: int) -> None:
        """Give the optimiser the learning rate of a step of an epoch, both counted from 0."""
        done = epoch * self.steps_per_epoch + step
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.recipe, done, self.steps_per_epoch)

    def masks(self) -> dict:
        """What the recipe hides from the network in one batch: keywords of its forward pass."""
        return {"band_mask": draw_band_mask()} if self.recipe["band_mask"] else {}

    def loss(self, logits: Tensor, batch: Batch) -> Tensor:
        """The loss of a batch: of its labels, and of the teacher's scores where there is one.

        Of several processes each returns its part: their mean is the loss of the whole batch.
        """
        labels = batch.labels.to(logits.device)
        scores = self.teacher.scores(batch.items) if self.teacher else None
        hard, soft = self.criterion(logits, labels, scores)
        weight = self.processes.weight
        return hard * weight(self.criterion.weight_of(labels)) + soft * weight(len(labels))

    def after_step(self) -> None:
        """Let the new weights join the moving average, where the recipe has one."""
        if self.recipe["averaging"] == "moving":
            self.average.update_parameters(self.model)

    def state(self) -> dict:
        """What a resumed run needs."""
        parts = {"model": self.model, "average": self.average, "optimizer": self.optimizer}
        return {name: part.state_dict() for name, part in parts.items() if part is not None}

    def load(self, state: dict) -> None:
        """Continue from what `state()` returned."""
        self.model.load_state_dict(state["model"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
