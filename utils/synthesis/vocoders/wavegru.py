"""WaveGRU of Lyra v1 (Kleijn et al., 2021), 16 kHz.

It draws each sample of four bands from a mixture of logistics. A step costs one pass over the
weights for any number of clips, so many run together: (features, clips).
"""
import numpy as np
import scipy.signal
import scipy.sparse
import torch

from utils.common.errors import InputError
from utils.signals.length import cut_or_pad, mirror_ends
from utils.synthesis.vocoders.features import lyra_mel
from utils.synthesis.vocoders.weights import Weights

# samples in a frame; conditioning columns in a frame; steps in a column
HOP = 640
COLUMNS = 8
STEPS = 20
WIDTH = 1024
HEADS = 16
BANDS = 4
PARTS = 8
SILENCE = float(np.log(500.0) / 10)     # the mel value of silence
DELAY = 1000                            # samples by which the output is late
LEAST = 1e-5                            # the logistic draws stay this far from 0 and 1
ALL_PASS = {1: (0.3255157470703125, 0.748626708984375, 0.961456298828125),
            2: (0.097930908203125, 0.564300537109375, 0.8737335205078125)}


def is_wavegru(weights: Weights) -> bool:
    """Whether these are the weights of Lyra's WaveGRU."""
    return {"ar_to_gates.weight", "gru_layer.weight", "conv_to_gates.weight"} <= weights.keys()


