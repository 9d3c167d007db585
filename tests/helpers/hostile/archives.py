"""Archives made to do harm: tar as ASVspoof5 comes, gzip around its protocols, zip."""
import gzip
import io
import shutil
import stat
import tarfile
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

from tests.helpers.asvspoof5_archives import PROTOCOLS, write_tar
from tests.helpers.hostile.case import ACCEPTED, REFUSED, Case, Material

TAR, PROTOCOL = "flac_D_ab.tar", "ASVspoof5_protocols.tar.gz"
NEW = "flac_D/D_0009999999.flac"   # a name of the corpus that the archive does not hold


def cases() -> list[Case]:
    """The cases of this module."""
    return [*_tar(), *_gzip(), *_zip()]


def prepare(stuff: Material, folder: Path, *options: str) -> list[str]:
    """A sound data/raw in folder/data; the script that reads it."""
    if not (folder / "data" / "raw").exists():
        shutil.copytree(stuff.raw, folder / "data" / "raw")
    return ["prepare_dataset", "--data_dir", str(folder / "data"), *options]


def _file(name: str, content: bytes = b"not decoded here") -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    return info, content


def _special(kind: bytes, target: str = "") -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(NEW)
    info.type = kind
    info.linkname = target
    return info, b""


def _with_members(*members: tuple[tarfile.TarInfo, bytes],
                  options: tuple[str, ...] = ()) -> Callable:
    """The sound archive with more members at its end."""
    def make(stuff: Material, folder: Path) -> list[str]:
        command = prepare(stuff, folder, *options)
        with tarfile.open(folder / "data" / "raw" / TAR, "a", format=tarfile.GNU_FORMAT) as archive:
            for info, content in members:
                archive.addfile(info, io.BytesIO(content) if info.isreg() else None)
        return command
    return make


def _changed(name: str, change: Callable[[bytes], bytes], *options: str) -> Callable:
    """The sound data/raw with the bytes of one file changed."""
    def make(stuff: Material, folder: Path) -> list[str]:
        command = prepare(stuff, folder, *options)
        path = folder / "data" / "raw" / name
        path.write_bytes(change(path.read_bytes()))
        return command
    return make


def _oversized(content: bytes) -> bytes:
    """The archive with a last header that declares 2^50 bytes."""
    info = tarfile.TarInfo(NEW)
    info.size = 1 << 50
    end = len(content.rstrip(b"\0")) + 511 & ~511
    return content[:end] + info.tobuf(tarfile.GNU_FORMAT) + bytes(10240)


