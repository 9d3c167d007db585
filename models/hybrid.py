"""A frozen AASIST and the first blocks of a frozen speech encoder, read by one linear layer.

AASIST was trained on much synthetic speech, but it scores copies by vocoders as real. Its last
residual block holds traces of them that its read-out does not use. The encoder was trained on far
more speech. Here only one linear layer over the statistics of both learns, so some thousand
utterances are enough.
"""
import torch
from torch import Tensor, nn

from models.aasist import AASIST
from models.aasist import CONFIGS as AASIST_CONFIGS
from models.encoder import N_STATISTICS, WIDTH, SpeechEncoder, statistics

# weight of AASIST's last hidden layer, a small group of features, beside the large ones
HIDDEN_GAIN = 2.0
BAND_STATISTICS = 4    # of each channel


def band_statistics(features: Tensor) -> Tensor:
    """(B, C, 23, frames) -> (B, 4 * C): over the bands, mean and deviation of each channel's mean
    and deviation in time.
    """
    # (B, 2, C, 23)
    over_time = torch.stack([features.mean(dim=3), _deviation(features, 3)], dim=1)
    return torch.cat([over_time.mean(dim=3), _deviation(over_time, 3)], dim=1).flatten(1)


def _deviation(x: Tensor, dim: int) -> Tensor:
    return ((x - x.mean(dim=dim, keepdim=True)).square().mean(dim=dim) + 1e-8).sqrt()


class Hybrid(nn.Module):
    """Waves float32 (B, T), 2315 <= T and no longer than `max_frames`, to (standardised statistics
    (B, H), logits (B, 2)).

    Classes [spoof, bona fide]. `mean` and `scale` standardise the statistics, so that each of the
    three groups (AASIST's hidden layer, its last block, the encoder's layers) has the same variance
    in all, but for `HIDDEN_GAIN`.
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
        """AASIST's encoder output (B, C, 23, frames) and the waves (B, T) -> (statistics, logits).
        """
        hidden, _ = self.aasist.read_out(features)
        pooled = [hidden, band_statistics(features),
                  *(statistics(layer) for layer in self.encoder(waves))]
        last_hidden = (torch.cat(pooled, dim=1) - self.mean) * self.scale
        return last_hidden, self.out_layer(last_hidden)

    def standardise(self, mean: Tensor, deviation: Tensor) -> None:
        """Set `mean` and `scale` from the mean and the deviation (H,) of the statistics as they
        come.
        """
        gains = torch.cat([torch.full((width,), gain / width ** 0.5)
                           for width, gain in zip(self.widths, (HIDDEN_GAIN, 1.0, 1.0))])
        self.mean.copy_(mean)
        self.scale.copy_(gains / (deviation + 1e-4))


NETWORK = Hybrid
CONFIGS = {"hybrid": {"n_blocks": 2, "max_frames": 202, "aasist": AASIST_CONFIGS["aasist"]}}
