"""The first blocks of a Whisper speech encoder, and a linear read-out of their statistics.

Radford et al., "Robust speech recognition via large-scale weak supervision", 2022. The input is a
log-mel spectrogram. All operations are torch operations that export to ONNX. The encoder's weights
come from a file (utils/training/setup/weights.py), because random weights would be useless.
"""
import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.audio import SAMPLE_RATE

N_FFT = 400       # samples, window and transform
HOP = 160         # samples
N_MELS = 80
WIDTH = 512       # size of the encoder's frames
N_HEADS = 8
DYNAMIC_RANGE = 8.0  # decades below the wave's loudest bin; quieter bins are raised to this level
# the shortest input with two frames: the second convolution halves their number
MIN_SAMPLES = 3 * HOP
N_STATISTICS = 3       # per dimension of each layer


def _slaney_mel(frequency: Tensor) -> Tensor:
    """Slaney's mel scale: linear below 1 kHz, logarithmic above."""
    step = math.log(6.4) / 27
    return torch.where(frequency < 1000, frequency * 3 / 200,
                       15 + (frequency.clamp(min=1e-3) / 1000).log() / step)


def _slaney_hertz(mel: Tensor) -> Tensor:
    step = math.log(6.4) / 27
    return torch.where(mel < 15, mel * 200 / 3, 1000 * ((mel - 15) * step).exp())


