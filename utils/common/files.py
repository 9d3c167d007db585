"""Safe writing of files: write beside the file, flush to disk, rename. No file is half-written."""
import contextlib
import errno
import glob
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
_swept: set[Path] = set()   # folders in which this process removed the files of killed processes


@contextlib.contextmanager
def disk_errors(where: Path) -> Iterator[None]:
    """Turn a full disk or a refused write below `where` into an `InputError`.

    Other errors pass unchanged.
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
    """Turn a refused or failed read of `path` into an `InputError`; other errors pass unchanged."""
    try:
        yield
    except FileNotFoundError as error:
        raise InputError(
            f"{path} disappeared while it was read: put it back and run this again") from error
    except PermissionError as error:
        raise InputError(
            f"no permission to read {path}: change its permissions and run this again") from error
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        raise InputError(
            f"the disk failed while reading {path}: copy the file again from its source") from error


@contextlib.contextmanager
def atomic_write(path: Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Open a file beside `path` for writing; at the end flush it to disk and rename it to `path`.

    After an exception inside, the old `path` is unchanged. Text is UTF-8 with LF line ends on
    every system. Raises `InputError` if the disk is full or writing is refused.
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
    """Remove the unfinished files that killed processes left in `folder`.

    Each process does this once per folder.
    """
    if folder in _swept:
        return
    _swept.add(folder)
    for left in folder.glob(".*.tmp"):
        if _abandoned(left):
            # Windows refuses to remove a file that another process is writing
            with contextlib.suppress(OSError):
                left.unlink()


def _abandoned(left: Path) -> bool:
    """Whether the process that began to write `left`, and whose number it bears, has ended."""
    process = left.name.split(".")[-2]
    return process.isdecimal() and not process_lives(int(process))


def process_lives(process: int) -> bool:
    """Whether a process with this number runs.

    False on Windows, which has no harmless way to ask.
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
    """A folder for the files `names`; at the end all of them move into `folder` together.

    After an exception inside, the old files are unchanged. Files of `names` that were not written
    are removed from `folder`. The last name is removed first and moved last: if it exists, all
    files beside it come from the same run. Where it alone was written, it replaces the old file
    at once.
    """
    staging = folder / f".{names[-1]}.{os.getpid()}.writing"
    with disk_errors(folder):
        for left in (staging, *folder.glob(f".{glob.escape(names[-1])}.*.writing")):
            if left == staging or _abandoned(left):
                shutil.rmtree(left, ignore_errors=True)
        staging.mkdir(parents=True)
        try:
            yield staging
            _move(staging, folder, names)
        finally:
            shutil.rmtree(staging, ignore_errors=True)


def _move(staging: Path, folder: Path, names: Sequence[str]) -> None:
    written = [name for name in names if (staging / name).exists()]
    for name in written:
        with open(staging / name, "rb+") as file:
            os.fsync(file.fileno())
    alone = written == [names[-1]]
    if not alone:
        (folder / names[-1]).unlink(missing_ok=True)
    for name in reversed(names) if alone else names:
        if name in written:
            os.replace(staging / name, folder / name)
        else:
            (folder / name).unlink(missing_ok=True)


def write_json(path: Path, content: Any) -> None:
    """Write `content` as indented JSON, atomically.

    NaN and infinity are refused: write null and a reason instead.
    """
    with atomic_write(path) as file:
        json.dump(content, file, indent=2, ensure_ascii=False, allow_nan=False)
        file.write("\n")


def read_json(path: Path) -> Any:
    """The content of a JSON file. Raises `InputError` if it is missing or not JSON."""
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
