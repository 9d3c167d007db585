"""AASIST: fixed sinc filters, a residual encoder, and graph attention over its output's nodes.

Jung et al., "AASIST: Audio anti-spoofing using integrated spectro-temporal graph attention
networks", ICASSP 2022. Attribute names equal the keys of the published state dict, so published
weights load strictly.
"""
import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.audio import SAMPLE_RATE
from models.frugal import Recomputed, learns, pool_in_time
from models.graph import GraphReadOut

N_BANDS = 70
FILTER_LENGTH = 129  # samples; published as 128, which the published code makes odd
MIN_SAMPLES = 2315  # the shortest input with one frame left after all poolings
# rows after pooling; pooling by three never reads the 70th band
N_FREQUENCIES = N_BANDS // 3
MAX_MASKED_BANDS = 20  # exclusive limit


def sinc_filters() -> Tensor:
    """(70, 129) band-pass filters with edges equally spaced on the mel scale, float32.

    The published code computes sinc in float32 and scales it in float64. The weights were trained
    on exactly that, so this function does the same. Filters made in float64 alone would change
    the logits by 2e-5.
    """
    top = 2595 * math.log10(1 + SAMPLE_RATE / 2 / 700)
    edges = [700 * (10 ** (top * i / N_BANDS / 2595) - 1) for i in range(N_BANDS + 1)]
    half = FILTER_LENGTH // 2
    times = torch.arange(-half, half + 1, dtype=torch.float32)
    window = torch.hamming_window(FILTER_LENGTH, periodic=False, dtype=torch.float64).float()

    def low_pass(cutoff: float) -> Tensor:
        phase = (2 * cutoff * times / SAMPLE_RATE) * math.pi
        sinc = torch.where(phase == 0, torch.ones_like(phase), phase.sin() / phase)
        return 2 * cutoff / SAMPLE_RATE * sinc.double()

    return torch.stack([window * (low_pass(high) - low_pass(low)).float()
                        for low, high in zip(edges, edges[1:])])


def draw_band_mask(generator: torch.Generator | None = None) -> tuple[int, int]:
    """(first band, number of bands) to silence in one training batch: 0 to 19 bands.

    The published code calls this "Freq_aug".
    """
    count = int(torch.randint(MAX_MASKED_BANDS, (), generator=generator))
    return int(torch.randint(N_BANDS - count + 1, (), generator=generator)), count


class SincBands(nn.Module):
    """The fixed filter bank: (B, T) -> (B, 1, 23, (T - 128) // 3).

    Magnitudes are pooled by three in band and time.
    """

    def __init__(self):
        super().__init__()
        # Without the 70th filter: pooling by three never reads it.
        filters = sinc_filters()[:3 * N_FREQUENCIES]
        self.register_buffer("filters", filters.unsqueeze(1), persistent=False)

    def forward(self, waves: Tensor, band_mask: tuple[int, int] | None = None) -> Tensor:
        filters = self.filters
        if band_mask is not None:
            first, count = band_mask
            filters = filters.clone()
            filters[first:first + count] = 0
        bands = F.conv1d(waves.unsqueeze(1), filters)
        return F.max_pool2d(bands.abs().unsqueeze(1), 3)


