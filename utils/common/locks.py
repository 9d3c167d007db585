"""File locks. The system releases a lock when its holder ends, even if it is killed."""
import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from utils.common.errors import InputError
from utils.common.files import disk_errors

# On Windows nobody else can read a locked byte: lock one far behind the text.
LOCKED_BYTE = 1 << 30
WORK_MARK = ".work"      # the lock in a work folder; it also tells one from a user's own folder
HELD = (errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK)


def claim(descriptor: int) -> bool:
    """Lock an open file until it is closed; False if another live process holds the lock.

    The position in the file may change.
    """
    try:
        if os.name == "nt":
            import msvcrt
            os.lseek(descriptor, LOCKED_BYTE, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in HELD:
            return False
        raise
    return True


@contextlib.contextmanager
def only_run(path: Path, doing: str) -> Iterator[None]:
    """Hold the lock file `path` while inside. Raises `InputError` if another live process holds it.

    The file stays: removing it would race with the next run. A killed process leaves the file,
    but not the lock.
    """
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        if not claim(descriptor):
            raise InputError(f"another run (process {_holder(descriptor)}) is {doing}: "
                             "wait until it ends, or stop it")
        with disk_errors(path):
            os.lseek(descriptor, 0, os.SEEK_SET)
            os.truncate(descriptor, 0)
            os.write(descriptor, f"{os.getpid()}\n".encode())
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def work_folder(output: Path, doing: str, keep: bool) -> Iterator[Path]:
    """A folder beside `output` for what leads to it, which one process at a time may use.

    It goes at the end. With `keep` what it holds stays after an exception, for the next try.
    Raises `InputError` for a folder of that name that was not made here, and where another live
    process works in it.
    """
    folder = output.with_name(f"{output.name}.work")
    if folder.exists() and not (folder / WORK_MARK).exists():
        raise InputError(f"{folder} is needed for unfinished work and holds something else: "
                         "rename it, or choose another name for the output")
    done = False
    try:
        with only_run(folder / WORK_MARK, doing):
            done = True
            try:
                yield folder
            except BaseException:
                done = not keep or len(list(folder.iterdir())) == 1     # the mark
                raise
    finally:        # not inside: Windows removes no file that is still open
        if done:
            shutil.rmtree(folder)


def _holder(descriptor: int) -> str:
    """The process number that the lock's holder wrote into the file."""
    os.lseek(descriptor, 0, os.SEEK_SET)
    return os.read(descriptor, 20).decode("ascii", "replace").strip() or "unknown"
