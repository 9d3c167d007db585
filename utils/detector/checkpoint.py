"""Checkpoints: one plain dictionary with everything needed to score, checked before it is used.

Opening one never runs code from the file: `torch.load(weights_only=True)`, with no fallback.
"""
import json
import math
import pickle
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any

from utils.common.errors import InputError, out_of_memory
from utils.common.files import atomic_write
from utils.signals import SAMPLE_RATE
from utils.signals.front import FRONT

# PyTorch is imported inside functions: a verdict of an exported model checks metadata without it.

FORMAT = 1
LABEL_ORDER = ["spoof", "bonafide"]
MAX_BYTES = 2 ** 30  # of a compressed file, unpacked; torch.save compresses nothing
REQUIRED = ("format", "architecture", "config", "state_dict", "label_order", "n_samples",
            "sample_rate")
COSTS = ("prior_spoof", "cost_miss", "cost_fa")     # of a decision
NOT_METADATA = ("state_dict", "training")  # "training": what only a resumed run needs
BEFORE_ZIP = bytes.fromhex("80028a0a6cfc9c46f9206aa85019")     # a pickled number of 10 bytes
AGAIN = "copy or download it again"
PUBLISHED = {   # a weight that only its file has: its --architecture in utils/import_weights.py
    "LL.weight": "xlsr-aasist", "fc0.weight": "xlsr-sls", "proj_fc.weight": "antideepfake",
    "out_layer.weight": "aasist"}


def save_checkpoint(path: Path, checkpoint: dict) -> None:
    """Write `checkpoint` to `path`, atomically. Raises ValueError where an entry is missing."""
    import torch
    missing = [key for key in REQUIRED if key not in checkpoint]
    if missing:
        raise ValueError(f"checkpoint without {', '.join(missing)}")
    with atomic_write(Path(path), "wb") as file:
        disk = _Disk(file)
        try:
            torch.save(checkpoint, disk)
        except RuntimeError:
            if disk.error is not None:
                raise disk.error from None
            raise


class _Disk:
    """A file that remembers what went wrong: torch hides a full disk behind an error of its own."""

    def __init__(self, file: IO[bytes]):
        self.file = file
        self.error: OSError | None = None

    def write(self, content: bytes) -> int:
        """As `file.write`."""
        try:
            return self.file.write(content)
        except OSError as error:
            self.error = error
            raise

    def flush(self) -> None:
        """As `file.flush`."""
        self.file.flush()


def load_checkpoint(path: Path) -> dict:
    """The checkpoint at `path`, on the CPU, checked; its weights are finite and fit its network.

    Raises `InputError` for everything else: a missing or damaged file, pickled code, an unknown
    architecture, missing or extra weights, a newer format.
    """
    path = Path(path)
    checkpoint = _read(path)
    check_metadata(checkpoint, path)
    missing = [key for key in REQUIRED if key not in checkpoint]
    if missing:
        raise InputError(f"{path} lacks {', '.join(missing)}: import published weights with "
                         "utils/import_weights.py, or train a model")
    check_weights(checkpoint["config"], checkpoint["state_dict"], path)
    return checkpoint


def read_pickle(path: Path, older: bool = False) -> Any:
    """The content that `torch.save` wrote to `path`, tensors on the CPU.

    `older`: also as PyTorch wrote it before 1.6, which is no zip file. Raises `InputError` where it
    is not such a file, or holds code.
    """
    import torch
    legacy = older and _begins(path, BEFORE_ZIP)
    if not legacy:
        _check_container(path)
    mapped = not legacy and path.stat().st_size > MAX_BYTES
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except pickle.UnpicklingError as error:
        raise InputError(f"{path} holds Python objects beside tensors and plain values, which "
                         "could run code: use a file from a source that saves weights only"
                         ) from error
    except (RuntimeError, EOFError, ValueError, KeyError, TypeError, AttributeError,
            IndexError) as error:
        if out_of_memory(error):
            raise
        raise InputError(f"{path} is damaged ({_first_line(error)}): {AGAIN}") from error


def _begins(path: Path, magic: bytes) -> bool:
    if not path.is_file():
        return False
    with open(path, "rb") as file:
        return file.read(len(magic)) == magic


def _what_else(path: Path) -> str:
    """What a file without a checkpoint's container is, and what to do."""
    with open(path, "rb") as file:
        start = file.read(64).lstrip()
    if not start:
        return f"it is empty; {AGAIN}"
    if start.startswith(b"<"):
        return "it is a web page; download the file itself"
    if path.suffix == ".onnx":
        return "it is an exported model; name the .pt or .pth file that it was made of"
    return ("name a .pt file that training wrote, or weights as their authors published them; "
            "a download may have gone wrong")


