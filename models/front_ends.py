"""Front ends from waves to features: LFCC of the ASVspoof baselines, log-mel spectra, one's own.

All operations are torch operations that export to ONNX; the Fourier transform is a strided
convolution.
"""
import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models import encoder
from models.audio import SAMPLE_RATE

WINDOW, HOP = 320, 160   # samples: 20 ms, 10 ms
N_FFT = 512
N_FILTERS = 20
PRE_EMPHASIS = 0.97
# The least energy of a filter. The published scripts instead add the epsilon of a double, 2.2e-16.
# The rounding noise of 16-bit audio has about 1e-7, so only digital silence, which is not speech,
# gets another value (-10, not -15.7).
FLOOR = 1e-10


def linear_filters() -> Tensor:
    """(20, 257) triangles of height 1 with corners spaced evenly from 0 to 8 kHz, float64."""
    corners = torch.linspace(0, SAMPLE_RATE / 2, N_FILTERS + 2, dtype=torch.float64)
    bins = torch.linspace(0, SAMPLE_RATE / 2, N_FFT // 2 + 1, dtype=torch.float64)
    rising = (bins - corners[:-2, None]) / (corners[1:-1] - corners[:-2])[:, None]
    falling = (corners[2:, None] - bins) / (corners[2:] - corners[1:-1])[:, None]
    return torch.minimum(rising, falling).clamp(min=0)


def cosine_transform(size: int) -> Tensor:
    """(size, size) orthonormal DCT-II; its rows are the coefficients; float64."""
    index = torch.arange(size, dtype=torch.float64)
    matrix = (math.pi / size * (index + 0.5) * index[:, None]).cos() * math.sqrt(2 / size)
    matrix[0] /= math.sqrt(2)
    return matrix


def hamming_fourier() -> Tensor:
    """(514, 1, 320) float64: cosines, then sines, of 257 bins under a symmetric Hamming window.

    The transform has 512 points.
    """
    time = torch.arange(WINDOW, dtype=torch.float64)
    angle = 2 * math.pi / N_FFT * torch.arange(N_FFT // 2 + 1, dtype=torch.float64)[:, None] * time
    window = torch.hamming_window(WINDOW, periodic=False, dtype=torch.float64)
    return (torch.cat([angle.cos(), angle.sin()]) * window).unsqueeze(1)


def power(waves: Tensor, fourier: Tensor, hop: int) -> Tensor:
    """Waves (B, T) → power spectra (B, bins, frames), without an incomplete last frame."""
    real, imaginary = F.conv1d(waves.unsqueeze(1), fourier, stride=hop).chunk(2, dim=1)
    return real.square() + imaginary.square()


def delta(features: Tensor) -> Tensor:
    """The next frame minus the previous one: (B, D, frames) → the same; edges are repeated."""
    padded = torch.cat([features[..., :1], features, features[..., -1:]], dim=-1)
    return padded[..., 2:] - padded[..., :-2]


class LFCC(nn.Module):
    """Waves (B, T), T >= 320 → (B, 60, (T - 160) // 160): 20 cepstra, their deltas, their deltas.

    LFCC as in the ASVspoof 2015 to 2019 baselines: Sahidullah, Kinnunen, Hanilci, "A comparison
    of features for synthetic speech detection", Interspeech 2015, and its extract_lfcc.m.
    Pre-emphasis, 20 ms Hamming windows every 10 ms, 512 points, 20 triangles over 0 to 8 kHz,
    log10, DCT. Its tables are computed in float64 and kept in `dtype`.
    """

    size = 3 * N_FILTERS

    def __init__(self, dtype: torch.dtype = torch.float32):
        super().__init__()
        self.register_buffer("fourier", hamming_fourier().to(dtype), persistent=False)
        self.register_buffer("filters", linear_filters().to(dtype), persistent=False)
        self.register_buffer("dct", cosine_transform(N_FILTERS).to(dtype), persistent=False)

    def static(self, waves: Tensor) -> Tensor:
        """The 20 cepstra alone, without pre-emphasis of `waves`: (B, 20, frames)."""
        return self.dct @ (self.filters @ power(waves, self.fourier, HOP)).clamp(min=FLOOR).log10()

    def forward(self, waves: Tensor) -> Tensor:
        emphasised = torch.cat([waves[:, :1], waves[:, 1:] - PRE_EMPHASIS * waves[:, :-1]], dim=1)
        static = self.static(emphasised)
        first = delta(static)
        return torch.cat([static, first, delta(first)], dim=1)


class LogMel(nn.Module):
    """Waves (B, T), T >= 400 → (B, 80, (T - 240) // 160): log10 energies of 80 mel bands.

    Windows of 25 ms every 10 ms. Bands and window are Whisper's (`models.encoder`). But neither
    the loudest band nor the ends of the recording change a frame: this front end has no floor
    below the maximum and no padding.
    """

    size = encoder.N_MELS

    def __init__(self, dtype: torch.dtype = torch.float32):
        super().__init__()
        self.register_buffer("fourier", encoder.fourier_filters().to(dtype), persistent=False)
        self.register_buffer("mel", encoder.mel_filters().to(dtype), persistent=False)

    def forward(self, waves: Tensor) -> Tensor:
        return (self.mel @ power(waves, self.fourier, encoder.HOP)).clamp(min=FLOOR).log10()


# By the names that --front_end takes. Training adds a front end of the user's own, under a name
# that holds the sum of its file.
FRONT_ENDS: dict[str, type[nn.Module]] = {"lfcc": LFCC, "logmel": LogMel}


class UnknownFrontEnd(ValueError):
    """A network needs a front end that is not in `FRONT_ENDS`."""


def make_front_end(name: str) -> nn.Module:
    """The front end of this name: waves (B, T) → (B, size, frames), with `size` as its attribute.

    It lies on the CPU, also where only shapes are asked for: a front end of one's own may compute
    its tables from numbers, which PyTorch's device "meta" does not have. Raises `UnknownFrontEnd`.
    """
    if name not in FRONT_ENDS:
        raise UnknownFrontEnd(f"unknown front end {name!r}: choose one of "
                              f"{', '.join(sorted(FRONT_ENDS))}")
    with torch.device("cpu"):
        return FRONT_ENDS[name]()
