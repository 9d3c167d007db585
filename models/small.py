"""The small model: a log spectrogram and a narrow residual network, for a laptop's CPU.

It has no graph attention. The spectrogram is a strided convolution with windowed sines and cosines,
so the network consists of convolutions and exports unchanged. Measurements on the default corpus
chose the spectrum, the widths and the read-out. Another front end may take the spectrogram's place.
"""
import math

import torch
from torch import Tensor, nn

from models.front_ends import make_front_end

# largest share of bins or frames in a stripe, so two stripes leave half of a short crop
WIDEST_STRIPE = 0.25


def fourier_filters(n_fft: int, window: int) -> Tensor:
    """Hann-windowed cosines and sines for bins 1 to n_fft/2: (n_fft, 1, window)."""
    time = torch.arange(window, dtype=torch.float64)
    bins = torch.arange(1, n_fft // 2 + 1, dtype=torch.float64)
    angle = 2 * math.pi * bins[:, None] * time / n_fft
    hann = torch.hann_window(window, dtype=torch.float64)
    return (torch.cat([angle.cos(), angle.sin()]) * hann).float().unsqueeze(1)


class LogSpectrogram(nn.Module):
    """Waves (B, T) in [-1, 1] → log power (B, n_fft/2, frames), about -1 to 1.

    0 dB is a full-scale sine.
    """

    def __init__(self, n_fft: int, window: int, hop: int):
        super().__init__()
        self.hop, self.size = hop, n_fft // 2
        filters = fourier_filters(n_fft, window) / (window / 4)
        self.register_buffer("filters", filters, persistent=False)

    def forward(self, waves: Tensor) -> Tensor:
        parts = nn.functional.conv1d(waves.unsqueeze(1), self.filters, stride=self.hop)
        power = parts[:, :self.size].square() + parts[:, self.size:].square()
        return (power + 1e-9).log() / 10 + 1


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions with batch norm; they halve both axes.

    The short cut is an average and a 1 x 1 convolution. `inner`: channels between the convolutions,
    `outputs` by default; a pruned block has fewer.
    """

    def __init__(self, inputs: int, outputs: int, inner: int | None = None):
        super().__init__()
        inner = inner or outputs
        self.conv1 = nn.Conv2d(inputs, inner, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.short = nn.Conv2d(inputs, outputs, 1, bias=False)

    @property
    def inner_norm(self) -> nn.BatchNorm2d:
        """The batch norm between the convolutions."""
        return self.bn1

    def forward(self, x: Tensor) -> Tensor:
        y = nn.functional.relu(self.bn1(self.conv1(x)))
        short = self.short(nn.functional.avg_pool2d(x, 2, ceil_mode=True, count_include_pad=False))
        return nn.functional.relu(self.bn2(self.conv2(y)) + short)


def mask_stripes(features: Tensor, dim: int, widest: int) -> Tensor:
    """Set two random stripes of each spectrogram to its mean, which is 0.

    A stripe has up to `widest` bins (dim 2) or frames (dim 3). Masking as in SpecAugment (Park et
    al. 2019) keeps the network from relying on one band or moment.
    """
    size = features.shape[dim]
    widest = min(widest, int(size * WIDEST_STRIPE))
    shape = [1, 1, 1, 1]
    shape[dim] = size
    position = torch.arange(size, device=features.device).view(shape)
    for _ in range(2):
        width = torch.randint(widest + 1, (len(features), 1, 1, 1), device=features.device)
        start = (torch.rand(len(features), 1, 1, 1, device=features.device) * (size - width)).long()
        features = features.masked_fill((position >= start) & (position < start + width), 0.0)
    return features


class SmallModel(nn.Module):
    """Waves float32 (B, T), T >= `window` → (embedding (B, 2 * embedding), logits (B, 2)).

    The classes are [spoof, bona fide]. Each bin's mean over time is subtracted, because a fixed
    channel says nothing about synthesis. Frequencies keep their order up to the read-out.
    Attention weights the mean and the deviation over time (Okabe et al. 2018). `front_end`, a name
    of `models.front_ends.FRONT_ENDS`, takes the place of the log spectrogram. `inner`: of a pruned
    network, the channels inside of its residual blocks.
    """

    def __init__(self, n_fft: int, window: int, hop: int, widths: list[int], embedding: int,
                 dropout: float, mask_bins: int, mask_frames: int, front_end: str | None = None,
                 inner: list[int] | None = None):
        super().__init__()
        self.mask_bins, self.mask_frames = mask_bins, mask_frames
        self.front_end = (make_front_end(front_end) if front_end else
                          LogSpectrogram(n_fft, window, hop))
        self.bin_norm = nn.BatchNorm1d(self.front_end.size)
        first, *others = widths
        self.stem = nn.Sequential(nn.Conv2d(1, first, 5, stride=2, padding=2, bias=False),
                                  nn.BatchNorm2d(first), nn.ReLU())
        self.blocks = nn.Sequential(*(ResidualBlock(*sizes) for sizes in
                                      zip(widths[:-1], others, inner or others, strict=True)))
        rows = -(-self.front_end.size // 2 ** len(widths))
        self.projection = nn.Sequential(nn.Conv1d(widths[-1] * rows, embedding, 1, bias=False),
                                        nn.BatchNorm1d(embedding), nn.ReLU())
        self.attention = nn.Conv1d(embedding, 1, 1)
        self.dropout = nn.Dropout(dropout)
        self.out_layer = nn.Linear(2 * embedding, 2)

    def forward(self, waves: Tensor) -> tuple[Tensor, Tensor]:
        features = self.front_end(waves)
        features = self.bin_norm(features - features.mean(dim=2, keepdim=True)).unsqueeze(1)
        if self.training:
            features = mask_stripes(mask_stripes(features, 2, self.mask_bins), 3, self.mask_frames)
        # (B, embedding, frames / 16)
        frames = self.projection(self.blocks(self.stem(features)).flatten(1, 2))
        weight = self.attention(frames).softmax(dim=-1)
        mean = (frames * weight).sum(dim=-1)
        variance = (frames.square() * weight).sum(dim=-1) - mean.square()
        embedding = torch.cat([mean, (variance.clamp(min=0) + 1e-5).sqrt()], dim=1)
        return embedding, self.out_layer(self.dropout(embedding))


NETWORK = SmallModel
CONFIGS = {"small": {"n_fft": 256, "window": 256, "hop": 160, "widths": [16, 24, 32, 48],
                     "embedding": 64, "dropout": 0.3, "mask_bins": 16, "mask_frames": 40}}