def _check_container(path: Path) -> None:
    """Refuse a file that is not a whole, reasonable zip file, before anything in it is read."""
    if path.is_dir():
        raise InputError(f"{path} is a folder: name the file in it that holds the weights")
    if not path.is_file():
        raise InputError(f"{path} is missing: check the path")
    if not zipfile.is_zipfile(path):
        if _begins(path, b"PK\x03\x04"):
            raise InputError(f"{path} is cut off: {AGAIN}")
        raise InputError(f"{path} is not a checkpoint: {_what_else(path)}")
    try:
        with zipfile.ZipFile(path) as container:
            size = sum(member.file_size for member in container.infolist())
            plausible = size <= max(MAX_BYTES, path.stat().st_size)
            damaged = container.testzip() if plausible else None
    except (zipfile.BadZipFile, zlib.error, UnicodeDecodeError, NotImplementedError,
            EOFError) as error:
        raise InputError(f"{path} is damaged ({error}): {AGAIN}") from error
    if not plausible:
        raise InputError(f"{path} unpacks to {size / 2 ** 30:.1f} GiB, "
                         "far beyond any model of this project: name another file")
    if damaged is not None:
        raise InputError(f"{path} is damaged ({damaged}): {AGAIN}")


def _read(path: Path) -> dict:
    content = read_pickle(path)
    if isinstance(content, dict) and "format" in content:
        return content
    names = _bare_names(content)
    if found := published_architecture(content):
        raise InputError(f"{path} holds bare published weights: make a checkpoint of them with "
                         f"python utils/import_weights.py --weights {path} --architecture {found} "
                         "--output FILE.pt")
    if {"model", "cfg"} <= names or {"model", "args"} <= names:
        raise InputError(f"{path} holds a speech encoder, and no detector: train one on it with "
                         f"python notebooks/aasist_training.py --architecture ssl --encoder {path}")
    raise InputError(f"{path} is not a checkpoint of this detector: "
                     "name a .pt file that training wrote")


def published_architecture(content: Any) -> str | None:
    """The --architecture of utils/import_weights.py for bare published weights; None for others."""
    names = _bare_names(content)
    return next((family for name, family in PUBLISHED.items() if name in names), None)


def _bare_names(content: Any) -> set[str]:
    return {str(name).removeprefix("module.").removeprefix("detector.")
            for name in (content if isinstance(content, dict) else ())}


def check_metadata(content: Any, path: Path) -> None:
    """Check the entries that describe a model, from a checkpoint or an exported file.

    Raises `InputError` where an entry is wrong.
    """
    if not isinstance(content, dict) or not _is_count(content.get("format")):
        raise InputError(f"{path} does not say which checkpoint format it has: "
                         "name a model that this detector wrote")
    if content["format"] > FORMAT:
        raise InputError(f"{path} has checkpoint format {content['format']}, newer than this "
                         f"version understands ({FORMAT}): update this project")
    if content.get("label_order") != LABEL_ORDER:
        raise InputError(f"{path} gives the label order {content.get('label_order')!r} instead of "
                         f"{LABEL_ORDER}: import or train it again")
    if content.get("sample_rate") != SAMPLE_RATE or not _is_count(content.get("n_samples")):
        raise InputError(f"{path} expects {content.get('sample_rate')!r} Hz and windows of "
                         f"{content.get('n_samples')!r} samples: this version takes "
                         f"only {SAMPLE_RATE} Hz and a whole number of samples")
    if content.get("front") not in (None, FRONT):
        raise InputError(f"{path} was trained behind the front stage {content['front']!r}: "
                         f"this version has only {FRONT!r}; update this project")
    calibration = content.get("calibration")
    if calibration is not None and not _is_calibration(calibration):
        raise InputError(f"{path} has a calibration without a finite scale above 0 and a finite "
                         "offset: train it again")
    decision = content.get("decision")
    if decision is not None and not _is_decision(decision):
        raise InputError(f"{path} has a decision without a finite threshold, a band of two "
                         "ascending numbers (or none), costs and a sentence on its origin: "
                         "train it again")
    if wrong := _wrong_description(content):
        raise InputError(f"{path} has an entry {wrong} of another form than training writes: "
                         "train it again")
    if not _has_dev_eers(content):
        raise InputError(f"{path} has an EER on dev that is no number from 0 to 1: train or "
                         "calibrate it again")


def _has_dev_eers(content: dict) -> bool:
    """Whether the EERs on dev that its entries state are shares, or None."""
    try:
        errors = [content.get("dev_eer"), (content.get("calibrated_on") or {}).get("eer"),
                  *(epoch.get("dev_eer") for epoch in content.get("history") or [])]
    except (AttributeError, TypeError):     # other things than tables
        return False
    return all(error is None or (_is_number(error) and 0 <= error <= 1) for error in errors)


