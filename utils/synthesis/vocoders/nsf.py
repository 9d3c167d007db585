"""Neural source-filter models (Wang, Takaki and Yamagishi, 2019 and 2020) at 16 kHz.

hn-sinc-NSF and cyclic-noise NSF: a source of sines or cyclic noise at the pitch of the speech
passes dilated convolutions. The mel spectrogram and F0 control the convolutions.
"""
import numpy as np
import torch
from torch.nn import functional as F

from utils.signals.length import cut_or_pad, mirror_ends
from utils.synthesis.vocoders.features import nsf_mel
from utils.synthesis.vocoders.nsf_excitation import cyclic_source, harmonic_source, pitch
from utils.synthesis.vocoders.weights import Weights

HOP = 80
TAPS = 31
SMOOTH = 320
NOISE_STD = {False: 0.1 / 3, True: 0.001}   # of the noise branch's source: hn, cyc


def is_nsf(weights: Weights) -> bool:
    """Whether these are the weights of one of the three NSF models."""
    return {"m_filter.l_har_blocks.0.l_ff_1.weight", "m_cond.l_cut_f_smooth.weight",
            "input_mean"} <= weights.keys()


def smooth(x: torch.Tensor, taps: int) -> torch.Tensor:
    """Moving average over the last axis of (1, channels, time), with repeated ends.

    The result is longer by one on the right.
    """
    padded = F.pad(x, ((taps - 1) // 2, taps // 2), mode="replicate").double()
    sums = F.pad(padded.cumsum(2), (1, 0))
    return ((sums[..., taps:] - sums[..., :-taps]) / taps).float()


def time_varying(signal: torch.Tensor, taps: torch.Tensor) -> torch.Tensor:
    """`signal` (time,) through a causal FIR whose taps (time, 31) change at every sample."""
    return (F.pad(signal, (TAPS - 1, 0)).unfold(0, TAPS, 1) * taps.flip(1)).sum(1)


def sinc_filters(cutoff: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Low-pass and high-pass taps (time, 31), Hamming window.

    `cutoff` (time,) is a share of 8 kHz.
    """
    m = torch.arange(-(TAPS // 2), TAPS // 2 + 1)
    window = 0.54 + 0.46 * torch.cos(2 * torch.pi * m / TAPS)
    sinc = cutoff[:, None] * torch.sinc(cutoff[:, None] * m)
    low, high = sinc * window, (torch.sinc(m.float()) - sinc) * window
    return low / low.sum(1, keepdim=True), high / (high * (-1.0) ** m).sum(1, keepdim=True)


class NSF:
    """Copy-synthesis by one of the three NSF models; the weights show which one."""
    batch = 1

    def __init__(self, weights: Weights) -> None:
        self.weights = weights
        self.cyclic = "m_source.l_linear.weight" not in weights
        self._lstm = self._recurrent() if "m_cond.l_blstm.l_blstm.weight_ih_l0" in weights else None

    def _recurrent(self) -> torch.nn.LSTM:
        prefix = "m_cond.l_blstm.l_blstm."
        lstm = torch.nn.LSTM(81, 32, bidirectional=True, batch_first=True)
        lstm.load_state_dict({name.removeprefix(prefix): value
                              for name, value in self.weights.items() if name.startswith(prefix)})
        return lstm

    def _convolve(self, x: torch.Tensor, layer: str) -> torch.Tensor:
        return torch.tanh(
            F.conv1d(x, self.weights[layer + ".weight"], self.weights[layer + ".bias"], padding=1))

    def _condition(self, mel: torch.Tensor, f0: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Features at frame rate → context (1, 64, time) and cut-off (time,) at sample rate."""
        x = torch.cat((mel, f0[:, None]), dim=1)
        x = (x - self.weights["input_mean"]) / self.weights["input_std"]
        if self._lstm is not None:
            hidden = self._convolve(self._lstm(x[None])[0].transpose(1, 2), "m_cond.l_conv1d")
        else:
            hidden = x.T[None]
            for layer in range(3):
                hidden = self._convolve(hidden, f"m_cond.l_conv1ds.{layer}")
        if not self.cyclic:  # the last channel of the context is F0 itself
            hidden = torch.cat((hidden[:, :63], x[None, :, 80:].transpose(1, 2), hidden[:, 63:]),
                               dim=1)
        long = smooth(smooth(hidden.repeat_interleave(HOP, dim=2), HOP), HOP)
        voiced = (f0 > 0).float().repeat_interleave(HOP)
        cutoff = smooth((long[:, 64] * 0.2 + voiced * 0.4 + 0.3)[None], SMOOTH)
        return long[:, :64], cutoff.flatten()

    def _dense(self, x: torch.Tensor, layer: str) -> torch.Tensor:
        weight, bias = self.weights[layer + ".weight"], self.weights.get(layer + ".bias")
        return F.conv1d(x, weight[..., None], bias)

    def _block(self, signal: torch.Tensor, context: torch.Tensor, name: str,
               layers: int) -> torch.Tensor:
        """The part that the block adds to its signal (1, 1, time), before the last tanh."""
        h = torch.tanh(self._dense(signal, name + "l_ff_1"))
        for k in range(layers):
            layer, reach = f"{name}l_convs.{k}", 2 ** k
            weight, bias = self.weights[layer + ".weight"], self.weights.get(layer + ".bias")
            step = F.conv1d(F.pad(h, (2 * reach, 0)), weight, bias, dilation=reach)
            h = h + step.tanh_() + context
        h = torch.tanh(self._dense(h * self.weights[name + "scale"], name + "l_ff_2"))
        return self._dense(h, name + "l_ff_3")

    @torch.inference_mode()
    def generate(self, mel: np.ndarray, f0: np.ndarray, source: np.ndarray,
                 noise: np.ndarray) -> np.ndarray:
        """Waveform (80 * frames,) from mel (frames, 80), F0 in Hz (frames,) and two sources.

        `source` (harmonic) and `noise` have the waveform's length.
        """
        mel, f0, source, noise = (
            torch.from_numpy(np.asarray(x)).float() for x in (mel, f0, source, noise))
        context, cutoff = self._condition(mel, f0)
        harmonic = source[None, None]
        for index in range(5):
            block = self._block(harmonic, context, f"m_filter.l_har_blocks.{index}.", 10)
            harmonic = harmonic + torch.tanh(block)
        added = self._block(noise[None, None], context, "m_filter.l_noi_blocks.0.", 5)
        rest = added if self.cyclic else noise + torch.tanh(added)
        low, high = sinc_filters(cutoff)
        return (time_varying(harmonic.flatten(), low)
                + time_varying(rest.flatten(), high)).double().numpy()

    def sources(self, f0: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Harmonic and noise source (80 * frames,) for F0 in Hz (frames,), 0 if unvoiced."""
        long = np.repeat(f0, HOP)
        if self.cyclic:
            source = cyclic_source(long, rng)
        else:
            weight, bias = (self.weights["m_source.l_linear." + part].double().numpy()
                            for part in ("weight", "bias"))
            source = np.tanh(harmonic_source(long, rng) @ weight[0] + bias[0])
        return source, rng.standard_normal(len(long)) * NOISE_STD[self.cyclic]

    def _copy(self, clip: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        longer = mirror_ends(clip, 0, HOP)
        mel, f0 = nsf_mel(longer), pitch(longer)
        frames = min(len(mel), len(f0))
        return cut_or_pad(self.generate(mel[:frames], f0[:frames], *self.sources(f0[:frames], rng)),
                          len(clip))

    def copies(self, clips: list[np.ndarray], rngs: list[np.random.Generator]) -> list[np.ndarray]:
        """Clips (n,) at 16 kHz → copies of the same lengths; phases and noise are random."""
        return [self._copy(clip, rng) for clip, rng in zip(clips, rngs)]
