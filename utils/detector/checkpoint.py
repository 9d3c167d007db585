"""Checkpoints: one plain dictionary with everything needed to score, checked strictly before anything is used.

Opening one never runs code from the file: `torch.load(weights_only=True)`, no fall-back.
"""
import io
import json
import math
import pickle
import zipfile
import zlib
from pathlib import Path
from typing import Any

from utils.common.errors import InputError, out_of_memory
from utils.common.files import atomic_write

FORMAT = 1
LABEL_ORDER = ["spoof", "bonafide"]
MAX_BYTES = 2 ** 30  # unpacked; the largest network here takes 5 MB
REQUIRED = ("format", "architecture", "config", "state_dict", "label_order", "n_samples", "sample_rate")
NOT_METADATA = ("state_dict", "training")  # "training": what only a resumed run needs


def save_checkpoint(path: Path, checkpoint: dict) -> None:
    """Write `checkpoint` to `path`, atomically. Raises ValueError where a required entry is missing."""
    import torch
    missing = [key for key in REQUIRED if key not in checkpoint]
    if missing:
        raise ValueError(f"checkpoint without {', '.join(missing)}")
    content = io.BytesIO()       # torch hides behind an error of its own that the disk is full
    torch.save(checkpoint, content)
    with atomic_write(Path(path), "wb") as file:
        file.write(content.getbuffer())


def load_checkpoint(path: Path) -> dict:
    """The checkpoint at `path`, on the CPU, with a state dict that fits its architecture and is finite.

    Raises `InputError` for anything else: no file, not a checkpoint, truncated, pickled code, an unknown
    architecture, missing or extra keys, NaN weights, a newer format.
    """
    path = Path(path)
    checkpoint = _read(path)
    check_metadata(checkpoint, path)
    missing = [key for key in REQUIRED if key not in checkpoint]
    if missing:
        raise InputError(f"{path} lacks {', '.join(missing)}: import published weights with utils/import_weights.py, "
                         "or train a model")
    check_weights(checkpoint["config"], checkpoint["state_dict"], path)
    return checkpoint