def _wrong_description(content: dict) -> str | None:
    """The first entry on training or audio that verdicts cannot read; None if all are well."""
    for name in ("trained_on", "calibrated_on", "audio", "compression"):
        if not isinstance(content.get(name), (dict, type(None))):
            return name
    ranges = {"score_range": content.get("score_range"), **(content.get("audio") or {})}
    return next((name for name, value in ranges.items()
                 if name != "utterances" and not _is_range(value)), None)


def _is_range(value: Any) -> bool:
    """None, or numbers from the lowest to the highest."""
    return value is None or (isinstance(value, (list, tuple)) and len(value) > 1
                             and all(map(_is_number, value)) and value[0] <= value[-1])


def _is_calibration(value: Any) -> bool:
    return (isinstance(value, dict) and _is_number(value.get("scale")) and value["scale"] > 0
            and _is_number(value.get("offset")))


def _is_decision(value: Any) -> bool:
    return (isinstance(value, dict) and _is_number(value.get("threshold"))
            and isinstance(value.get("origin"), str) and _is_band(value.get("band"))
            and isinstance(value.get("bands", {}), dict)
            and all(map(_is_band, value.get("bands", {}).values()))
            and all(_is_number(value.get(name, 1)) for name in COSTS))


def _is_band(value: Any) -> bool:
    return value is None or (isinstance(value, (list, tuple)) and len(value) == 2
                             and all(map(_is_number, value)) and value[0] <= value[1])


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_number(value: Any) -> bool:
    return (isinstance(value, (int, float)) and not isinstance(value, bool)
            and math.isfinite(value))


def check_weights(config: dict, state_dict: Any, path: Path) -> None:
    """Compare names, shapes and types of weights with the network of `config`.

    Raises `InputError` where they differ, and for weights that are not finite.
    """
    import torch
    expected = _expected(config, path)
    if (not isinstance(state_dict, dict)
            or not all(isinstance(value, torch.Tensor) for value in state_dict.values())):
        raise InputError(f"{path} has no table of weights: name a .pt file that training wrote")
    _check_names(config["architecture"], expected, state_dict, path)
    for name, tensor in state_dict.items():
        wanted = expected[name]
        if (tensor.shape, tensor.dtype, tensor.layout) != (wanted.shape, wanted.dtype,
                                                           wanted.layout):
            raise _other_weights(path, config["architecture"],
                                 f"{name} is {_shape(tensor)}, not {_shape(wanted)}")
        if not torch.isfinite(tensor).all():
            raise InputError(f"{path} holds weights that are not finite ({name}): training "
                             "failed; use an earlier checkpoint")


def _expected(config: dict, path: Path) -> dict:
    """The state dict of the network of `config`, shapes and types only."""
    import torch

    from models import build_model
    from models.front_ends import UnknownFrontEnd
    try:
        with torch.device("meta"):
            return build_model(config).state_dict()
    except UnknownFrontEnd as error:
        raise InputError(f"{path} needs the front end {config.get('front_end')!r}, which this "
                         "program does not have: name the exported model beside it (.onnx), which "
                         "holds it, or train on with the --front_end that it was trained with"
                         ) from error
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RuntimeError) as error:
        raise InputError(f"{path} describes no network known here ({_first_line(error)}): "
                         "update this project or name another model") from error


def _check_names(architecture: str, expected: dict, state_dict: dict, path: Path) -> None:
    missing = sorted(expected.keys() - state_dict.keys())
    extra = sorted(state_dict.keys() - expected.keys(), key=str)
    encoder = sorted(name for name in expected if name.startswith("encoder."))
    if encoder and missing == encoder and not extra:
        raise InputError(f"{path} is packed: it lacks the weights of its speech encoder; unpack "
                         "it with python utils/pack_detector.py unpack --output FILE.pt")
    if missing or extra:
        parts = [_named("missing", missing), _named("unexpected", extra)]
        raise _other_weights(path, architecture, "; ".join(filter(None, parts)))


def _other_weights(path: Path, architecture: str, why: str) -> InputError:
    return InputError(f"{path} does not hold the weights of {architecture} ({why}): "
                      "name another architecture or another file")


def _named(what: str, names: list) -> str:
    if not names:
        return ""
    more = " and more" if len(names) > 3 else ""
    return f"{what} {', '.join(map(str, names[:3]))}{more}"


def _shape(tensor: Any) -> str:
    return f"{tuple(tensor.shape)} {str(tensor.dtype).removeprefix('torch.')}"


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def metadata(checkpoint: dict) -> dict:
    """Everything in `checkpoint` that JSON can hold: all but weights and optimiser.

    NaN and infinity become None.
    """
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