def merge(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Two int16 bands (n,) → the signal (2 n,) at twice the rate."""
    both = np.empty((len(low), 2))
    for column, (signal, which) in enumerate(((low + 0.0 + high, 2), (low + 0.0 - high, 1))):
        for c in ALL_PASS[which]:
            signal = scipy.signal.lfilter([c, 1], [1, c], signal)
        both[:, column] = signal
    return np.clip(np.trunc(both.ravel()), -32768, 32767)


def merge_bands(bands: np.ndarray) -> np.ndarray:
    """Four bands (steps, 4) → waveform (4 * steps,), full scale 1."""
    return merge(merge(bands[:, 0], bands[:, 1]), merge(bands[:, 3], bands[:, 2])) / 32768


class WaveGRU:
    """Copy-synthesis by Lyra v1's generator, in floating point and without its quantiser."""
    batch = 64

    def __init__(self, weights: Weights) -> None:
        self.weights = weights
        # Each gate sees only its own sixteenth of the state: sixteen small products replace a
        # large one with mostly zeros.
        size = WIDTH // HEADS
        split = weights["gru_layer.weight"].reshape(3, HEADS, size, HEADS, size)
        self._gru = torch.stack(
            [split[:, head, :, head].reshape(3 * size, size) for head in range(HEADS)])
        if self._gru.count_nonzero() != weights["gru_layer.weight"].count_nonzero():
            raise InputError("the WaveGRU weights are not those of Lyra v1 (their recurrent layer "
                             "has other zeros): use Lyra v1's file")
        bias = weights["gru_layer.bias"].reshape(3, HEADS, size)
        self._gru_bias = bias.transpose(0, 1).reshape(HEADS, 3 * size, 1)
        self._to_gates, self._proj = (scipy.sparse.csr_matrix(weights[name + ".weight"].numpy())
                                      for name in ("conv_to_gates", "proj"))
        self._heads = torch.cat([weights[name + ".weight"] for name in ("mix", "means", "scales")])
        self._heads_bias = torch.cat(
            [weights[name + ".bias"] for name in ("mix", "means", "scales")])[:, None]

    def _dense(self, x: torch.Tensor, layer: str) -> torch.Tensor:
        return x @ self.weights[layer + ".weight"].T + self.weights[layer + ".bias"]

    def condition(self, mel: np.ndarray) -> torch.Tensor:
        """Mel (frames, 160) → conditioning columns (8 * frames, 1024)."""
        before = torch.tensor([[0.0], [SILENCE]]).expand(2, mel.shape[1])
        x = torch.cat((before, torch.from_numpy(mel).float()))
        x = self._dense(torch.cat((x[:-2], x[1:-1], x[2:]), dim=1), "conv1d")
        for stage, reach in enumerate((1, 2, 4)):
            active = torch.relu(x)
            past = torch.cat((torch.zeros(reach, x.shape[1]), active))[:len(x)]
            x = x + self._dense(torch.cat((past, active), dim=1), f"conditioning_stack_{stage}")
        for stage in range(3):
            x = torch.relu(self._dense(x, f"transpose_{stage}")).reshape(-1, x.shape[1])
        return self._dense(x, "conv_cond")

    def gates(self, column: torch.Tensor) -> torch.Tensor:
        """Conditioning columns (1024, clips) → their part of the gates (3072, clips)."""
        product = torch.from_numpy(self._to_gates @ column.numpy())
        return product + (self.weights["conv_to_gates.bias"]
                          + self.weights["ar_to_gates.bias"])[:, None]

    def step(self, h: torch.Tensor, last: torch.Tensor,
             gates: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """One step of all clips.

        State (1024, clips), last samples (4, clips) and `gates` (3072, clips) → the new state and
        parameters (3, 4, 8, clips).
        """
        count = h.shape[1]
        a = torch.addmm(gates, self.weights["ar_to_gates.weight"], last / 32768).reshape(
            3, WIDTH, count)
        g = torch.baddbmm(self._gru_bias, self._gru, h.reshape(HEADS, WIDTH // HEADS, count))
        g = g.reshape(HEADS, 3, WIDTH // HEADS, count).transpose(0, 1).reshape(3, WIDTH, count)
        reset, update = torch.sigmoid(g[:2] + a[:2])
        new = torch.tanh(reset * g[2] + a[2])
        h = new + update * (h - new)
        p = torch.relu(
            torch.from_numpy(self._proj @ h.numpy()) + self.weights["proj.bias"][:, None])
        return h, torch.addmm(self._heads_bias, self._heads, p).reshape(3, BANDS, PARTS, count)

    @torch.inference_mode()
    def generate(self, mels: list[np.ndarray], mixture: np.ndarray, logistic: np.ndarray,
                 forced: np.ndarray | None = None) -> np.ndarray:
        """Mels (frames, 160) and uniform draws (steps, 4, clips) → band samples (steps, 4, clips).

        Clips end with the draws; shorter mels are followed by silence. If `forced` is given, these
        band samples are fed back instead of the clips' own. That allows a comparison with a
        reference: without it, two runs separate at the first different rounding.
        """
        frames = -(-len(mixture) // (COLUMNS * STEPS))
        columns = torch.stack([self.condition(_extend(mel, frames)) for mel in mels], dim=2)
        h, last = torch.zeros(WIDTH, len(mels)), torch.zeros(BANDS, len(mels))
        odds = torch.from_numpy(np.log((1 - logistic) / logistic)).float()
        mixture, bands = torch.from_numpy(mixture).float(), torch.empty(mixture.shape)
        for index in range(len(mixture)):
            if index % STEPS == 0:
                gates = self.gates(columns[index // STEPS])
            h, parameters = self.step(h, last, gates)
            bands[index] = last = draw(parameters, mixture[index], odds[index])
            if forced is not None:
                last = torch.from_numpy(forced[index]).float()
        return bands.numpy()

    def copies(self, clips: list[np.ndarray], rngs: list[np.random.Generator]) -> list[np.ndarray]:
        """Clips (n,) at 16 kHz → copies of the same lengths; the samples are random."""
        longer = [mirror_ends(clip, 0, DELAY) for clip in clips]
        steps = -(-max(map(len, longer)) // BANDS)
        draws = np.stack([rng.random((steps, 2, BANDS), dtype=np.float32) for rng in rngs], axis=-1)
        mixture, logistic = draws[:, 0], draws[:, 1].astype(np.float64)
        logistic = LEAST + (1 - 2 * LEAST) * logistic
        bands = self.generate([lyra_mel(clip) for clip in longer], mixture, logistic)
        return [cut_or_pad(merge_bands(bands[..., i])[DELAY:], len(clip))
                for i, clip in enumerate(clips)]


def _extend(mel: np.ndarray, frames: int) -> np.ndarray:
    silence = np.full((max(0, frames - len(mel)), mel.shape[1]), SILENCE)
    return np.concatenate((mel[:frames], silence))


def draw(parameters: torch.Tensor, mixture: torch.Tensor, odds: torch.Tensor) -> torch.Tensor:
    """One sample per band (4, clips) from parameters (3, 4, 8, clips).

    It comes from the first part of the mixture whose summed weight exceeds `mixture`.
    """
    weight, means, scales = parameters
    cumulative = torch.softmax(weight, dim=1).cumsum(1)
    part = (cumulative <= mixture[:, None]).sum(1, keepdim=True).clamp_(max=PARTS - 1)
    mean, scale = means.gather(1, part)[:, 0], scales.gather(1, part)[:, 0]
    value = mean + torch.nn.functional.softplus(scale) * odds
    return torch.trunc(256 * value).clamp_(-32768, 32767)