def mel_filters() -> Tensor:
    """(80, 201) triangles of equal area from 0 to 8 kHz, float32: Slaney's scale and norm."""
    top = _slaney_mel(torch.tensor([SAMPLE_RATE / 2], dtype=torch.float64))
    edges = _slaney_hertz(torch.linspace(0, 1, N_MELS + 2, dtype=torch.float64) * top)
    bins = torch.linspace(0, SAMPLE_RATE / 2, N_FFT // 2 + 1, dtype=torch.float64)
    rising = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    area = (2 / (edges[2:] - edges[:-2]))[:, None]
    return (torch.minimum(rising, falling).clamp(min=0) * area).float()


def fourier_filters() -> Tensor:
    """(402, 1, 400): cosines, then sines, of the 201 bins under a periodic Hann window."""
    time = torch.arange(N_FFT, dtype=torch.float64)
    angle = 2 * math.pi / N_FFT * torch.arange(N_FFT // 2 + 1, dtype=torch.float64)[:, None] * time
    window = torch.hann_window(N_FFT, dtype=torch.float64)
    return (torch.cat([angle.cos(), angle.sin()]) * window).float().unsqueeze(1)


class WhisperLogMel(nn.Module):
    """Waves (B, T), T > 200 → (B, 80, T // 160): Whisper's log-mel spectrogram."""

    def __init__(self):
        super().__init__()
        self.register_buffer("fourier", fourier_filters(), persistent=False)
        self.register_buffer("mel", mel_filters(), persistent=False)

    def forward(self, waves: Tensor) -> Tensor:
        return self.of_power(self.power(waves))

    def power(self, waves: Tensor) -> Tensor:
        """The power spectra (B, 201, T // 160)."""
        padded = F.pad(waves.unsqueeze(1), (N_FFT // 2, N_FFT // 2), mode="reflect")
        # Whisper's training dropped the last frame too
        parts = F.conv1d(padded, self.fourier, stride=HOP)[..., :-1]
        real, imaginary = parts.chunk(2, dim=1)
        return real.square() + imaginary.square()

    def of_power(self, power: Tensor) -> Tensor:
        """The log-mel spectrogram of power spectra."""
        level = (self.mel @ power).clamp(min=1e-10).log10()
        floor = level.amax(dim=(1, 2), keepdim=True) - DYNAMIC_RANGE
        return (torch.maximum(level, floor) + 4) / 4


class EncoderBlock(nn.Module):
    """One pre-norm transformer block: (B, frames, 512) -> the same."""

    def __init__(self):
        super().__init__()
        self.attn_ln = nn.LayerNorm(WIDTH)
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
        self.attn_out = nn.Linear(WIDTH, WIDTH)
        self.mlp_ln = nn.LayerNorm(WIDTH)
        self.fc1 = nn.Linear(WIDTH, 4 * WIDTH)
        self.fc2 = nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        batch, frames, _ = x.shape
        projected = self.qkv(self.attn_ln(x)).reshape(batch, frames, 3, N_HEADS, -1)
        query, key, value = projected.permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(query, key, value).transpose(1, 2)
        x = x + self.attn_out(attended.reshape(batch, frames, WIDTH))
        return x + self.fc2(F.gelu(self.fc1(self.mlp_ln(x))))


class SpeechEncoder(nn.Module):
    """Waves (B, T) → a list of frames (B, ceil(T // 160 / 2), 512).

    The list holds the frames after the convolutions and after each block.
    """

    def __init__(self, n_blocks: int, max_frames: int):
        super().__init__()
        self.log_mel = WhisperLogMel()
        self.conv1 = nn.Conv1d(N_MELS, WIDTH, 3, padding=1)
        self.conv2 = nn.Conv1d(WIDTH, WIDTH, 3, stride=2, padding=1)
        self.positional_embedding = nn.Parameter(torch.zeros(max_frames, WIDTH))
        self.layers = nn.ModuleList(EncoderBlock() for _ in range(n_blocks))

    def forward(self, waves: Tensor) -> list[Tensor]:
        longest = longest_input(self.positional_embedding.size(0))
        if not MIN_SAMPLES <= waves.size(1) <= longest:
            raise ValueError(
                f"this encoder takes {MIN_SAMPLES} to {longest} samples, not {waves.size(1)}")
        x = F.gelu(self.conv2(F.gelu(self.conv1(self.log_mel(waves))))).transpose(1, 2)
        outputs = [x]
        x = x + self.positional_embedding[:x.size(1)]
        for layer in self.layers:
            x = layer(x)
            outputs.append(x)
        return outputs


def longest_input(max_frames: int) -> int:
    """The largest number of samples with at most `max_frames` frames."""
    return 2 * HOP * max_frames + HOP - 1


def statistics(frames: Tensor) -> Tensor:
    """(B, frames, D) → (B, 3 * D): mean, deviation, and mean absolute step between frames."""
    mean = frames.mean(dim=1)
    variance = (frames - mean.unsqueeze(1)).square().mean(dim=1)
    steps = frames[:, 1:] - frames[:, :-1]
    return torch.cat([mean, (variance + 1e-8).sqrt(), steps.abs().mean(dim=1)], dim=1)


class EncoderModel(nn.Module):
    """Waves float32 (B, T), T from 480 to the `max_frames` limit → (statistics, logits).

    The shapes are (B, H) and (B, 2), with the classes [spoof, bona fide]. Running averages
    standardise the statistics, so a new read-out is a logistic regression on them.
    """

    def __init__(self, n_blocks: int, max_frames: int, dropout: float):
        super().__init__()
        self.encoder = SpeechEncoder(n_blocks, max_frames)
        width = N_STATISTICS * WIDTH * (n_blocks + 1)
        self.standardise = nn.BatchNorm1d(width, affine=False)
        self.dropout = nn.Dropout(dropout)
        self.out_layer = nn.Linear(width, 2)

    def forward(self, waves: Tensor) -> tuple[Tensor, Tensor]:
        pooled = torch.cat([statistics(layer) for layer in self.encoder(waves)], dim=1)
        last_hidden = self.standardise(pooled)
        return last_hidden, self.out_layer(self.dropout(last_hidden))


NETWORK = EncoderModel
CONFIGS = {"encoder": {"n_blocks": 2, "max_frames": 202, "dropout": 0.2}}   # 202 frames: 4.04 s
