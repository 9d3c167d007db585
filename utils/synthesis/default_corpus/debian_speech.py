"""Real speech from Debian packages: download by apt without root, unpacking, list with lengths."""
import contextlib
import io
import itertools
import lzma
import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from utils.audio.file_types import AUDIO_SUFFIXES
from utils.common.errors import InputError
from utils.common.files import atomic_write, disk_errors, file_sha256
from utils.synthesis.default_corpus.speakers import Voice

G722_BYTES_PER_SECOND = 8000
# most bytes from one package: far above the largest (0.25 GB), far below a zip bomb
MAX_UNPACKED = 2_000_000_000
# subsets of a user's speakers in turn: first two speakers in each subset, then mostly train
FIRST_DEALT, NEXT_DEALT = ("train", "eval", "dev") * 2, ("train", "train", "eval", "train", "dev")
NO_SPEECH = ("the default corpus takes its real speech from Debian packages, and {why}: give a "
             "folder of real speech with --bonafide_dir (one folder per speaker), or copy "
             "data/raw/default_corpus from a machine where it was built")


@dataclass(frozen=True, slots=True)
class Source:
    """One recording of real speech.

    `path` is relative to the folder of recordings. `coding` is "g722", "vorbis:RATE" or "pcm"
    (no known lossy coding).
    """
    path: str
    seconds: float
    speaker: str
    gender: str
    language: str
    coding: str
    subset: str


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
    count, total, siblings = 0, 0, []
    try:
        with disk_errors(folder), _data_tar(deb) as archive:
            for member in archive:
                parts = [part for part in member.name.split("/") if part not in ("", ".")]
                if ".." in parts or not re.fullmatch(wanted, "/".join(parts)):
                    continue
                if member.issym() and links and "/" not in member.linkname:
                    siblings.append((folder.joinpath(*parts), member.linkname))
                if not member.isfile():
                    continue
                total += member.size
                if total > MAX_UNPACKED:
                    raise InputError(f"{deb} unpacks to more than {MAX_UNPACKED:,} bytes, too many "
                                     "for this package: delete it and run the same command again")
                target = folder.joinpath(*parts)
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.extractfile(member) as inside, open(target, "wb") as outside:
                    shutil.copyfileobj(inside, outside)
                target.chmod(0o755 if member.mode & 0o100 else 0o644)
                count += 1
            for link, name in siblings:
                if link.with_name(name).is_file():
                    shutil.copyfile(link.with_name(name), link)
    except (lzma.LZMAError, tarfile.TarError, EOFError) as error:
        deb.unlink()
        raise InputError(f"{deb} was damaged ({error}) and has been deleted: run the same command "
                         "again") from error
    with atomic_write(mark) as file:
        file.write(str(count))
    return count


def wanted_files(voices: Iterable[Voice], package: str) -> str:
    """One pattern for all files needed from a package: recordings, captions and the licence."""
    patterns = [voice.pattern for voice in voices if voice.package == package]
    patterns.append(r"usr/share/doc/.*/copyright")
    if package == "tuxpaint-stamps-default":
        patterns.append(r".*\.txt")
    return "|".join(f"(?:{pattern})" for pattern in patterns)


def _measure(path: Path) -> tuple[float, int]:
    """Length in seconds and sample rate in Hz; both are 0 if the file cannot be read."""
    import soundfile
    if path.suffix == ".g722":
        return path.stat().st_size / G722_BYTES_PER_SECOND, 16000
    try:
        info = soundfile.info(str(path))
    except soundfile.LibsndfileError:
        return 0.0, 0
    return info.duration, info.samplerate


def list_sources(folder: Path, voices: Iterable[Voice], minimum: float) -> list[Source]:
    """All recordings of the voices that last at least `minimum` seconds, in a fixed order.

    Each package lies unpacked in a folder with its name, below `folder`.
    """
    names: dict[str, list[str]] = {}
    sources = []
    for voice in voices:
        root = folder / voice.package
        if voice.package not in names:
            names[voice.package] = sorted(path.relative_to(root).as_posix()
                                          for path in root.rglob("*.*"))
        for name in filter(re.compile(voice.pattern).fullmatch, names[voice.package]):
            seconds, rate = _measure(root / name)
            if seconds >= minimum:
                coding = f"vorbis:{rate}" if voice.coding == "vorbis" else voice.coding
                sources.append(Source(f"{voice.package}/{name}", seconds, voice.speaker,
                                      voice.gender, voice.language, coding, voice.subset))
    return sources


def list_user_sources(folder: Path, minimum: float) -> list[Source]:
    """The recordings of a user's folder of real speech; each folder in it is a speaker.

    Speakers need a recording of at least `minimum` seconds. They are dealt to the subsets in the
    order of their names. Of the first six, train, eval and dev get two each. Of every further
    five, train gets three, eval and dev one each. All speech counts as English of unknown gender
    that was never coded lossily: spoofs say English texts and get no extra coding. Raises
    `InputError` for fewer than six such speakers.
    """
    speakers: dict[str, list[tuple[str, float]]] = {}
    files = (path for path in folder.rglob("*") if path.suffix.lower() in AUDIO_SUFFIXES)
    for name in sorted(path.relative_to(folder).as_posix() for path in files):
        if "/" in name and (seconds := _measure(folder / name)[0]) >= minimum:
            speakers.setdefault(name.split("/")[0], []).append((name, seconds))
    if len(speakers) < len(FIRST_DEALT):
        raise InputError(f"{folder} has only {len(speakers)} speakers with recordings of "
                         f"{minimum:.1f} s or more: give a folder with at least {len(FIRST_DEALT)} "
                         "folders in it, one per speaker")
    sources, taken = [], set()
    for speaker, subset in zip(speakers, itertools.chain(FIRST_DEALT, itertools.cycle(NEXT_DEALT))):
        taken.add(label := _label(speaker, taken))
        sources += [Source(name, seconds, label, "-", "en", "pcm", subset)
                    for name, seconds in speakers[speaker]]
    return sources


def _label(folder: str, taken: set[str]) -> str:
    """A speaker's name for a protocol column, different from all in `taken`.

    So "a b" and "a_b" remain two speakers.
    """
    plain = re.sub(r"\W", "_", folder)
    names = itertools.chain([plain], (f"{plain}_{number}" for number in itertools.count(2)))
    return next(name for name in names if name not in taken)
