"""LCNN: a light convolutional network with the max feature map as activation.

The trunk is table 1 of Lavrentyeva, Novoselov, Tseren, Volkova, Gorlanov, Kozlov, "STC antispoofing
systems for the ASVspoof2019 challenge", Interspeech 2019 (arXiv:1904.05576). The recurrent read-out
is LCNN-LSTM-sum of Wang, Yamagishi, "A comparative study on recent neural spoofing countermeasures
for synthetic speech detection", Interspeech 2021 (arXiv:2103.11326). ASVspoof 2021 uses it as the
LFCC-LCNN baseline.
"""
import torch
from torch import Tensor, nn

from models.front_ends import make_front_end

POOLED = 16     # how many numbers of a frame, and how many frames, become one


class MaxFeatureMap(nn.Module):
    """(B, 2 * channels, H, W) → (B, channels, H, W): the larger of two paired channels.

    Channel k of the first half is paired with channel k of the second half.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.channels = channels

    def forward(self, x: Tensor) -> Tensor:
        first, second = x.split(self.channels, dim=1)
        return torch.maximum(first, second)


def convolution(inputs: int, outputs: int, size: int) -> nn.Sequential:
    """A convolution that keeps H and W, then a max feature map.

    (B, inputs, H, W) → (B, outputs, H, W).
    """
    return nn.Sequential(nn.Conv2d(inputs, 2 * outputs, size, padding=size // 2),
                         MaxFeatureMap(outputs))


def trunk(width: int) -> nn.Sequential:
    """The nine convolutions of the published table, scaled to `width`.

    (B, 1, H, W) → (B, width, H // 16, W // 16).
    """
    def norm(channels: int) -> nn.BatchNorm2d:
        return nn.BatchNorm2d(channels, affine=False)
    half, double = 3 * width // 2, 2 * width
    return nn.Sequential(
        convolution(1, width, 5), nn.MaxPool2d(2),
        convolution(width, width, 1), norm(width),
        convolution(width, half, 3), nn.MaxPool2d(2), norm(half),
        convolution(half, half, 1), norm(half),
        convolution(half, double, 3), nn.MaxPool2d(2),
        convolution(double, double, 1), norm(double),
        convolution(double, width, 3), norm(width),
        convolution(width, width, 1), norm(width),
        convolution(width, width, 3), nn.MaxPool2d(2))


class LCNN(nn.Module):
    """Waves float32 (B, T) of at least 17 frames → (embedding (B, E), logits (B, 2)).

    The classes are [spoof, bona fide]. `front_end` is a name of `FRONT_ENDS`. `width` is 32 as
    published; the time of a training step grows with its square. Three things differ from the
    publication. The LFCC are those of `models.front_ends`; the 2021 baseline uses 1,024 points,
    half the band, and the energy instead of the first coefficient. Running averages standardise
    them. The output is two logits instead of one.
    """

    def __init__(self, front_end: str, width: int, dropout: float):
        super().__init__()
        self.front_end = make_front_end(front_end)
        if self.front_end.size < POOLED:
            raise ValueError(f"lcnn reads at least {POOLED} numbers per frame, not "
                             f"{self.front_end.size}")
        self.standardise = nn.BatchNorm1d(self.front_end.size, affine=False)
        self.trunk = trunk(width)
        self.dropout = nn.Dropout(dropout)
        embedding = width * (self.front_end.size // POOLED)
        self.recurrent = nn.LSTM(embedding, embedding // 2, num_layers=2, bidirectional=True,
                                 batch_first=True)
        self.out_layer = nn.Linear(embedding, 2)

    def forward(self, waves: Tensor) -> tuple[Tensor, Tensor]:
        # (B, 1, coefficients, frames)
        features = self.standardise(self.front_end(waves)).unsqueeze(1)
        # (B, frames / 16, embedding)
        frames = self.dropout(self.trunk(features)).flatten(1, 2).transpose(1, 2)
        embedding = (frames + self.recurrent(frames)[0]).mean(dim=1)
        return embedding, self.out_layer(embedding)


NETWORK = LCNN
CONFIGS = {"lcnn": {"front_end": "lfcc", "width": 16, "dropout": 0.5}}
