"""A teacher's scores as soft targets (Hinton, Vinyals and Dean, 2015), for --teacher.

The teacher hears the student's crop before augmentation: the student learns to give a noisy or
coded crop the score of the clean one. An utterance no longer than the crop recurs in every epoch,
and is scored once.
"""
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from utils.detector.engines import load_engine
from utils.detector.scoring import heard, model_wave, reported_scores
from utils.training.data import CropDataset


class Teacher:
    """Reported scores of a detector (.pt or .onnx) for crops of the training store."""

    def __init__(self, path: Path, crops: CropDataset, device: str = "cpu"):
        self.engine = load_engine(path, device if path.suffix == ".pt" else "cpu")
        self.crops = crops
        self.known: dict[tuple[int, int], float] = {}      # by utterance and first sample

    def scores(self, items: list[tuple[int, int]]) -> Tensor:
        """Scores (B,) float32, higher = bona fide, for the dataset's items (epoch, index)."""
        places = [(index, self.crops.start(epoch, index)) for epoch, index in items]
        new = [place for place in dict.fromkeys(places) if place not in self.known]
        fresh = dict(zip(new, self._hear(new))) if new else {}
        # Only what recurs is kept: crops with a start of their own would fill gigabytes.
        self.known |= {place: fresh[place] for place in new
                       if self.crops.store.rows[place[0]].n_samples <= self.crops.n_samples}
        found = [fresh[place] if place in fresh else self.known[place] for place in places]
        return torch.tensor(found, dtype=torch.float32)

    def _hear(self, places: list[tuple[int, int]]) -> np.ndarray:
        """The scores (n,) of crops, each an utterance and its first sample."""
        crops = [np.concatenate(list(heard(self.engine, [self.crops.crop(*place)])))
                 for place in places]
        waves = np.stack([model_wave(self.engine, crop) for crop in crops])
        return reported_scores(self.engine, waves)


def distillation_loss(logits: Tensor, scores: Tensor, temperature: float) -> Tensor:
    """Divergence from the teacher's probabilities to those of logits (B, 2), times temperature^2.

    A score is the difference of two logits, so its logistic function is the probability of bona
    fide. The square keeps the gradient's size at any temperature (the paper, section 2).
    """
    soft = scores / temperature
    target = torch.stack([torch.sigmoid(-soft), torch.sigmoid(soft)], dim=1)
    divergence = F.kl_div(F.log_softmax(logits / temperature, dim=1), target.to(logits),
                          reduction="batchmean")
    return divergence * temperature ** 2
