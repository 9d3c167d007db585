"""LFCC-GMM: one Gaussian mixture of bona fide frames, one of spoofed frames.

The score is the log-likelihood ratio per frame. This is baseline B02 of ASVspoof 2019 (Todisco et
al., "ASVspoof 2019: future horizons in spoofed and fake audio detection", Interspeech 2019): LFCC
with deltas and double deltas, 512 components each, diagonal covariances. B02 of 2021 is the same on
finer LFCC: 30 ms, 1,024 points, 70 filters.
"""
import math

import torch
from torch import Tensor, nn

from models.front_ends import LFCC


class LFCCGMM(nn.Module):
    """Waves float32 (B, T), T >= 320 → (embedding (B, 2), logits (B, 2)).

    The classes are [spoof, bona fide]. The embedding is the mean log-likelihood per frame under
    each mixture. The logits are the embedding minus its mean; their difference is the score.
    utils/training/learners/em.py fits the mixtures, without gradients. They are kept in float32
    and evaluated in float64, because their quadratic terms cancel.
    """

    def __init__(self, components: int):
        super().__init__()
        self.front_end = LFCC()
        shape = 2, components, self.front_end.size
        self.means = nn.Parameter(torch.zeros(shape), requires_grad=False)
        # the inverse of the variances
        self.precisions = nn.Parameter(torch.ones(shape), requires_grad=False)
        self.log_weights = nn.Parameter(torch.full(shape[:2], -math.log(components)),
                                        requires_grad=False)

    def joint(self, frames: Tensor, label: int) -> Tensor:
        """log p(frame, component) under a class' mixture: (..., 60) → float64 (..., components)."""
        means, precisions = self.means[label].double(), self.precisions[label].double()
        constant = self.log_weights[label].double() + 0.5 * (
            precisions.log() - math.log(2 * math.pi) - precisions * means.square()).sum(dim=1)
        frames = frames.double()
        return constant + frames @ (precisions * means).T - 0.5 * (frames.square() @ precisions.T)

    def forward(self, waves: Tensor) -> tuple[Tensor, Tensor]:
        frames = self.front_end(waves).transpose(1, 2)
        likelihood = [self.joint(frames, label).logsumexp(dim=-1).mean(dim=1) for label in (0, 1)]
        embedding = torch.stack(likelihood, dim=1)
        centred = embedding - embedding.mean(dim=1, keepdim=True)
        return embedding.to(waves.dtype), centred.to(waves.dtype)


NETWORK = LFCCGMM
CONFIGS = {"lfcc-gmm": {"components": 512}}
