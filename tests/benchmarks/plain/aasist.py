"""AASIST step by step as the published forward computes it, to compare speed and memory with.

Written from the description of the published code. It does three things that `models.aasist` does
not. It applies all 70 filters. It computes bn1 and a SELU on the input of every block but the first
and drops them (in training their running statistics are updated). Each operation is a call of its
own. The graph layers, under one per cent of the time, are shared.
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
        config = dict(CONFIGS[architecture])
        del config["architecture"]
        super().__init__(**config)
        self.bands = _PlainBands()
        for step in self.encoder:
            step[0].__class__ = _PlainBlock
