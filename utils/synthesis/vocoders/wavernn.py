"""WaveRNN (Kalchbrenner et al., 2018) with 10 bits and one GRU, as fatchord and geneing built it.

16 kHz. Every sample is drawn from 1024 classes. Many clips run together, because a step costs
little more for many than for one.
"""
import numpy as np
import torch
from torch.nn import functional as F

from utils.signals.length import cut_or_pad, mirror_ends
from utils.synthesis.vocoders.features import wavernn_mel
from utils.synthesis.vocoders.weights import Weights

HOP, REPEATS, LEVELS = 200, (4, 5, 10), 1023
# samples of the future that features and conditioning need
AHEAD = 6 * HOP
FIRST, SECOND = slice(0, 31), slice(32, 64)     # auxiliary channels of the input layer and of fc1
# the network is most stable with speech 8 dB above the usual level
GAIN = 2.5


def is_wavernn(weights: Weights) -> bool:
    """Whether these are the weights of this WaveRNN."""
    return {"I.weight", "rnn1.weight_ih_l0", "fc3.weight",
            "resnet.conv_in.weight"} <= weights.keys()


class WaveRNN:
    """Copy-synthesis by the 10-bit WaveRNN."""
    batch = 64

    def __init__(self, weights: Weights) -> None:
        self.weights = weights

    def _norm(self, x: torch.Tensor, name: str) -> torch.Tensor:
        w = self.weights
        return F.batch_norm(x, w[name + ".running_mean"], w[name + ".running_var"],
                            w[name + ".weight"], w[name + ".bias"], eps=1e-5)

    def _auxiliary(self, mel: torch.Tensor) -> torch.Tensor:
        """Padded mel (1, 80, frames + 4) → (64, frames)."""
        w = self.weights
        x = F.conv1d(mel, w["resnet.conv_in.weight"])
        x = torch.relu(self._norm(x, "resnet.batch_norm"))
        for index in range(3):
            name = f"resnet.layers.{index}."
            inner = self._norm(F.conv1d(x, w[name + "conv1.weight"]), name + "batch_norm1")
            inner = F.conv1d(torch.relu(inner), w[name + "conv2.weight"])
            x = x + self._norm(inner, name + "batch_norm2")
        return F.conv1d(x, w["resnet.conv_out.weight"], w["resnet.conv_out.bias"])[0]

    def _upsample(self, mel: torch.Tensor) -> torch.Tensor:
        """Padded mel (1, 80, frames + 4) → (80, 200 * frames)."""
        for index, repeat in enumerate(REPEATS):
            kernel = self.weights[f"up{index}.conv.weight"].reshape(1, 1, -1)
            mel = mel.repeat_interleave(repeat, dim=2).transpose(0, 1)
            mel = F.conv1d(mel, kernel, padding=kernel.shape[2] // 2).transpose(0, 1)
        return mel[0, :, 2 * HOP:-2 * HOP]

    def condition(self, mel: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """The parts of the input layer (200 * frames, 256) and of fc1 (frames, 128) from `mel`.

        `mel` has the shape (80, frames).
        """
        w = self.weights
        padded = F.pad(torch.from_numpy(mel[None]).float(), (2, 2))
        auxiliary = self._auxiliary(padded)
        along = torch.cat((self._upsample(padded), auxiliary[FIRST].repeat_interleave(HOP, dim=1)))
        return (along.T @ w["I.weight"][:, 1:].T + w["I.bias"],
                auxiliary[SECOND].T @ w["fc1.weight"][:, 256:].T + w["fc1.bias"])

    @torch.inference_mode()
    def generate(self, mels: list[np.ndarray], draws: np.ndarray,
                 forced: np.ndarray | None = None) -> np.ndarray:
        """Mels (80, frames) of equal length → waveforms (200 * frames, clips).

        `draws` (200 * frames, clips) are uniform. `forced` waveforms are fed back instead of the
        clips' own, for a comparison with a reference.
        """
        w = self.weights
        to_input, to_fc1 = (torch.stack(parts, dim=1) for parts in zip(*map(self.condition, mels)))
        u = torch.from_numpy(draws).double()[..., None]
        first = w["I.weight"][:, 0]
        names = ("rnn1.weight_ih_l0", "rnn1.weight_hh_l0", "fc1.weight", "fc3.weight")
        w_ih, w_hh, w_f, w_k = (w[name].T.contiguous() for name in names)
        x, h = torch.zeros(len(mels), 1), torch.zeros(len(mels), 256)
        wave = torch.empty(len(draws), len(mels))
        for index in range(len(draws)):
            y = to_input[index] + x * first
            gates = torch.addmm(w["rnn1.bias_ih_l0"], y, w_ih)
            state = torch.addmm(w["rnn1.bias_hh_l0"], h, w_hh)
            reset, update = torch.sigmoid(gates[:, :512] + state[:, :512]).chunk(2, dim=1)
            new = torch.tanh(gates[:, 512:] + reset * state[:, 512:])
            h = new + update * (h - new)
            f = torch.relu(torch.addmm(to_fc1[index // HOP], y + h, w_f[:256]))
            x = draw(torch.addmm(w["fc3.bias"], f, w_k), u[index])
            wave[index] = x[:, 0]
            if forced is not None:
                x = torch.from_numpy(forced[index]).float()[:, None]
        return wave.double().numpy()

    def copies(self, clips: list[np.ndarray], rngs: list[np.random.Generator]) -> list[np.ndarray]:
        """Clips (n,) at 16 kHz → copies of the same lengths; the samples are random."""
        longest = max(map(len, clips)) + AHEAD
        longer = [cut_or_pad(mirror_ends(clip, 0, AHEAD), longest) for clip in clips]
        mels = [wavernn_mel(GAIN * clip) for clip in longer]
        draws = np.stack([rng.random(HOP * mels[0].shape[1]) for rng in rngs], axis=1)
        waves = self.generate(mels, draws) / GAIN
        return [cut_or_pad(waves[:, i], len(clip)) for i, clip in enumerate(clips)]


def draw(logits: torch.Tensor, u: torch.Tensor) -> torch.Tensor:
    """The first class whose cumulative probability reaches u (clips, 1), as a sample in [-1, 1]."""
    cumulative = torch.softmax(logits, dim=1).double().cumsum(1)
    k = (cumulative < u).sum(1, keepdim=True).clamp_(max=LEVELS)
    return (2.0 / LEVELS) * k - 1
