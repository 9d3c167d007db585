"""The constant-Q transform: narrow bands with long windows below, wide bands with short ones above.

Its bands are spaced like the keys of a piano. Todisco, Delgado, Evans, "A new feature for automatic
speaker verification anti-spoofing: constant Q cepstral coefficients", Odyssey 2016.

    python notebooks/aasist_training.py --small_model --front_end notebooks/front_ends/cqt.py:CQT
"""
import torch
from torch import Tensor, nn

from models.front_ends import FLOOR, HOP, power

LOWEST = 125.0      # Hz
PER_OCTAVE = 12


class CQT(nn.Module):
    """Waves (B, T) → log10 power of 72 bands from 125 Hz to 7.6 kHz, every 10 ms."""

    size = 72

    def __init__(self):
        super().__init__()
        frequencies = LOWEST * 2 ** (torch.arange(self.size) / PER_OCTAVE)
        lengths = 16000 / (frequencies * (2 ** (1 / PER_OCTAVE) - 1))   # samples: Q periods
        time = torch.arange(-(int(lengths[0]) // 2), int(lengths[0]) // 2 + 1)
        inside = (time.abs() <= lengths[:, None] / 2).float()
        window = inside * (1 + (2 * torch.pi * time / lengths[:, None]).cos()) / lengths[:, None]
        angle = 2 * torch.pi * frequencies[:, None] / 16000 * time
        kernels = torch.cat([window * angle.cos(), window * angle.sin()]).unsqueeze(1)
        self.register_buffer("kernels", kernels, persistent=False)

    def forward(self, waves: Tensor) -> Tensor:
        return power(waves, self.kernels, HOP).clamp(min=FLOOR).log10()
