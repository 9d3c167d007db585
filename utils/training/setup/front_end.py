"""A front end of one's own: a class in a Python file, loaded, tried, known by the file's sum."""
import importlib.util
import io
import sys
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from models import build_model
from models.front_ends import FRONT_ENDS
from utils.common.errors import InputError, out_of_memory, printable
from utils.export.aasist import OPSET
from utils.signals import N_SAMPLES
from utils.training.setup.weights import file_id

TOLERANCE = 1e-3    # how far the features of a wave may depend on the other waves of a batch


def known_front_end(given: str | None, crop: int) -> str | None:
    """The name in `FRONT_ENDS` of what --front_end gives: a name of it, or FILE.py:CLASS.

    The code of FILE runs. Its class is tried on crops of `crop` samples and on whole windows, and
    is then called by its name and the file's sum. Raises `InputError` for what cannot serve.
    """
    if given is None or given in FRONT_ENDS:
        return given
    file, _, wanted = given.rpartition(":")
    path = Path(file)
    name = f"{wanted} of {file_id(path)}"
    if name not in FRONT_ENDS:
        found = _class_in(_loaded(path), wanted, path)
        _try_out(found, crop, f"{wanted} of {path}")
        FRONT_ENDS[name] = found
    return name


def check_network(config: dict, crop: int) -> None:
    """Raise `InputError` if the network of `config` cannot read what its front end gives."""
    try:
        with torch.inference_mode():
            build_model(config).eval()(torch.zeros(1, crop))
    except (ValueError, RuntimeError) as error:
        if out_of_memory(error):
            raise
        raise InputError(f"{config['architecture']} cannot read the features of "
                         f"{config['front_end']} ({_first_line(error)}): give more numbers per "
                         "frame or more frames, or a longer --crop_seconds") from error


def _loaded(path: Path) -> ModuleType:
    """The module in the file at `path`."""
    spec = importlib.util.spec_from_file_location(f"front_end_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module         # dataclasses look themselves up there
    return _run(lambda: spec.loader.exec_module(module) or module, path, f"{path} cannot be loaded")


def _class_in(module: ModuleType, wanted: str, path: Path) -> type[nn.Module]:
    found = getattr(module, wanted, None)
    if isinstance(found, type) and issubclass(found, nn.Module):
        return found
    others = sorted(name for name, value in vars(module).items() if isinstance(value, type)
                    and issubclass(value, nn.Module) and value.__module__ == module.__name__)
    raise InputError(f"{path} has no class {wanted} that extends torch.nn.Module: " + (
        f"name {' or '.join(others)} behind the colon" if others else "write one there"))


def _try_out(make: type[nn.Module], crop: int, what: str) -> None:
    """Raise `InputError` if the front end breaks a promise that training or scoring needs."""
    path = Path(sys.modules[make.__module__].__file__)
    size = getattr(make, "size", None)
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        raise InputError(f"{what} has no size: give the class a line such as size = 60, the "
                         "numbers per frame")
    front_end = _run(make, path, f"{what} cannot be made without arguments").eval()
    noise = torch.randn(N_SAMPLES, generator=torch.Generator().manual_seed(0)) / 10
    for length in (crop, N_SAMPLES):
        waves = torch.stack([torch.zeros(length), noise.repeat(1 + length // N_SAMPLES)[:length]])
        with torch.inference_mode():
            both, alone = (_run(lambda part=part: front_end(part), path,
                                f"{what} fails on {length} samples") for part in (waves, waves[1:]))
        _check(both, alone, size, what)
    _run(lambda: _export(front_end, waves), path, f"{what} cannot be exported to ONNX")


def _check(both: Any, alone: Any, size: int, what: str) -> None:
    """`both`: of silence and noise; `alone`: of the noise without the silence beside it."""
    if not isinstance(both, Tensor) or not both.is_floating_point():
        raise InputError(f"{what} returns {type(both).__name__}: return a tensor of floats")
    if both.dim() != 3 or both.shape[:2] != (2, size) or not both.shape[2]:
        raise InputError(f"{what} returns the shape {tuple(both.shape)} for 2 waves: return "
                         f"(2, {size}, frames), which are waves, size and frames")
    if not both.isfinite().all():
        raise InputError(f"{what} gives values that are not finite for digital silence or for "
                         "noise: keep logarithms and divisors above a small number")
    if not torch.allclose(both[1:], alone, atol=TOLERANCE, rtol=TOLERANCE):
        raise InputError(f"{what} gives a wave other features beside another wave: compute each "
                         "wave's features from that wave alone")


def _export(front_end: nn.Module, waves: Tensor) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(front_end, (waves,), io.BytesIO(), dynamo=False, opset_version=OPSET)


def _run(call: Callable, path: Path, what: str) -> Any:
    """What `call`, which is the user's code in `path`, returns; its errors in one sentence."""
    try:
        return call()
    except Exception as error:      # the user's code can raise anything
        if out_of_memory(error):
            raise
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__)
                 if Path(frame.filename) == path]
        line = lines[-1] if lines else getattr(error, "lineno", None)
        where = f" in line {line}" if line else ""
        raise InputError(f"{what} ({type(error).__name__}{where}: {_first_line(error)}): "
                         "correct it; notebooks/front_ends has working examples") from error


def _first_line(error: Exception) -> str:
    return printable((str(error).splitlines() or [type(error).__name__])[0])
