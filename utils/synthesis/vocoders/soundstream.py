"""SoundStream of Lyra 1.3 (Zeghidour et al., 2021): a neural codec, run by TensorFlow Lite."""
import importlib.util
from pathlib import Path

import numpy as np

from utils.common.errors import InputError
from utils.signals.length import cut_or_pad

FRAME = 320                          # samples at 16 kHz: 20 ms
STAGES = 46                          # stages of the residual quantiser, 4 bits each
QUANTISERS = (16, 30, 46)            # 3.2, 6.0 and 9.2 kbit/s
FILES = ("soundstream_encoder.tflite", "quantizer.tflite", "lyragan.tflite")


def is_soundstream(folder: Path) -> bool:
    """Whether a folder holds the three files of the codec."""
    return all((folder / name).is_file() for name in FILES)


class _Step:
    """One network. It keeps its state, so each utterance needs a new `_Step`."""

    def __init__(self, path: Path) -> None:
        from ai_edge_litert.interpreter import Interpreter
        self._interpreter = Interpreter(model_path=str(path), num_threads=1)
        self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]
        self._output = self._interpreter.get_output_details()[0]

    def __call__(self, values: np.ndarray) -> np.ndarray:
        self._interpreter.set_tensor(self._input["index"],
                                     values.reshape(self._input["shape"]).astype(np.float32))
        self._interpreter.invoke()
        return self._interpreter.get_tensor(self._output["index"])


class SoundStream:
    """Copy-synthesis through the codec with some of its quantisers."""
    batch = 1

    def __init__(self, folder: Path, quantisers: int = STAGES) -> None:
        if importlib.util.find_spec("ai_edge_litert") is None:
            raise InputError("the SoundStream codec needs a TensorFlow Lite interpreter: "
                             "pip install ai-edge-litert")
        if not is_soundstream(folder):
            raise InputError(f"{folder} lacks one of {', '.join(FILES)}: give the folder of Lyra "
                             "1.3 that holds all three")
        self.folder, self.quantisers = folder, quantisers

    def _quantise(self, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Features (frames, 64) → indices (frames, 46), -1 if unused, and quantised features."""
        from ai_edge_litert.interpreter import Interpreter
        quantiser = Interpreter(model_path=str(self.folder / FILES[1]), num_threads=1)
        encode = quantiser.get_signature_runner("encode")
        decode = quantiser.get_signature_runner("decode")
        indices, kept = [], []
        for frame in features.astype(np.float32):
            found = encode(input_frames=frame.reshape(1, 1, -1),
                           num_quantizers=np.int32(self.quantisers))["output_0"]
            found[self.quantisers:] = -1
            indices.append(found.ravel())
            kept.append(next(iter(decode(encoding_indices=found).values())).ravel())
        return np.array(indices), np.array(kept)

    def encode(self, samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Whole frames of samples → the features (frames, 64) and their indices (frames, 46)."""
        encoder = _Step(self.folder / FILES[0])
        features = np.array([encoder(frame).ravel() for frame in samples.reshape(-1, FRAME)])
        return features, self._quantise(features)[0]

    def _copy(self, clip: np.ndarray) -> np.ndarray:
        encoder, decoder = _Step(self.folder / FILES[0]), _Step(self.folder / FILES[2])
        frames = cut_or_pad(clip, -(-len(clip) // FRAME) * FRAME).reshape(-1, FRAME)
        _, kept = self._quantise(np.array([encoder(frame).ravel() for frame in frames]))
        whole = np.concatenate([decoder(features).ravel() for features in kept])
        return whole.astype(np.float64)[:len(clip)]

    def copies(self, clips: list[np.ndarray], rngs: list[np.random.Generator]) -> list[np.ndarray]:
        """Clips (n,) at 16 kHz → copies of the same lengths. The codec is deterministic."""
        return [self._copy(clip) for clip in clips]
