"""A teacher's scores as soft targets (Hinton, Vinyals and Dean, 2015), for --teacher.

The teacher hears the student's crop as it lies in the store, before augmentation: the student learns to give a noisy or
coded crop the score that the clean one has. An utterance no longer than the crop, which recurs in every epoch, is scored once.
"""
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from utils.detector.engines import load_engine
from utils.detector.scoring import reported_scores, tile, waveform
from utils.training.data import CropDataset


class Teacher:
    """Scores of a detector (.pt or .onnx) for crops of the training store; calibrated where the detector is."""

    def __init__(self, path: Path, crops: CropDataset, device: str = "cpu"):
        self.engine = load_engine(path, device if path.suffix == ".pt" else "cpu")
        self.crops, self.known = crops, {}

    def scores(self, items: list[tuple[int, int]]) -> Tensor:
        """Scores (B,) float32, higher = bona fide, for the dataset's items (epoch, index)."""
        places = [(index, self.crops.start(epoch, index)) for epoch, index in items]
        new = [place for place in dict.fromkeys(places) if place not in self.known]
        fresh = dict(zip(new, self._hear(new))) if new else {}
        # Crops with a start of their own hardly ever recur: kept, they would fill gigabytes in a long run.
        self.known |= {place: fresh[place] for place in new if self.crops.store.rows[place[0]].n_samples <= self.crops.n_samples}
        return torch.tensor([fresh[place] if place in fresh else self.known[place] for place in places], dtype=torch.float32)

    def _hear(self, places: list[tuple[int, int]]) -> np.ndarray:
        """The scores (n,) of crops, each an utterance and its first sample."""
        length = int(self.engine.metadata["n_samples"])
        waves = waveform(np.stack([tile(self.crops.crop(*place), length) for place in places]))
        return reported_scores(self.engine, waves)


def distillation_loss(logits: Tensor, scores: Tensor, temperature: float) -> Tensor:
    """Kullback-Leibler divergence from the teacher's probabilities at a temperature to those of logits (B, 2), times its square.

    A teacher's score is the difference of its logits, bona fide minus spoof, so that its probability of bona fide is its
    logistic function. The square keeps the gradient's size whatever the temperature (the paper, section 2).
    """
    target = torch.stack([torch.sigmoid(-scores / temperature), torch.sigmoid(scores / temperature)], dim=1)
    return F.kl_div(F.log_softmax(logits / temperature, dim=1), target.to(logits), reduction="batchmean") * temperature ** 2
