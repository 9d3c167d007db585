"""A self-supervised encoder by name, from a folder of Hugging Face, or from a file of fairseq."""
import dataclasses
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError

import torch
from torch import Tensor

from utils.common.errors import InputError
from utils.common.files import read_json
from utils.encoders.names import encoder_settings, torchaudio_names
from utils.encoders.tensors import read_tensors

# Name: torchaudio's pipeline, millions of weights, and the licence that it states.
NAMES = {
    "wav2vec2-base": ("WAV2VEC2_BASE", 94, "MIT"),
    "wav2vec2-large-lv60k": ("WAV2VEC2_LARGE_LV60K", 315, "MIT"),
    "xlsr-53": ("WAV2VEC2_XLSR53", 315, "MIT"),
    "xlsr-300m": ("WAV2VEC2_XLSR_300M", 315, "MIT"),
    "xlsr-1b": ("WAV2VEC2_XLSR_1B", 962, "MIT"),
    "xlsr-2b": ("WAV2VEC2_XLSR_2B", 2159, "MIT"),
    "hubert-base": ("HUBERT_BASE", 94, "MIT"),
    "hubert-large": ("HUBERT_LARGE", 316, "MIT"),
    "wavlm-base": ("WAVLM_BASE", 94, "MIT"),
    "wavlm-base-plus": ("WAVLM_BASE_PLUS", 94, "MIT"),
    "wavlm-large": ("WAVLM_LARGE", 315, "MIT")}
DETECTORS = re.compile(r"(module\.|detector\.)?(ssl_model|m_ssl)\.")     # names as published
FILES = ("model.safetensors", "pytorch_model.bin")      # of a folder, the safer one first


@dataclass(frozen=True)
class Encoder:
    """Weights in torchaudio's names, the settings of their network, and what they were fed."""
    settings: dict
    normalise: bool             # waves of zero mean and unit variance
    weights: dict[str, Tensor]

    def cut(self, blocks: int) -> "Encoder":
        """Its first `blocks` blocks."""
        layers = "encoder.transformer.layers."
        kept = {name: value for name, value in self.weights.items()
                if not name.startswith(layers) or int(name.split(".")[3]) < blocks}
        return dataclasses.replace(self, weights=kept,
                                   settings=self.settings | {"encoder_num_layers": blocks})


def read_encoder(path: Path) -> Encoder:
    """The encoder that --encoder names. Raises `InputError` if it cannot be had or read."""
    if path.is_dir():
        return _of_folder(path)
    if path.is_file():
        return _of_file(path)
    if is_name(path):
        return _by_name(str(path))
    raise InputError(f"--encoder {path} is no file, no folder and no known name: give one of "
                     f"{', '.join(NAMES)}, a folder with config.json and model.safetensors, or a "
                     "checkpoint of fairseq")


def is_name(path: Path) -> bool:
    """Whether --encoder is one of `NAMES`, and no file or folder."""
    return str(path) in NAMES and not path.exists()


def weights_file(folder: Path) -> Path | None:
    """The file of weights in a folder of Hugging Face."""
    return next((folder / name for name in FILES if (folder / name).is_file()), None)


def _of_folder(folder: Path) -> Encoder:
    file = weights_file(folder)
    if file is None:
        raise InputError(f"{folder} holds neither {' nor '.join(FILES)}: "
                         "name the folder of a model of Hugging Face")
    config = read_json(folder / "config.json")
    weights = torchaudio_names(read_tensors(file), file)
    found = encoder_settings(weights, file)
    found |= _told(config, {"encoder_num_heads": "num_attention_heads",
                            "encoder_layer_norm_first": "do_stable_layer_norm"})
    if found["kind"] == "wavlm":
        found |= _told(config, {"encoder_max_distance": "max_bucket_distance"})
    strides = config.get("conv_stride") or [stride for *_, stride in found["convolutions"]]
    found["convolutions"] = [[width, kernel, stride] for (width, kernel, _), stride
                             in zip(found["convolutions"], strides)]
    reader = folder / "preprocessor_config.json"
    normalise = found["extractor_mode"] == "layer_norm"
    if reader.is_file():
        normalise = bool(read_json(reader).get("do_normalize", normalise))
    return Encoder(found, normalise, weights)


def _told(config: dict, names: dict[str, str]) -> dict:
    return {own: config[name] for own, name in names.items() if name in config}


def _of_file(path: Path) -> Encoder:
    content = read_tensors(path)
    tensors = content["model"] if isinstance(content.get("model"), dict) else content
    if "format" in content:
        raise InputError(f"{path} is a checkpoint of a detector, and no encoder alone: one of "
                         "ssl-aasist trains on with --architecture ssl-aasist --init_from FILE")
    if any(DETECTORS.match(name) for name in tensors):
        raise InputError(f"{path} is a detector, and no encoder alone: import it with "
                         "utils/import_weights.py; XLS-R + AASIST then trains on with "
                         "--architecture ssl-aasist --init_from FILE")
    weights = torchaudio_names({name: value for name, value in tensors.items()
                                if isinstance(value, Tensor)}, path)
    found = encoder_settings(weights, path)
    model, task = _arguments(content)
    found |= _told(model, {"encoder_num_heads": "encoder_attention_heads",
                           "encoder_layer_norm_first": "layer_norm_first"})
    normalise = bool(task.get("normalize", found["extractor_mode"] == "layer_norm"))
    return Encoder(found, normalise, weights)


def _arguments(content: dict) -> tuple[dict, dict]:
    """What fairseq wrote of the model and of the task: "cfg", or in older files "args"."""
    parts: Any = content.get("cfg")
    if isinstance(parts, dict):
        return parts.get("model") or {}, parts.get("task") or {}
    parts = content.get("args")
    return (vars(parts), vars(parts)) if hasattr(parts, "__dict__") else ({}, {})


def _by_name(name: str) -> Encoder:
    from torchaudio import pipelines
    pipeline, millions, licence = NAMES[name]
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    print(f"{name}: torchaudio's {pipeline}, about {millions * 4 / 1000:.2f} GB, licence "
          f"{licence}; downloaded once from download.pytorch.org into {folder}; torchaudio "
          "publishes no checksum of it", flush=True)
    try:
        model = getattr(pipelines, pipeline).get_model()
    except (URLError, OSError) as error:
        raise InputError(f"--encoder {name} could not be downloaded ({error}): check the network, "
                         "or give a folder or file with its weights") from error
    normalise = bool(getattr(model, "normalize_waveform", False))
    model = getattr(model, "model", model)
    weights = model.state_dict()
    return Encoder(encoder_settings(weights, Path(name)), normalise, weights)
