"""A frozen AASIST and the first blocks of a frozen speech encoder, with one linear read-out.

AASIST was trained on much synthetic speech, but it scores vocoder copies as real. The last residual
block contains traces of the vocoders, but AASIST's read-out does not use them. The encoder was
trained on far more speech. Here only one linear layer over the statistics of both is trained, so
some thousand utterances are enough.
"""
import torch
from torch import Tensor, nn

from models.aasist import AASIST
from models.aasist import CONFIGS as AASIST_CONFIGS
from models.encoder import N_STATISTICS, WIDTH, SpeechEncoder, statistics

# weight of AASIST's last hidden layer, because this group of features is small
HIDDEN_GAIN = 2.0
BAND_STATISTICS = 4    # per channel


def band_statistics(features: Tensor) -> Tensor:
    """(B, C, 23, frames) → (B, 4 * C).

    Each channel's mean and deviation over time, then the mean and deviation of both over bands.
    """
    # (B, 2, C, 23)
    over_time = torch.stack([features.mean(dim=3), _deviation(features, 3)], dim=1)
    return torch.cat([over_time.mean(dim=3), _deviation(over_time, 3)], dim=1).flatten(1)


def _deviation(x: Tensor, dim: int) -> Tensor:
    return ((x - x.mean(dim=dim, keepdim=True)).square().mean(dim=dim) + 1e-8).sqrt()


class Hybrid(nn.Module):
    """Waves float32 (B, T), T from 2315 to the `max_frames` limit → (statistics, logits).

    The shapes are (B, H) and (B, 2), with the classes [spoof, bona fide]. `mean` and `scale`
    standardise the statistics. Each of the three groups (AASIST's hidden layer, its last block,
    the encoder's layers) then has the same total variance, except for `HIDDEN_GAIN`.
    """

    def __init__(self, aasist: dict, n_blocks: int, max_frames: int):
        super().__init__()
        self.aasist = AASIST(**aasist)
        self.encoder = SpeechEncoder(n_blocks, max_frames)
        self.widths = [self.aasist.out_layer.in_features,
                       BAND_STATISTICS * self.aasist.pos_S.size(2),
                       N_STATISTICS * WIDTH * (n_blocks + 1)]
        self.register_buffer("mean", torch.zeros(sum(self.widths)))
        self.register_buffer("scale", torch.ones(sum(self.widths)))
        self.out_layer = nn.Linear(sum(self.widths), 2)

    def forward(self, waves: Tensor) -> tuple[Tensor, Tensor]:
        return self.read_out(self.aasist.encode(waves), waves)

    def read_out(self, features: Tensor, waves: Tensor) -> tuple[Tensor, Tensor]:
        """AASIST's encoder output (B, C, 23, frames), waves (B, T) → (statistics, logits)."""
        hidden, _ = self.aasist.read_out(features)
        pooled = [hidden, band_statistics(features),
                  *(statistics(layer) for layer in self.encoder(waves))]
        last_hidden = (torch.cat(pooled, dim=1) - self.mean) * self.scale
        return last_hidden, self.out_layer(last_hidden)

    def standardise(self, mean: Tensor, deviation: Tensor) -> None:
        """Set `mean` and `scale` from the mean and the deviation (H,) of the raw statistics."""
        gains = torch.cat([torch.full((width,), gain / width ** 0.5)
                           for width, gain in zip(self.widths, (HIDDEN_GAIN, 1.0, 1.0))])
        self.mean.copy_(mean)
        self.scale.copy_(gains / (deviation + 1e-4))


NETWORK = Hybrid
CONFIGS = {"hybrid": {"n_blocks": 2, "max_frames": 202, "aasist": AASIST_CONFIGS["aasist"]}}
