"""A frozen AASIST and the first blocks of a frozen speech encoder, with one linear read-out.

AASIST was trained on much synthetic speech, but it scores vocoder copies as real. The last residual
blocks contain traces of the vocoders, but AASIST's read-out does not use them. The encoder was
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
    standardise the statistics. Each group (AASIST's hidden layer, its last block, each of its
    `earlier_blocks`, the encoder's layers) then has the same total variance, except for
    `HIDDEN_GAIN`. Blocks are counted from 0.
    """

    def __init__(self, aasist: dict, n_blocks: int, max_frames: int,
                 earlier_blocks: list[int] | None = None):
        super().__init__()
        self.aasist = AASIST(**aasist)
        self.encoder = SpeechEncoder(n_blocks, max_frames)
        self.earlier_blocks = earlier_blocks or []
        blocks = [self.aasist.encoder[number][0] for number in (-1, *self.earlier_blocks)]
        self.widths = [self.aasist.out_layer.in_features,
                       *(BAND_STATISTICS * block.conv2.out_channels for block in blocks),
                       N_STATISTICS * WIDTH * (n_blocks + 1)]
        self.register_buffer("mean", torch.zeros(sum(self.widths)))
        self.register_buffer("scale", torch.ones(sum(self.widths)))
        self.out_layer = nn.Linear(sum(self.widths), 2)

    def forward(self, waves: Tensor) -> tuple[Tensor, Tensor]:
        features = self.aasist.image(waves)
        found = []
        for block in self.aasist.encoder:
            features = block(features)
            found.append(features)
        return self.read_out(features, waves, *(found[number] for number in self.earlier_blocks))

    def read_out(self, features: Tensor, waves: Tensor,
                 *earlier: Tensor) -> tuple[Tensor, Tensor]:
        """(statistics, logits) of AASIST's encoder output (B, C, 23, frames) and waves (B, T).

        `earlier`: the outputs of `earlier_blocks`, each (B, C, 23, more frames).
        """
        hidden, _ = self.aasist.read_out(features)
        pooled = [hidden, *(band_statistics(block) for block in (features, *earlier)),
                  *(statistics(layer) for layer in self.encoder(waves))]
        last_hidden = (torch.cat(pooled, dim=1) - self.mean) * self.scale
        return last_hidden, self.out_layer(last_hidden)

    def standardise(self, mean: Tensor, deviation: Tensor) -> None:
        """Set `mean` and `scale` from the mean and the deviation (H,) of the raw statistics."""
        hidden, *others = self.widths
        gains = torch.cat([torch.full((hidden,), HIDDEN_GAIN / hidden ** 0.5),
                           *(torch.full((width,), width ** -0.5) for width in others)])
        self.mean.copy_(mean)
        self.scale.copy_(gains / (deviation + 1e-4))


NETWORK = Hybrid
CONFIGS = {"hybrid": {"n_blocks": 2, "max_frames": 202, "aasist": AASIST_CONFIGS["aasist"],
                      "earlier_blocks": [3, 4]}}
