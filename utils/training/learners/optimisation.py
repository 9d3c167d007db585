"""What moves the weights: optimiser, learning rate, averaging, loss; all from one recipe."""
import math

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from utils.training.learners.teacher import distillation_loss


def make_optimizer(model: nn.Module, recipe: dict) -> torch.optim.Optimizer:
    """Adam with the recipe's `learning_rate`, `betas` and `weight_decay` (L2), for what learns."""
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return torch.optim.Adam(learning, lr=recipe["learning_rate"], betas=tuple(recipe["betas"]),
                            weight_decay=recipe["weight_decay"])


def learning_rate(recipe: dict, step: int, steps_per_epoch: int) -> float:
    """The learning rate of a step (from 0). It never depends on `--epochs`, so runs can resume.

    "cosine": from `learning_rate` to `final_learning_rate` over `schedule_epochs`, per step.
    "exponential": a straight climb over `warmup_steps`, then times `decay` for each epoch.
    """
    base = recipe["learning_rate"]
    if recipe["schedule"] == "cosine":
        done = min(1.0, step / (recipe["schedule_epochs"] * steps_per_epoch))
        final = recipe["final_learning_rate"]
        return final + (base - final) * 0.5 * (1 + math.cos(math.pi * done))
    climb = min(1.0, (step + 1) / recipe["warmup_steps"])
    return base * climb * recipe["decay"] ** (step / steps_per_epoch)


def make_average(model: nn.Module, recipe: dict) -> AveragedModel | None:
    """The averaged weights of the recipe, a second copy of the network; None for "none".

    "moving": over steps, batch-norm statistics too; short runs average over fewer steps.
    "swa-on-dev-improvement": equal shares of epochs (Izmailov et al. 2018); the batch-norm
    statistics are renewed at the end.
    """
    if recipe["averaging"] == "none":
        return None
    if recipe["averaging"] != "moving":
        return AveragedModel(model)

    def blend(average: Tensor, current: Tensor, count: Tensor) -> Tensor:
        if not average.is_floating_point():
            return current.clone()
        keep = min(recipe["average_decay"], (1 + int(count)) / (10 + int(count)))
        return torch.lerp(current, average, keep)
    return AveragedModel(model, avg_fn=blend, use_buffers=True)


class Criterion:
    """Cross-entropy over [spoof, bona fide], and beside it the divergence from a teacher."""

    def __init__(self, recipe: dict, device: torch.device):
        weights = recipe["class_weights"]
        self.weights = None if weights is None else torch.tensor(weights, device=device)
        self.cross_entropy = nn.CrossEntropyLoss(weight=self.weights,
                                                 label_smoothing=recipe["label_smoothing"])
        self.distil_weight = recipe["distil_weight"]
        self.temperature = recipe["distil_temperature"]

    def __call__(self, logits: Tensor, labels: Tensor,
                 scores: Tensor | None = None) -> tuple[Tensor, Tensor | float]:
        """Two parts of the loss: of labels (B,), and of a teacher's scores (B,), 0 without one."""
        hard = self.cross_entropy(logits, labels)
        if scores is None:
            return hard, 0.0
        soft = distillation_loss(logits, scores, self.temperature)
        return (1 - self.distil_weight) * hard, self.distil_weight * soft

    def weight_of(self, labels: Tensor) -> Tensor | float:
        """What labels weigh together: their number where classes weigh alike."""
        return float(len(labels)) if self.weights is None else self.weights[labels].sum()