def read_pickle(path: Path) -> Any:
    """What `torch.save` put into `path`, tensors on the CPU; `InputError` where it is no such file, or holds code."""
    import torch
    _check_container(path)
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError(f"{path} holds Python objects beside tensors and plain values, which could run code: "
                         "refused; use a file from a source that saves weights only") from error
    except (RuntimeError, EOFError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        if out_of_memory(error):
            raise
        raise InputError(f"{path} is damaged ({str(error).splitlines()[0]}): copy or download it again") from error


def _check_container(path: Path) -> None:
    """Refuse what is no zip file in the way `torch.save` writes them, before anything in it is looked at."""
    if not path.is_file():
        raise InputError(f"{path} is missing: name a checkpoint (.pt) that training wrote")
    if not zipfile.is_zipfile(path):
        with open(path, "rb") as file:
            if file.read(4) == b"PK\x03\x04":
                raise InputError(f"{path} is cut off: copy or download it again")
        raise InputError(f"{path} is not a checkpoint: name a .pt file that training wrote, or an exported .onnx file")
    try:
        with zipfile.ZipFile(path) as container:
            size = sum(member.file_size for member in container.infolist())
            damaged = container.testzip() if size <= MAX_BYTES else None
    except (zipfile.BadZipFile, zlib.error, UnicodeDecodeError, NotImplementedError, EOFError) as error:
        raise InputError(f"{path} is damaged ({error}): copy or download it again") from error
    if size > MAX_BYTES:
        raise InputError(f"{path} unpacks to {size / 2 ** 30:.1f} GiB, far beyond any model here: refused")
    if damaged is not None:
        raise InputError(f"{path} is damaged ({damaged}): copy or download it again")


def _read(path: Path) -> dict:
    content = read_pickle(path)
    if isinstance(content, dict) and "format" in content:
        return content
    if isinstance(content, dict) and "out_layer.weight" in content:
        raise InputError(f"{path} holds bare published weights: turn them into a checkpoint with "
                         f"python utils/import_weights.py --weights {path} --architecture aasist --output FILE.pt")
    raise InputError(f"{path} is not a checkpoint of this detector: name a .pt file that training wrote")


def check_metadata(content: Any, path: Path) -> None:
    """Check the entries that describe a model, from a checkpoint or an exported file; `InputError` where one is off."""
    if not isinstance(content, dict) or not _is_count(content.get("format")):
        raise InputError(f"{path} does not say which checkpoint format it has: name a model that this detector wrote")
    if content["format"] > FORMAT:
        raise InputError(f"{path} has checkpoint format {content['format']}, newer than this version understands "
                         f"({FORMAT}): update this project")
    if content.get("label_order") != LABEL_ORDER:
        raise InputError(f"{path} gives the label order {content.get('label_order')!r} instead of {LABEL_ORDER}: "
                         "import or train it again")
    if content.get("sample_rate") != 16000 or not _is_count(content.get("n_samples")):
        raise InputError(f"{path} expects {content.get('sample_rate')!r} Hz and windows of "
                         f"{content.get('n_samples')!r} samples, but only 16000 Hz and a whole number of samples will do")
    calibration = content.get("calibration")
    if calibration is not None and not _is_calibration(calibration):
        raise InputError(f"{path} has a calibration without a finite scale above 0 and a finite offset: train it again")
    decision = content.get("decision")
    if decision is not None and not _is_decision(decision):
        raise InputError(f"{path} has a decision without a finite threshold, a band of two ascending numbers (or none) "
                         "and a sentence on its origin: train it again")


def _is_calibration(value: Any) -> bool:
    return (isinstance(value, dict) and all(_is_number(value.get(key)) for key in ("scale", "offset"))
            and value["scale"] > 0)


def _is_decision(value: Any) -> bool:
    if not isinstance(value, dict) or not _is_number(value.get("threshold")) or not isinstance(value.get("origin"), str):
        return False
    band = value.get("band")
    return band is None or (isinstance(band, (list, tuple)) and len(band) == 2 and all(map(_is_number, band))
                            and band[0] <= band[1])


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def check_weights(config: dict, state_dict: Any, path: Path) -> None:
    """Compare names, shapes and types with the network of `config`, and refuse weights that are not finite."""
    import torch
    expected = _expected(config, path)
    if not isinstance(state_dict, dict) or not all(isinstance(value, torch.Tensor) for value in state_dict.values()):
        raise InputError(f"{path} has no table of weights where one is expected: name a .pt file that training wrote")
    missing, extra = sorted(expected.keys() - state_dict.keys()), sorted(state_dict.keys() - expected.keys(), key=str)
    if missing and not extra and config["architecture"] == "hybrid" and all(name.startswith("encoder.") for name in missing):
        raise InputError(f"{path} is a hybrid without its speech encoder, as it lies in the box: make it whole with "
                         "python utils/pack_detector.py unpack --output FILE.pt")
    if missing or extra:
        raise InputError(f"{path} does not hold the weights of {config['architecture']} ({_named('missing', missing)}"
                         f"{'; ' if missing and extra else ''}{_named('unexpected', extra)}): name another architecture "
                         "or another file")
    for name, tensor in state_dict.items():
        want = expected[name]
        if tensor.shape != want.shape or tensor.dtype != want.dtype or tensor.layout != want.layout:
            raise InputError(f"{path} does not hold the weights of {config['architecture']} ({name} is {_shape(tensor)}, "
                             f"not {_shape(want)}): name another architecture or another file")
        if not torch.isfinite(tensor).all():
            raise InputError(f"{path} holds weights that are not finite ({name}): training went wrong; "
                             "use an earlier checkpoint")


def _expected(config: dict, path: Path) -> dict:
    """The state dict of the network of `config`, shapes and types only."""
    import torch

    from models import build_model
    try:
        with torch.device("meta"):
            return build_model(config).state_dict()
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RuntimeError) as error:
        raise InputError(f"{path} describes no network known here ({str(error).splitlines()[0]}): update this project "
                         "or name another model") from error


def _named(what: str, names: list) -> str:
    if not names:
        return ""
    return f"{what} {', '.join(map(str, names[:3]))}{' and more' if len(names) > 3 else ''}"


def _shape(tensor: Any) -> str:
    return f"{tuple(tensor.shape)} {str(tensor.dtype).removeprefix('torch.')}"


def metadata(checkpoint: dict) -> dict:
    """Everything in `checkpoint` that JSON can hold (all but weights and optimiser); NaN and infinity become None."""
    return {key: _plain(value) for key, value in checkpoint.items() if key not in NOT_METADATA}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)


def metadata_json(checkpoint: dict) -> str:
    """`metadata` as one line of JSON, for the metadata of an exported model."""
    return json.dumps(metadata(checkpoint), allow_nan=False)
