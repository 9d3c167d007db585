"""The two convolutions that begin a Whisper encoder, trained on, and statistics of their outputs.

They were trained on far more speech than a detector has, and cost a fortieth of the hybrid. Of the
second convolution only the channels with the largest weights are kept. The encoder's weights come
from a file, as for `models.encoder`.
"""
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.encoder import MIN_SAMPLES, N_MELS, WIDTH, SpeechEncoder, WhisperLogMel
from models.small import mask_stripes

N_STATISTICS = 6    # per channel


def statistics(channels: Tensor) -> Tensor:
    """(B, C, frames) → (B, 6 * C), over time.

    Mean, deviation, mean absolute step between frames, skewness, largest and smallest value.
    """
    mean = channels.mean(dim=2, keepdim=True)
    centred = channels - mean
    squares = centred * centred
    deviation = (squares.mean(dim=2) + 1e-6).sqrt()
    skewness = (squares * centred).mean(dim=2) / (deviation * deviation * deviation)
    steps = (channels[:, :, 1:] - channels[:, :, :-1]).abs().mean(dim=2)
    return torch.cat([mean.squeeze(2), deviation, steps, skewness, channels.amax(dim=2),
                      channels.amin(dim=2)], dim=1)


class Shallow(nn.Module):
    """Waves float32 (B, T), T >= 480 → (statistics (B, 6 * (512 + `kept`)), logits (B, 2)).

    The classes are [spoof, bona fide]. Running averages standardise the statistics. In training,
    up to two stripes of `mask_bins` mel bands and of `mask_frames` frames are masked.
    """

    def __init__(self, kept: int, dropout: float, mask_bins: int, mask_frames: int):
        super().__init__()
        self.mask_bins, self.mask_frames = mask_bins, mask_frames
        self.log_mel = WhisperLogMel()
        self.log_mel.fourier = self.log_mel.fourier.half().float()      # half the file's size
        self.conv1 = nn.Conv1d(N_MELS, WIDTH, 3, padding=1)
        self.conv2 = nn.Conv1d(WIDTH, kept, 3, stride=2, padding=1)
        width = N_STATISTICS * (WIDTH + kept)
        self.standardise = nn.BatchNorm1d(width, affine=False)
        self.dropout = nn.Dropout(dropout)
        self.out_layer = nn.Linear(width, 2)
        nn.init.zeros_(self.out_layer.weight)
        nn.init.zeros_(self.out_layer.bias)

    def start_from(self, encoder: SpeechEncoder) -> None:
        """Take over the encoder's convolutions."""
        self.conv1.load_state_dict(encoder.conv1.state_dict())
        size = encoder.conv2.weight.detach().flatten(1).norm(dim=1)
        kept = size.argsort(descending=True)[:len(self.conv2.bias)].sort().values
        with torch.no_grad():
            self.conv2.weight.copy_(encoder.conv2.weight[kept])
            self.conv2.bias.copy_(encoder.conv2.bias[kept])

    def forward(self, waves: Tensor) -> tuple[Tensor, Tensor]:
        if waves.size(1) < MIN_SAMPLES:
            raise ValueError(f"this network takes {MIN_SAMPLES} samples or more")
        mel = self.log_mel(waves)
        if self.training:
            mel = self._masked(mel)
        first = F.gelu(self.conv1(mel))
        second = F.gelu(self.conv2(first))
        pooled = torch.cat([statistics(first), statistics(second)], dim=1)
        last_hidden = self.standardise(pooled)
        return last_hidden, self.out_layer(self.dropout(last_hidden))

    def _masked(self, mel: Tensor) -> Tensor:
        """(B, 80, frames) with stripes at each spectrogram's mean."""
        mean = mel.mean(dim=(1, 2), keepdim=True)
        masked = mask_stripes((mel - mean).unsqueeze(1), 2, self.mask_bins)
        return mask_stripes(masked, 3, self.mask_frames).squeeze(1) + mean


NETWORK = Shallow
CONFIGS = {"shallow": {"kept": 192, "dropout": 0.3, "mask_bins": 8, "mask_frames": 40}}
