"""The modulation spectrum: how fast the loudness of each band goes up and down.

Speech moves at 2 to 20 Hz and at its pitch. A synthesiser that works in frames of 5 to 12 ms can
leave a rhythm of its own, at 80 to 200 Hz.

    python notebooks/aasist_training.py --small_model \\
        --front_end notebooks/front_ends/modulation.py:Modulation
"""
from torch import Tensor, nn
from torch.nn import functional as F

from models.front_ends import FLOOR, power
from models.small import fourier_filters

BANDS = 8           # of 1 kHz each
LOUDNESS_HOP = 32   # samples: the loudness of a band is taken 500 times a second
RATES = 16          # modulation rates of 16 to 250 Hz, 16 Hz apart
HOP = 8             # values of loudness, 16 ms


class Modulation(nn.Module):
    """Waves (B, T) → log10 power of 16 modulation rates in each of 8 bands, every 16 ms."""

    size = BANDS * RATES

    def __init__(self):
        super().__init__()
        self.register_buffer("spectrum", fourier_filters(64, 64), persistent=False)
        self.register_buffer("rates", fourier_filters(2 * RATES, 2 * RATES), persistent=False)

    def forward(self, waves: Tensor) -> Tensor:
        bins = power(waves, self.spectrum, LOUDNESS_HOP).unflatten(1, (BANDS, 32 // BANDS))
        loudness = bins.sum(dim=2).clamp(min=FLOOR).log10()         # (B, 8, 500 per second)
        loudness = loudness - F.avg_pool1d(loudness, 33, stride=1, padding=16)
        rates = power(loudness.flatten(0, 1), self.rates, HOP)      # (B * 8, 16, frames)
        return rates.clamp(min=FLOOR).log10().unflatten(0, (-1, BANDS)).flatten(1, 2)