class ResidualBlock(nn.Module):
    """Two 2 x 3 convolutions and a short cut: (B, ci, H, W) -> (B, co, H, W // 3).

    The output is pooled by three in time, unless `pooled` is False. `inner`: channels between the
    convolutions, `channels_out` by default; a pruned block has fewer.
    """

    def __init__(self, channels_in: int, channels_out: int, first: bool, pooled: bool = True,
                 inner: int | None = None):
        super().__init__()
        self.pooled = pooled
        self.recomputed = first and pooled      # in the backward pass: cheap where a channel enters
        inner = inner or channels_out
        if not first:
            # Dead weight: the published forward normalises the input with bn1, but then convolves
            # the raw input, so bn1 never affects the output. It exists only for the published
            # keys and is not computed here. Its running statistics stay at their start values;
            # nothing reads them.
            self.bn1 = nn.BatchNorm2d(channels_in)
        self.conv1 = nn.Conv2d(channels_in, inner, (2, 3), padding=(1, 1))
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, channels_out, (2, 3), padding=(0, 1))
        if channels_in != channels_out:
            self.conv_downsample = nn.Conv2d(channels_in, channels_out, (1, 3), padding=(0, 1))
        else:
            self.conv_downsample = None

    @property
    def inner_norm(self) -> nn.BatchNorm2d:
        """The batch norm between the convolutions."""
        return self.bn2

    def forward(self, x: Tensor) -> Tensor:
        if self.recomputed and learns(self):
            return Recomputed.apply(self, x, *self.parameters())
        y = self.summed(x)
        return pool_in_time(y) if self.pooled else y

    def inside(self, x: Tensor) -> Tensor:
        """What the second convolution reads."""
        # in place, which saves an eighth of the memory in training
        return F.selu(self.bn2(self.conv1(x)), inplace=True)

    def summed(self, x: Tensor) -> Tensor:
        """The output before pooling."""
        y = self.conv2(self.inside(x))
        y += x if self.conv_downsample is None else self.conv_downsample(x)
        return y


def residual_blocks(channels: list[int], pooled: bool = True,
                    inner: list[int] | None = None) -> nn.Sequential:
    """Six residual blocks, each in its own `Sequential`: published keys are `encoder.0.0`.

    `inner`: of each block, see `ResidualBlock`.
    """
    widths = [1, channels[0], channels[1], channels[2], channels[3], channels[3], channels[3]]
    sizes = zip(widths[:-1], widths[1:], inner or widths[1:], strict=True)
    return nn.Sequential(*(
        nn.Sequential(ResidualBlock(before, after, first=number == 0, pooled=pooled, inner=between))
        for number, (before, after, between) in enumerate(sizes)))


class AASIST(GraphReadOut):
    """(B, T) float32 waveforms, T >= 2315 -> (last_hidden (B, 160), logits (B, 2)).

    The logits are in the order spoof, bona fide. `inner`: of a pruned network, the channels inside
    of its six residual blocks.
    """

    def __init__(self, channels: list[int], gat_dims: list[int], pool_ratios: list[float],
                 inner: list[int] | None = None):
        super().__init__()
        self.bands = SincBands()
        self.first_bn = nn.BatchNorm2d(1)
        self.encoder = residual_blocks(channels, inner=inner)
        self.add_graphs(N_FREQUENCIES, channels[-1], gat_dims, pool_ratios)

    def forward(self, waves: Tensor,
                band_mask: tuple[int, int] | None = None) -> tuple[Tensor, Tensor]:
        """`band_mask`, from `draw_band_mask`, silences sinc bands in training."""
        return self.read_out(self.encode(waves, band_mask))

    def encode(self, waves: Tensor, band_mask: tuple[int, int] | None = None) -> Tensor:
        """(B, T) -> (B, C, 23, frames)."""
        return self.encoder(self.image(waves, band_mask))

    def image(self, waves: Tensor, band_mask: tuple[int, int] | None = None) -> Tensor:
        """(B, T) -> (B, 1, 23, frames), which the residual blocks read."""
        if waves.size(1) < MIN_SAMPLES:
            raise ValueError(f"AASIST needs at least {MIN_SAMPLES} samples, not {waves.size(1)}")
        return F.selu(self.first_bn(self.bands(waves, band_mask)))

    def read_out(self, features: Tensor, waves: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Encoder output (B, C, 23, frames) -> (last_hidden, logits), through the graphs.

        Networks that hold an AASIST read `waves` too, and earlier blocks; AASIST does not.
        """
        magnitude = features.abs()
        return self.from_nodes(magnitude.amax(3).transpose(1, 2), magnitude.amax(2).transpose(1, 2))


NETWORK = AASIST
CONFIGS = {         # as published: the configuration files of the release
    "aasist": {"channels": [32, 32, 64, 64], "gat_dims": [64, 32], "pool_ratios": [0.5, 0.7, 0.5]},
    "aasist-l": {"channels": [32, 32, 24, 24], "gat_dims": [24, 32],
                 "pool_ratios": [0.4, 0.5, 0.7]}}
