"""AASIST's own front end: 69 fixed sinc filters on the raw waveform, and their largest values.

AASIST takes the largest of three values in time; this one takes it over 10 ms, like the others.

    python notebooks/aasist_training.py --small_model --front_end notebooks/front_ends/sinc.py:Sinc
"""
from torch import Tensor, nn
from torch.nn import functional as F

from models.aasist import sinc_filters
from models.front_ends import HOP

FLOOR = 1e-4    # of a magnitude; the noise of 16-bit audio has about 1e-5
STRIDE = 4      # of the filters, in samples: the largest magnitude hardly needs the others


class Sinc(nn.Module):
    """Waves (B, T) → log10 of the largest magnitude of 69 bands, every 10 ms."""

    size = 69       # the published network never reads the 70th filter

    def __init__(self):
        super().__init__()
        filters = sinc_filters()[:self.size].unsqueeze(1)
        self.register_buffer("filters", filters, persistent=False)

    def forward(self, waves: Tensor) -> Tensor:
        bands = F.conv1d(waves.unsqueeze(1), self.filters, stride=STRIDE).abs()
        return F.max_pool1d(bands, HOP // STRIDE).clamp(min=FLOOR).log10()
