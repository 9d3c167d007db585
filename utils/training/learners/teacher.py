"""A teacher's scores as soft targets (Hinton, Vinyals and Dean, 2015), for --teacher.

The teacher hears the middle of each utterance once, before augmentation: the student learns to give
a noisy or coded crop the score of the clean one. The scores stay on disk, and serve other runs too.
"""
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from utils.common.files import file_sha256
from utils.detector.engines import Engine, load_engine
from utils.detector.scoring import heard, model_wave, reported_scores
from utils.training.data import CropDataset
from utils.training.learners.kept import Kept


class ReportedScores:
    """An engine's reported scores as statistics of width 1, for `Kept`."""

    def __init__(self, engine: Engine):
        self.engine = engine

    def last_hidden(self, waves: np.ndarray) -> np.ndarray:
        """Scores (B, 1), higher = bona fide, of waves float32 (B, n_samples)."""
        return reported_scores(self.engine, waves)[:, None]


class Teacher:
    """Reported scores of a detector (.pt or .onnx) for utterances of the training store.

    `folder` keeps them in a file of this detector; with None they last as long as this object.
    """

    def __init__(self, path: Path, crops: CropDataset, device: str = "cpu",
                 folder: Path | None = None):
        self.engine = load_engine(path, device if path.suffix == ".pt" else "cpu")
        self.crops = crops
        self.known: dict[int, float] = {}       # by utterance
        scored = ReportedScores(self.engine)
        name = f"teacher-{file_sha256(path)[:16]}.f32"
        self.scored = scored if folder is None else Kept(lambda: scored, folder / name, 1)

    def scores(self, items: list[tuple[int, int]]) -> Tensor:
        """Scores (B,) float32, higher = bona fide, for the dataset's items (epoch, index)."""
        indices = [index for _, index in items]
        new = [index for index in dict.fromkeys(indices) if index not in self.known]
        if new:
            waves = np.stack([self._middle(index) for index in new])
            self.known |= dict(zip(new, self.scored.last_hidden(waves)[:, 0].tolist()))
        return torch.tensor([self.known[index] for index in indices], dtype=torch.float32)

    def _middle(self, index: int) -> np.ndarray:
        """The middle of an utterance as the wave float32 (n_samples,) that the teacher takes."""
        spare = self.crops.store.rows[index].n_samples - self.crops.n_samples
        crop = self.crops.crop(index, max(0, spare // 2))
        return model_wave(self.engine, np.concatenate(list(heard(self.engine, [crop]))))


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
