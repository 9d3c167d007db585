"""One run at a time on one folder, told apart by a lock that the system drops when its holder dies."""
import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from utils.common.errors import InputError
from utils.common.files import disk_errors

_FAR = 1 << 30  # the byte that is locked on Windows, beyond the text, which others must be able to read


def _acquire(descriptor: int) -> None:
    if os.name == "nt":
        import msvcrt
        os.lseek(descriptor, _FAR, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextlib.contextmanager
def only_run(path: Path, doing: str) -> Iterator[None]:
    """Hold the lock file `path` while inside; `InputError` where another live process holds it.

    The file stays behind: removing it would race with the next run. A killed holder leaves no lock, only the file.
    """
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        try:
            _acquire(descriptor)
        except OSError as error:
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK):
                raise
            os.lseek(descriptor, 0, os.SEEK_SET)
            holder = os.read(descriptor, 20).decode("ascii", "replace").strip() or "unknown"
            raise InputError(f"another run (process {holder}) is {doing}: wait until it ends, or stop it") from error
        with disk_errors(path):
            os.lseek(descriptor, 0, os.SEEK_SET)
            os.truncate(descriptor, 0)
            os.write(descriptor, f"{os.getpid()}\n".encode())
        yield
    finally:
        os.close(descriptor)
