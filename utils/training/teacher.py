"""A teacher's scores as soft targets (Hinton, Vinyals and Dean, 2015), for --teacher.

The teacher hears the student's crop as it lies in the store, before augmentation: the student learns to give a noisy or
coded crop the score that the clean one has. A crop that recurs (an utterance shorter than the crop always does) is scored once.
"""
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from utils.scoring.engine import load_engine
from utils.scoring.recording import raw_scores, reported, waveform
from utils.scoring.windows import tile
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
        if new:
            length = int(self.engine.metadata["n_samples"])
            waves = waveform(np.stack([tile(self.crops.crop(*place), length) for place in new]))
            self.known |= dict(zip(new, reported(raw_scores(self.engine, waves), self.engine.metadata.get("calibration"))))
        return torch.tensor([self.known[place] for place in places], dtype=torch.float32)


def distillation_loss(logits: Tensor, scores: Tensor, temperature: float) -> Tensor:
    """Kullback-Leibler divergence from the teacher's probabilities at a temperature to those of logits (B, 2), times its square.

    A teacher's score is the difference of its logits, bona fide minus spoof, so that its probability of bona fide is its
    logistic function. The square keeps the gradient's size whatever the temperature (the paper, section 2).
    """
    target = torch.stack([torch.sigmoid(-scores / temperature), torch.sigmoid(scores / temperature)], dim=1)
    return F.kl_div(F.log_softmax(logits / temperature, dim=1), target.to(logits), reduction="batchmean") * temperature ** 2
