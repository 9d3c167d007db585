"""The yardstick: AASIST computed step by step as the published forward does it, for speed and memory comparisons.

Written from the description of the published code. What it does that `models.aasist` does not: all 70 filters are
applied, bn1 and a SELU are computed on the input of every block but the first and thrown away (in training their
running statistics are updated), and every operation is a call of its own. The graph layers, under one per cent of the
time, are shared.
"""
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models import CONFIGS
from models.aasist import AASIST, ResidualBlock, sinc_filters


class _PlainBands(nn.Module):
    def __init__(self):
        super().__init__()
        self.filters = sinc_filters()

    def forward(self, waves: Tensor, band_mask: tuple[int, int] | None = None) -> Tensor:
        filters = self.filters.to(waves.dtype, copy=True)
        if band_mask is not None:
            filters[band_mask[0]:sum(band_mask)] = 0
        bands = F.conv1d(waves.unsqueeze(1), filters.view(70, 1, -1))
        return F.max_pool2d(torch.abs(bands.unsqueeze(1)), (3, 3))


class _PlainBlock(ResidualBlock):
    def forward(self, x: Tensor) -> Tensor:
        if hasattr(self, "bn1"):
            F.selu(self.bn1(x))  # the published forward goes on with x
        y = self.conv1(x)
        y = self.bn2(y)
        y = F.selu(y)
        y = self.conv2(y)
        if self.conv_downsample is not None:
            x = self.conv_downsample(x)
        y = y + x
        return F.max_pool2d(y, (1, 3))


class PlainAASIST(AASIST):
    """The published forward; keys and mathematics as `models.aasist.AASIST`."""

    def __init__(self, architecture: str = "aasist"):
        super().__init__(**{key: value for key, value in CONFIGS[architecture].items() if key != "architecture"})
        self.bands = _PlainBands()
        for step in self.encoder:
            step[0].__class__ = _PlainBlock
