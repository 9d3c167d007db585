"""A teacher's scores as soft targets (Hinton, Vinyals and Dean, 2015), for --teacher.

The teacher hears the student's crop before augmentation: the student learns to give a noisy or
coded crop the score of the clean one. An utterance no longer than the crop recurs in every epoch,
and is scored once. A ridge fit has one target for all views of an utterance: the teacher hears its
middle, and the scores stay on disk for other runs.
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
    """Reported scores of a detector (.pt or .onnx) for crops of the training store.

    `once`: the middle of each utterance is heard for all of its crops. `folder` keeps the scores
    in a file of this detector; with None they last as long as this object.
    """

    def __init__(self, path: Path, crops: CropDataset, device: str = "cpu", *,
                 once: bool = False, folder: Path | None = None):
        self.engine = load_engine(path, device if path.suffix == ".pt" else "cpu")
        self.crops = crops
        self.once = once
        self.known: dict[tuple[int, int], float] = {}      # by utterance and first sample
        scored = ReportedScores(self.engine)
        name = f"teacher-{file_sha256(path)[:16]}.f32"
        self.scored = scored if folder is None else Kept(lambda: scored, folder / name, 1)

    def scores(self, items: list[tuple[int, int]]) -> Tensor:
        """Scores (B,) float32, higher = bona fide, for the dataset's items (epoch, index)."""
        places = [(index, self._start(epoch, index)) for epoch, index in items]
        new = [place for place in dict.fromkeys(places) if place not in self.known]
        fresh = dict(zip(new, self._hear(new))) if new else {}
        # Only what recurs is kept: crops with a start of their own would fill gigabytes.
        self.known |= {place: fresh[place] for place in new
                       if self.once or self._spare(place[0]) <= 0}
        found = [fresh[place] if place in fresh else self.known[place] for place in places]
        return torch.tensor(found, dtype=torch.float32)

    def _start(self, epoch: int, index: int) -> int:
        return max(0, self._spare(index) // 2) if self.once else self.crops.start(epoch, index)

    def _spare(self, index: int) -> int:
        """The samples by which an utterance is longer than a crop."""
        return self.crops.store.rows[index].n_samples - self.crops.n_samples

    def _hear(self, places: list[tuple[int, int]]) -> list[float]:
        """The scores of crops, each an utterance and its first sample."""
        crops = [np.concatenate(list(heard(self.engine, [self.crops.crop(*place)])))
                 for place in places]
        waves = np.stack([model_wave(self.engine, crop) for crop in crops])
        return self.scored.last_hidden(waves)[:, 0].tolist()


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
