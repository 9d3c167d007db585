"""Debian packages with speech and engines: fetched by apt without root, and unpacked."""
import contextlib
import io
import lzma
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from utils.common.errors import InputError
from utils.common.files import atomic_write, disk_errors, file_sha256
from utils.synthesis.default_corpus.debian_speech import wanted_files
from utils.synthesis.default_corpus.plan import MINIMUM_SPEAKERS
from utils.synthesis.default_corpus.speakers import Voice
from utils.trials.trial import SUBSETS

# bytes from one package: far above the largest one (0.25 GB), far below a zip bomb
MAX_UNPACKED = 2_000_000_000
FLITE_PACKAGES = ("flite", "libflite1")
NO_SPEECH = ("the default corpus takes its real speech from Debian packages, and {why}: give a "
             "folder of real speech with --bonafide_dir (one folder per speaker), or copy "
             "data/raw/default_corpus from a machine where it was built")


def _apt(folder: Path, *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess:
    options = [f"-oDir::State::lists={folder / 'lists'}", f"-oDir::Cache={folder / 'cache'}",
               "-oAcquire::Retries=3", "-oAPT::Sandbox::User="]
    return subprocess.run(["apt-get", "-q", *options, *arguments], cwd=cwd, capture_output=True,
                          text=True, check=False)


def _apt_update(folder: Path) -> None:
    """Fetch package lists of our own: this needs no root and leaves the machine's lists alone."""
    for part in ("lists/partial", "cache/archives/partial"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    done = _apt(folder, "update")
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise InputError(NO_SPEECH.format(why=f"apt-get update failed ({reason})"))


def _expected_sha256(folder: Path, package: str) -> str:
    """The SHA-256 of a package in the signed list; raises `InputError` if the list lacks it."""
    done = subprocess.run(
        ["apt-cache", f"-oDir::State::lists={folder / 'lists'}", f"-oDir::Cache={folder / 'cache'}",
         "show", "--no-all-versions", package], capture_output=True, text=True, check=False)
    match = re.search(r"^SHA256: ([0-9a-f]{64})$", done.stdout, re.MULTILINE)
    if not match:
        raise InputError(NO_SPEECH.format(why=f"this machine's package lists hold no {package}"))
    return match[1]


def cached_package(folder: Path, package: str) -> Path | None:
    """A package that was downloaded and checked earlier, or None."""
    return next(iter(sorted(folder.glob(f"{package}_*.deb"))), None)


def download_packages(folder: Path,
                      packages: Iterable[str]) -> tuple[dict[str, Path], dict[str, str]]:
    """Download missing Debian packages into `folder`, each checked against the list's SHA-256.

    Returns the packages' files, and the reasons for those that apt could not deliver. Raises
    `InputError` without apt-get, connection or disk space, or if a download is damaged.
    """
    reasons: dict[str, str] = {}
    missing = [package for package in packages if cached_package(folder, package) is None]
    if missing:
        if not (shutil.which("apt-get") and shutil.which("apt-cache")):
            raise InputError(NO_SPEECH.format(why="this machine has no apt-get"))
        with disk_errors(folder):
            _apt_update(folder)
            reasons = {package: reason
                       for package in missing if (reason := _download(folder, package))}
    return {package: cached_package(folder, package)
            for package in packages if package not in reasons}, reasons


def _download(folder: Path, package: str) -> str:
    """Download one package; returns "" or the reason why apt failed."""
    arriving = folder / "arriving"
    shutil.rmtree(arriving, ignore_errors=True)
    arriving.mkdir(parents=True)
    done = _apt(folder, "download", package, cwd=arriving)
    files = list(arriving.glob("*.deb"))
    if done.returncode or len(files) != 1:
        if "No space left" in done.stderr:
            raise InputError(f"the disk is full while downloading {package} to {folder}: free some "
                             "space and run the same command again; what was finished is kept")
        return (f"apt-get could not download {package} "
                f"({(done.stderr.strip().splitlines() or ['no reason given'])[-1]})")
    if file_sha256(files[0]) != _expected_sha256(folder, package):
        raise InputError(f"the download of {package} is damaged (its SHA-256 differs from the "
                         "package list): run the same command again")
    files[0].replace(folder / f"{package}_{files[0].name.split('_', 1)[1]}")
    arriving.rmdir()
    return ""


def _ar_members(deb: Path) -> Iterator[tuple[str, bytes]]:
    """The members of an ar archive, as (name, content)."""
    with open(deb, "rb") as file:
        if file.read(8) != b"!<arch>\n":
            raise InputError(f"{deb} is not a Debian package: "
                             "delete it and run the same command again")
        while len(header := file.read(60)) == 60:
            size = int(header[48:58])
            yield header[:16].decode("ascii").strip().rstrip("/"), file.read(size)
            file.seek(size % 2, 1)


@contextlib.contextmanager
def _data_tar(deb: Path) -> Iterator[tarfile.TarFile]:
    for name, content in _ar_members(deb):
        if name in ("data.tar.xz", "data.tar"):
            stream = lzma.open(io.BytesIO(content)) if name.endswith(".xz") else io.BytesIO(content)
            with tarfile.open(fileobj=stream, mode="r|") as archive:
                yield archive
            return
    raise InputError(f"{deb} holds no data.tar.xz: delete it and run the same command again")


def unpack_package(deb: Path, folder: Path, wanted: str, links: bool = False) -> int:
    """Unpack the regular files whose names match `wanted` into `folder`; returns their number.

    With `links`, links to a file in the same folder (the short names of shared libraries) become
    copies of it. Names are split and rebuilt here, so no file can land outside `folder`. A mark
    is written last: an unpacked package is not unpacked again.
    """
    mark = folder / f".{deb.name}.unpacked"
    if mark.is_file():
        return int(mark.read_text())
    try:
        with disk_errors(folder), _data_tar(deb) as archive:
            count = _unpack_wanted(archive, deb, folder, wanted, links)
    except (lzma.LZMAError, tarfile.TarError, EOFError) as error:
        deb.unlink()
        raise InputError(f"{deb} was damaged ({error}) and has been deleted: run the same command "
                         "again") from error
    with atomic_write(mark) as file:
        file.write(str(count))
    return count


def _unpack_wanted(archive: tarfile.TarFile, deb: Path, folder: Path, wanted: str,
                   links: bool) -> int:
    """Unpack the members of an archive as `unpack_package` says; returns the number of files."""
    count = 0
    total = 0
    siblings = []
    for member in archive:
        parts = [part for part in member.name.split("/") if part not in ("", ".")]
        if ".." in parts or not re.fullmatch(wanted, "/".join(parts)):
            continue
        target = folder.joinpath(*parts)
        if member.issym() and links and "/" not in member.linkname:
            siblings.append((target, target.with_name(member.linkname)))
        if not member.isfile():
            continue
        total += member.size
        if total > MAX_UNPACKED:
            raise InputError(f"{deb} unpacks to more than {MAX_UNPACKED:,} bytes, too many for "
                             "this package: delete it and run the same command again")
        target.parent.mkdir(parents=True, exist_ok=True)
        with archive.extractfile(member) as inside, open(target, "wb") as outside:
            shutil.copyfileobj(inside, outside)
        target.chmod(0o755 if member.mode & 0o100 else 0o644)
        count += 1
    for link, original in siblings:
        if original.is_file():
            shutil.copyfile(original, link)
    return count


def _without(voices: tuple[Voice, ...], reasons: dict[str, str]) -> tuple[Voice, ...]:
    """The voices without those of packages that failed.

    Raises `InputError` if too few speakers remain for a subset.
    """
    left = tuple(voice for voice in voices if voice.package not in reasons)
    for subset in SUBSETS:
        speakers = {voice.speaker for voice in left if voice.subset == subset}
        if reasons and len(speakers) < MINIMUM_SPEAKERS:
            raise InputError(NO_SPEECH.format(why=next(iter(reasons.values()))))
    return left


def fetch_voices(work: Path, downloads: Path, voices: tuple[Voice, ...],
                 absent: dict[str, list[str]], pool: ProcessPoolExecutor) -> tuple[Voice, ...]:
    """Download and unpack the packages of real speech, each into its own folder below `work`.

    Returns the voices that are available. A package that apt cannot deliver is named on stderr
    and in `absent`; the corpus is built without its voices.
    """
    debs, reasons = download_packages(downloads, sorted({voice.package for voice in voices}))
    left = _without(voices, reasons)
    for package, reason in reasons.items():
        lost = ", ".join(sorted({voice.speaker for voice in voices if voice.package == package}))
        absent[package] = [reason, f"the corpus does not use {lost}"]
        print(f"default corpus: {reason}: built without {lost}; to try again, delete "
              f"{downloads.parent / 'corpus_info.json'} and run the same command", file=sys.stderr)
    largest_first = sorted(debs, key=lambda name: -debs[name].stat().st_size)
    jobs = [pool.submit(unpack_package, debs[name], work / name, wanted_files(voices, name))
            for name in largest_first]
    for job in jobs:
        job.result()
    return left


def fetch_flite(work: Path, downloads: Path, absent: dict[str, list[str]]) -> None:
    """Download and unpack Flite; if that fails, `absent` gets the reason."""
    try:
        debs, reasons = download_packages(downloads, FLITE_PACKAGES)
        for name, deb in debs.items():
            unpack_package(deb, work / name, r"usr/(bin|lib)/.*", links=True)
    except InputError as error:
        reasons = {"": str(error).split(": give a folder")[0]}
    if reasons:
        absent["A13"] = list(reasons.values())
