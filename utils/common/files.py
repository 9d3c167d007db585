"""Where things lie, and how they are written: beside, flushed to disk, then renamed; never half."""
import contextlib
import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from utils.common.errors import DISK_FULL, InputError

ROOT = Path(__file__).resolve().parents[2]
DATA_DIR = ROOT / "data"
CHECKPOINT_DIR = ROOT / "models" / "checkpoints"
PRETRAINED_DIR = ROOT / "models" / "pretrained"
RESULTS_DIR = ROOT / "results"
_swept: set[Path] = set()   # folders from which this process has removed what killed ones left


@contextlib.contextmanager
def disk_errors(where: Path) -> Iterator[None]:
    """Turn a full disk or a refused write below `where` into an `InputError`; every other error
    passes.
    """
    try:
        yield
    except OSError as error:
        if error.errno in DISK_FULL:
            raise InputError(f"the disk is full while writing {where}: free some space and run the "
                             "same command again; what was finished is kept") from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise InputError(f"no permission to write {where}: choose another folder or change "
                             "its permissions") from error
        raise


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn a refused or failed read of `path` into an `InputError`; every other error passes."""
    try:
        yield
    except FileNotFoundError as error:
        raise InputError(
            f"{path} went away while it was read: put it back and run this again") from error
    except PermissionError as error:
        raise InputError(
            f"no permission to read {path}: change its permissions and run this again") from error
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        raise InputError(
            f"the disk failed while reading {path}: copy it anew from its source") from error


@contextlib.contextmanager
def atomic_write(path: Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Open a file beside `path` for writing; at the end flush it to disk and rename it to `path`.

    An exception inside leaves the old `path` untouched. Text is UTF-8 with LF line ends on every
    system. Raises `InputError` where the disk is full or writing is refused.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    text = {} if "b" in mode else {"encoding": "utf-8", "newline": "\n"}
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        _sweep(path.parent)
        try:
            with open(beside, mode, **text) as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(beside, path)
        finally:
            beside.unlink(missing_ok=True)


def _sweep(folder: Path) -> None:
    """Remove what killed processes were writing into `folder` with `atomic_write`; done once per
    process and folder.
    """
    if folder in _swept:
        return
    _swept.add(folder)
    for left in folder.glob(".*.tmp"):
        process = left.name.split(".")[-2]
        if process.isdecimal() and not _lives(int(process)):
            # Windows lets nobody remove a file that is being written
            with contextlib.suppress(OSError):
                left.unlink()


def _lives(process: int) -> bool:
    """Whether a process of that number is there; on Windows, which has no harmless way to ask,
    False.
    """
    if os.name == "nt":
        return False
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


@contextlib.contextmanager
def atomic_folder(folder: Path, names: Sequence[str]) -> Iterator[Path]:
    """A folder to write the files `names` into, which take their places in `folder` together, at
    the end.

    An exception inside leaves the old files untouched; those of `names` that were not written now
    are removed. The last of them goes first and comes last, so that wherever it lies, all beside it
    are of the same run.
    """
    staging = folder / ".writing"
    with disk_errors(folder):
        shutil.rmtree(staging, ignore_errors=True)      # of a run that was killed
        staging.mkdir(parents=True)
        try:
            yield staging
            (folder / names[-1]).unlink(missing_ok=True)
            for name in names:
                if (staging / name).exists():
                    os.replace(staging / name, folder / name)
                else:
                    (folder / name).unlink(missing_ok=True)
        finally:
            shutil.rmtree(staging, ignore_errors=True)


def write_json(path: Path, content: Any) -> None:
    """Write `content` as indented JSON, atomically. NaN and infinity are refused: say null and why
    instead.
    """
    with atomic_write(path) as file:
        json.dump(content, file, indent=2, ensure_ascii=False, allow_nan=False)
        file.write("\n")


def read_json(path: Path) -> Any:
    """The content of a JSON file; `InputError` where it is missing or not JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"{path} is missing: run the step that writes it first") from error
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(f"{path} is not valid JSON ({error}): delete it and run the step that "
                         "writes it again") from error


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file's content, in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