def _half(content: bytes) -> bytes:
    return content[:len(content) // 2]


def _flip_header(content: bytes) -> bytes:
    return bytes([content[0] ^ 1]) + content[1:]


def _hole(content: bytes) -> bytes:
    """A download in pieces, of which one from the middle on is missing."""
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        at = archive.getmembers()[9].offset
    return content[:at] + bytes(5120) + content[at + 5120:]


def _in_the_way(link: bool) -> Callable:
    def make(stuff: Material, folder: Path) -> list[str]:
        command = prepare(stuff, folder, "--extract")
        with tarfile.open(folder / "data" / "raw" / TAR) as archive:
            name = next(member.name for member in archive if member.isfile())
        path = folder / "data" / "raw" / name
        path.parent.mkdir()
        if link:
            (folder / "victim").write_bytes(b"mine")
            path.symlink_to(folder / "victim")
        else:
            path.write_bytes(b"mine")
        return command
    return make


def _tar() -> list[Case]:
    unsafe = (("traversal", "../D_0009999999.flac"),
              ("traversal inside", "flac_D/../../../D_0009999999.flac"),
              ("absolute path", "/tmp/hostile/D_0009999999.flac"),
              ("Windows drive", "C:/D_0009999999.flac"),
              ("Windows separators", "flac_D\\..\\D_0009999999.flac"))
    links = (("symbolic link", tarfile.SYMTYPE), ("hard link", tarfile.LNKTYPE),
             ("character device", tarfile.CHRTYPE), ("block device", tarfile.BLKTYPE),
             ("named pipe", tarfile.FIFOTYPE))
    found = [(name, _with_members(_file(path)), "unsafe name") for name, path in unsafe]
    extracted = _with_members(_file(unsafe[0][1]), options=("--extract",))
    found += [("traversal, with --extract", extracted, "unsafe name")]
    found += [(name, _with_members(_special(kind, "/etc/passwd")), "do not use this archive")
              for name, kind in links]
    found += [
        ("member twice", _with_members(_file(NEW), _file(NEW)), "twice"),
        ("name not of the corpus", _with_members(_file("flac_D/run.sh")),
         "not a file of this corpus"),
        ("declares 2^50 bytes", _changed(TAR, _oversized), "cut short"),
        ("cut in the middle", _changed(TAR, _half), "cut short"),
        ("without its end mark", _changed(TAR, lambda content: content.rstrip(b"\0")), "cut short"),
        ("wrong sum of a header", _changed(TAR, _flip_header), "no valid header"),
        ("hole of zeros", _changed(TAR, _hole), "unfinished download"),
        ("compressed", _changed(TAR, gzip.compress), "not an uncompressed tar"),
        ("empty", _changed(TAR, lambda content: b""), "cut short"),
        ("web page instead", _changed(TAR, lambda content: b"<html>404</html>" * 99),
         "not an uncompressed tar"),
        ("wrong md5 sum", _changed(TAR, bytes, "--md5"), "has the md5 sum"),
        ("existing file in the way of --extract", _in_the_way(link=False), "blocks the unpacking"),
        ("existing link in the way of --extract", _in_the_way(link=True), "blocks the unpacking")]
    return [Case("tar archive", name, make, REFUSED, words) for name, make, words in found]


def _bomb(content: bytes) -> bytes:
    """1 GB of zeros and more in 1 MB, as gzip allows: one stream after another."""
    return gzip.compress(bytes(1 << 26), 1) * 17


def _protocols(*members: tuple[str, bytes]) -> Callable:
    def make(stuff: Material, folder: Path) -> list[str]:
        command = prepare(stuff, folder)
        write_tar(folder / "data" / "raw" / PROTOCOL, list(members))
        return command
    return make


def _large_table(stuff: Material, folder: Path) -> list[str]:
    info = tarfile.TarInfo(PROTOCOLS["D"])
    info.size = 300 << 20
    command = prepare(stuff, folder)
    block = gzip.compress(bytes(50 << 20), 1)
    head = gzip.compress(info.tobuf(tarfile.GNU_FORMAT))
    content = head + block * 6 + gzip.compress(bytes(10240))
    (folder / "data" / "raw" / PROTOCOL).write_bytes(content)
    return command


def _gzip() -> list[Case]:
    found = [
        ("cut in the middle", _changed(PROTOCOL, _half), "cut short or damaged"),
        ("wrong sum at its end",
         _changed(PROTOCOL, lambda content: content[:-8] + bytes(4) + content[-4:]), "damaged"),
        ("bomb by real size", _changed(PROTOCOL, _bomb), "more than"),
        ("bomb by declared size", _large_table, "too large for a protocol"),
        ("no tar inside", _changed(PROTOCOL, lambda content: gzip.compress(b"no tar" * 999)),
         "not an uncompressed tar"),
        ("no gzip at all", _changed(PROTOCOL, lambda content: b"<html>404</html>"), "damaged"),
        ("traversal inside", _protocols(("../ASVspoof5.dev.track_1.tsv", b"x")), "unsafe name"),
        ("absolute path inside", _protocols(("/tmp/hostile/ASVspoof5.dev.track_1.tsv", b"x")),
         "unsafe name"),
        ("too many members", _protocols(*((f"f{n}", b"") for n in range(10_001))),
         "too many for protocols")]
    return [Case("gzip archive", name, make, REFUSED, words) for name, make, words in found]


def _zipped(change: Callable[[zipfile.ZipFile], None] = lambda archive: None,
            how: int = zipfile.ZIP_STORED, after: Callable[[bytes], bytes] = bytes,
            options: tuple[str, ...] = (), leave_out: str = "\0") -> Callable:
    """LA.zip of the material's files; `change` adds members, `after` changes the bytes."""
    def make(stuff: Material, folder: Path) -> list[str]:
        path = folder / "data" / "raw" / "LA.zip"
        path.parent.mkdir(parents=True)
        with warnings.catch_warnings(), zipfile.ZipFile(path, "w", how) as archive:
            warnings.simplefilter("ignore")    # zipfile says itself that a name comes twice
            for name, content in stuff.files_2019.items():
                if leave_out not in name:
                    archive.writestr(name, content)
            change(archive)
        path.write_bytes(after(path.read_bytes()))
        return ["prepare_dataset", "--data_dir", str(folder / "data"),
                "--corpus", "asvspoof2019", *options]
    return make


def _entry(name: str, mode: int = 0, content: bytes = b"x") -> Callable[[zipfile.ZipFile], None]:
    info = zipfile.ZipInfo("x")
    info.filename = info.orig_filename = name    # past the tidying of names that zipfile does
    info.external_attr = mode << 16
    return lambda archive: archive.writestr(info, content)


def _central(at: int, value: bytes) -> Callable[[bytes], bytes]:
    """Change the first entry of the zip's directory. 8: flags, 20: packed size, 24: size."""
    def after(content: bytes) -> bytes:
        start = content.index(b"PK\1\2") + at
        return content[:start] + value + content[start + len(value):]
    return after


def _damaged_audio(content: bytes) -> bytes:
    at = content.index(b"fLaC") + 5000
    return content[:at] + bytes([content[at] ^ 8]) + content[at + 1:]


def _zip_in_the_way(stuff: Material, folder: Path) -> list[str]:
    command = _zipped(options=("--extract",))(stuff, folder)
    path = folder / "data" / "raw" / next(iter(stuff.files_2019))
    path.parent.mkdir(parents=True)
    path.write_bytes(b"mine")
    return command


def _zip() -> list[Case]:
    flac = "LA/ASVspoof2019_LA_train/flac/LA_T_0000000.flac"
    table = "LA/ASVspoof2019_LA_cm_protocols/ASVspoof2019.LA.cm.train.trn.txt"
    unpack = ("--extract",)

    def large(archive: zipfile.ZipFile) -> None:
        archive.writestr(table, bytes(65 << 20), zipfile.ZIP_DEFLATED)

    found = [
        ("traversal", _zipped(_entry("../x.flac")), "unsafe name"),
        ("absolute path", _zipped(_entry("/tmp/hostile/x.flac")), "unsafe name"),
        ("Windows drive", _zipped(_entry("C:/x.flac")), "unsafe name"),
        ("Windows separators", _zipped(_entry("LA\\..\\x")), "unsafe name"),
        ("traversal, with --extract", _zipped(_entry("../x.flac"), options=unpack), "unsafe name"),
        ("symbolic link", _zipped(_entry("LA/x", stat.S_IFLNK | 0o777, b"/etc/passwd")),
         "a link or a device"),
        ("device", _zipped(_entry("LA/x", stat.S_IFCHR | 0o666)), "a link or a device"),
        ("named pipe", _zipped(_entry("LA/x", stat.S_IFIFO | 0o666)), "a link or a device"),
        ("member twice", _zipped(_entry(flac)), "twice"),
        ("encrypted", _zipped(after=_central(8, b"\1\0")), "encrypted"),
        ("cut in the middle", _zipped(after=_half), "cut short or damaged"),
        ("without its last bytes", _zipped(after=lambda content: content[:-10]),
         "cut short or damaged"),
        ("wrong sum, with --extract", _zipped(after=_damaged_audio, options=unpack),
         "cut short or damaged"),
        ("bomb by declared size", _zipped(after=_central(24, b"\xf0\xff\xff\xff"), options=unpack),
         "GB are free|damaged|ends"),
        ("declares less than it holds",
         _zipped(how=zipfile.ZIP_DEFLATED, after=_central(24, b"\x10\0\0\0"), options=unpack),
         "damaged"),
        ("bomb by real size", _zipped(large, leave_out="train.trn"), "too large for a protocol"),
        ("existing file in the way of --extract", _zip_in_the_way, "blocks the unpacking"),
        ("compressed, without --extract", _zipped(how=zipfile.ZIP_DEFLATED),
         "run this again with --extract"),
        ("without protocols", _zipped(leave_out="cm_protocols"), "lacks the protocol"),
        ("empty file", _zipped(after=lambda content: b""), "cut short or damaged")]
    accepted = [("names not of the corpus stay in it", _zipped(_entry("LA/run.sh"), options=unpack),
                 "trial lists of ASVspoof2019 LA written")]
    return ([Case("zip archive", name, make, REFUSED, words) for name, make, words in found]
            + [Case("zip archive", name, make, ACCEPTED, words) for name, make, words in accepted])
