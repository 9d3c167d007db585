"""The two convolutions that begin a Whisper encoder, and one linear read-out of their statistics.

They were trained on far more speech than a detector has, and cost a fortieth of the hybrid. Of the
second convolution only the channels with the largest weights are kept. The covariances of a
cepstrum, which the same Fourier transform gives, are read beside them. As in `models.hybrid`, only
the linear layer is trained.
"""
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.encoder import MIN_SAMPLES, N_MELS, WIDTH, SpeechEncoder, WhisperLogMel
from models.front_ends import cosine_transform

N_STATISTICS = 6    # per channel
N_CEPSTRUM = 40     # coefficients
N_PAIRS = N_CEPSTRUM * (N_CEPSTRUM + 1) // 2
FLOOR = 1e-5        # of a bin's power: 90 dB below a full-scale sine


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


def correlations(channels: Tensor, pairs: Tensor) -> Tensor:
    """(B, C, frames) → (B, len(pairs) + C): the correlations of pairs, and log variances.

    `pairs` are places in the flattened (C, C) matrix.
    """
    centred = channels - channels.mean(dim=2, keepdim=True)
    covariance = centred @ centred.transpose(1, 2) / channels.size(2)
    variance = torch.diagonal(covariance, dim1=1, dim2=2)
    size = (variance.unsqueeze(2) * variance.unsqueeze(1) + 1e-9).sqrt()
    return torch.cat([(covariance / size).flatten(1)[:, pairs], (variance + 1e-9).log()], dim=1)


class Shallow(nn.Module):
    """Waves float32 (B, T), T >= 480 → (statistics (B, H), logits (B, 2): spoof, bona fide).

    `mean` and `scale` standardise the statistics. Each group (the first convolution's, the
    second's, the cepstrum's) then has the same total variance. `kept`: channels of the second
    convolution.
    """

    def __init__(self, kept: int):
        super().__init__()
        self.log_mel = WhisperLogMel()
        self.log_mel.fourier = self.log_mel.fourier.half().float()      # half the file's size
        self.conv1 = nn.Conv1d(N_MELS, WIDTH, 3, padding=1)
        self.conv2 = nn.Conv1d(WIDTH, kept, 3, stride=2, padding=1)
        bins = self.log_mel.mel.size(1) - 1
        self.register_buffer("cosines", cosine_transform(bins)[:N_CEPSTRUM].half().float(),
                             persistent=False)
        rows, columns = torch.triu_indices(N_CEPSTRUM, N_CEPSTRUM)
        self.register_buffer("pairs", rows * N_CEPSTRUM + columns, persistent=False)
        self.widths = [N_STATISTICS * WIDTH, N_STATISTICS * kept, 2 * (N_PAIRS + N_CEPSTRUM)]
        self.register_buffer("mean", torch.zeros(sum(self.widths)))
        self.register_buffer("scale", torch.ones(sum(self.widths)))
        self.out_layer = nn.Linear(sum(self.widths), 2)

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
        power = self.log_mel.power(waves)
        first = F.gelu(self.conv1(self.log_mel.of_power(power)))
        second = F.gelu(self.conv2(first))
        cepstrum = self.cosines @ (power[:, 1:] + FLOOR).log()
        steps = cepstrum[:, :, 2:] - cepstrum[:, :, :-2]
        pooled = torch.cat([statistics(first), statistics(second),
                            correlations(cepstrum, self.pairs),
                            correlations(steps, self.pairs)], dim=1)
        last_hidden = (pooled - self.mean) * self.scale
        return last_hidden, self.out_layer(last_hidden)

    def standardise(self, mean: Tensor, deviation: Tensor) -> None:
        """Set `mean` and `scale` from the mean and the deviation (H,) of the raw statistics."""
        self.mean.copy_(mean)
        gains = torch.cat([torch.full((width,), width ** -0.5) for width in self.widths])
        self.scale.copy_(gains.to(deviation) / (deviation + 1e-4))


NETWORK = Shallow
CONFIGS = {"shallow": {"kept": 192}}
