"""Archives: indexed in place, resumed, refused when torn or hostile, and unpacked safely."""
import gzip
import io
import re
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.helpers.asvspoof5_archives import write_tar
from utils.archives import index as archive_index, zip as zips
from utils.archives.bounded_gzip import BoundedGzip
from utils.archives.extraction import Item, tar_items, unpack
from utils.archives.index import (check_containers, container_name, index_archive, read_index,
                                  stamp)
from utils.archives.tar import walk
from utils.common.errors import InputError

PATTERN = re.compile(r"(flac_D/)?D_\d{10}\.flac")
CONTENT = b"not decoded here"


def names(count: int) -> list[str]:
    return [f"flac_D/D_{number:010}.flac" for number in range(count)]


def sparse_tar(path: Path, members: list[str], size: int = 139_000) -> Path:
    """An archive whose headers are real and whose data are holes."""
    with open(path, "wb") as file:
        for name in members:
            info = tarfile.TarInfo(name)
            info.size = size
            file.write(info.tobuf(tarfile.GNU_FORMAT))
            file.seek(-(-size // 512) * 512, io.SEEK_CUR)
        file.write(bytes(10_240))
    return path


def special_tar(path: Path, *infos: tarfile.TarInfo, form: int = tarfile.GNU_FORMAT) -> Path:
    with tarfile.open(path, "w", format=form) as archive:
        for info in infos:
            archive.addfile(info, io.BytesIO(CONTENT) if info.isreg() else None)
    return path


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    info.linkname = link
    info.size = len(CONTENT) if kind == tarfile.REGTYPE else 0
    return info


def indexed(path: Path) -> list[tuple[str, int, int]]:
    return list(read_index(index_archive(path, path.with_suffix(".tsv"), PATTERN)))


def test_the_index_says_where_real_speech_lies(clips, tmp_path):
    contents = [clip.read_bytes() for clip in clips["bonafide"]]
    write_tar(tmp_path / "a.tar", [("flac_D/", b""), *zip(names(len(contents)), contents)])
    archive = (tmp_path / "a.tar").read_bytes()
    found = indexed(tmp_path / "a.tar")
    assert [archive[offset:offset + size] for _, offset, size in found] == contents


def test_an_archive_as_large_as_ASVspoof5s_is_indexed_whole(tmp_path):
    sparse_tar(tmp_path / "a.tar", names(47_400))
    found = indexed(tmp_path / "a.tar")
    assert (tmp_path / "a.tar").stat().st_size > 6.5e9
    assert [name for name, _, _ in found] == names(47_400)


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT])
def test_every_tar_dialect_gives_the_same_index_as_the_standard_library(tmp_path, form):
    long = "d" * 90 + "/" + "x" * 90 + ".flac"
    special_tar(tmp_path / "a.tar", *(member(name) for name in ("short.flac", long)), form=form)
    if form == tarfile.PAX_FORMAT:
        special_tar(tmp_path / "a.tar", member("é" * 80 + ".flac"), member(long), form=form)
    with tarfile.open(tmp_path / "a.tar") as archive, open(tmp_path / "a.tar", "rb") as file:
        assert [(m.name, m.offset, m.size) for m in walk(file, "a.tar")] == [
            (m.name, m.offset_data, m.size) for m in archive.getmembers()]


def test_a_killed_indexing_goes_on_to_the_same_bytes(tmp_path, monkeypatch):
    archive = sparse_tar(tmp_path / "a.tar", names(3_000))
    whole = index_archive(archive, tmp_path / "whole.tsv", PATTERN).read_bytes()
    for cut in (0, 10, 61, 5_000, len(whole) // 2, len(whole) - 3, len(whole)):
        (tmp_path / "again.tsv.part").write_bytes(whole[:cut])
        assert index_archive(archive, tmp_path / "again.tsv", PATTERN).read_bytes() == whole
        (tmp_path / "again.tsv").unlink()


def test_an_unchanged_archive_is_not_read_again_and_a_changed_one_is(tmp_path, monkeypatch):
    archive, walks = sparse_tar(tmp_path / "a.tar", names(5)), []
    monkeypatch.setattr(archive_index, "walk", lambda *args: walks.append(args) or walk(*args))
    for _ in range(2):
        assert len(indexed(archive)) == 5
    assert len(walks) == 1
    sparse_tar(archive, names(7))
    assert len(indexed(archive)) == 7
    assert len(walks) == 2


def test_a_missing_or_changed_archive_is_refused_before_anything_is_read_from_it(tmp_path):
    archive = sparse_tar(tmp_path / "a.tar", names(5))
    corpus = {"containers": {"a.tar": stamp(archive)}}
    check_containers(tmp_path, corpus)
    sparse_tar(archive, names(6))
    with pytest.raises(InputError, match="changed after it was indexed"):
        check_containers(tmp_path, corpus)
    archive.unlink()
    with pytest.raises(InputError, match="missing"):
        check_containers(tmp_path, corpus)


def test_a_container_is_named_relative_to_the_data_folder_or_absolutely_outside(tmp_path):
    assert container_name(tmp_path, tmp_path / "raw" / "a.tar") == "raw/a.tar"
    assert Path(container_name(tmp_path / "data", tmp_path / "a.tar")).is_absolute()


@pytest.mark.parametrize("keep", [100, 512, 700, 1_536, 139_000, 139_600, 139_776, 2 * 139_776])
def test_an_archive_cut_short_anywhere_is_refused(tmp_path, keep):
    archive = sparse_tar(tmp_path / "a.tar", names(2))
    archive.write_bytes(archive.read_bytes()[:keep])
    with pytest.raises(InputError, match="cut short"):
        indexed(archive)


def test_a_download_with_a_hole_of_zeros_is_refused(tmp_path):
    archive = sparse_tar(tmp_path / "a.tar", names(40))
    content = bytearray(archive.read_bytes())
    content[139_776 * 20:139_776 * 20 + 512] = bytes(512)
    archive.write_bytes(content)
    with pytest.raises(InputError, match="unfinished download"):
        indexed(archive)


def test_a_flipped_byte_in_any_part_of_a_header_is_refused(tmp_path):
    archive = sparse_tar(tmp_path / "a.tar", names(3), size=600)
    whole = archive.read_bytes()
    for place in range(1536, 1536 + 500, 13):
        archive.write_bytes(whole[:place] + bytes([whole[place] ^ 0x15]) + whole[place + 1:])
        with pytest.raises(InputError, match="corrupt"):
            indexed(archive)


@pytest.mark.parametrize("content", [
    b"<html>404 Not Found</html>" * 100, gzip.compress(bytes(5000)) * 30])
def test_what_is_no_tar_at_all_is_refused(tmp_path, content):
    (tmp_path / "a.tar").write_bytes(content)
    with pytest.raises(InputError, match="not an uncompressed tar"):
        indexed(tmp_path / "a.tar")


@pytest.mark.parametrize("content", [b"", bytes(10_240)])
def test_an_archive_without_members_is_refused(tmp_path, content):
    (tmp_path / "a.tar").write_bytes(content)
    with pytest.raises(InputError):
        indexed(tmp_path / "a.tar")


@pytest.mark.parametrize("name", [
    "../D_0000000001.flac", "/etc/D_0000000001.flac", "flac_D/../../D_0000000001.flac",
    "C:/D_0000000001.flac", "flac_D\\D_0000000001.flac", "C:D_0000000001.flac"])
def test_a_name_that_leads_out_of_the_folder_is_refused(tmp_path, name):
    with pytest.raises(InputError, match="unsafe name"):
        indexed(special_tar(tmp_path / "a.tar", member(name)))


@pytest.mark.parametrize("kind", [
    tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, b"S",
    b"Z"])
def test_links_devices_and_other_kinds_are_refused(tmp_path, kind):
    with pytest.raises(InputError, match="do not use"):
        indexed(special_tar(tmp_path / "a.tar", member("flac_D/D_0000000001.flac", kind, "target")))


@pytest.mark.parametrize("name", [
    "flac_D/evil.sh", "flac_D/D_0000000001.wav", "flac_T/D_0000000001.flac", "flac_D/D_1.flac",
    "flac_D/sub/D_0000000001.flac", "flac_D/D_0000000001.flac\n"])
def test_a_name_not_of_the_corpus_is_refused(tmp_path, name):
    with pytest.raises(InputError, match="not a file of this corpus"):
        indexed(special_tar(tmp_path / "a.tar", member(name)))


def test_what_macos_leaves_in_archives_is_ignored(tmp_path):
    litter = ("._flac_D", "flac_D/._D_0000000001.flac", "flac_D/.DS_Store")
    members = [*map(member, litter), member("./flac_D/D_0000000001.flac")]
    assert len(indexed(special_tar(tmp_path / "a.tar", *members))) == 1


def test_a_member_that_comes_twice_is_refused(tmp_path):
    with pytest.raises(InputError, match="twice"):
        indexed(special_tar(tmp_path / "a.tar", *[member("flac_D/D_0000000001.flac")] * 2))


def test_a_declared_size_beyond_the_archive_is_refused(tmp_path):
    info = tarfile.TarInfo("flac_D/D_0000000001.flac")
    info.size = 1 << 60
    (tmp_path / "a.tar").write_bytes(info.tobuf(tarfile.GNU_FORMAT) + bytes(20_480))
    with pytest.raises(InputError, match="cut short"):
        indexed(tmp_path / "a.tar")


def test_a_monstrous_long_name_is_refused_unread(tmp_path):
    info = tarfile.TarInfo("././@LongLink")
    info.type = tarfile.GNUTYPE_LONGNAME
    info.size = 1 << 40
    (tmp_path / "a.tar").write_bytes(info.tobuf(tarfile.GNU_FORMAT) + bytes(20_480))
    with pytest.raises(InputError, match="extended header"):
        indexed(tmp_path / "a.tar")


def test_a_damaged_index_is_refused(tmp_path):
    index = index_archive(sparse_tar(tmp_path / "a.tar", names(5)), tmp_path / "a.tsv", PATTERN)
    index.write_text("\n".join(index.read_text().splitlines()[:-2]))
    with pytest.raises(InputError, match="damaged"):
        list(read_index(index))


def unpack_tar(archive: Path, folder: Path) -> int:
    index = index_archive(archive, archive.with_suffix(".tsv"), PATTERN)
    return unpack(lambda: tar_items(archive, index, folder), folder)


def test_unpacking_gives_every_file_its_bytes_and_resumes_after_a_kill(clips, tmp_path):
    contents = [clip.read_bytes() for clip in clips["spoof"]]
    write_tar(tmp_path / "a.tar", list(zip(names(len(contents)), contents)))
    folder = tmp_path / "flac_D"
    assert unpack_tar(tmp_path / "a.tar", folder) == len(contents)
    for number in (1, 5):
        (folder / f"D_{number:010}.flac").unlink()
    (folder / ".D_0000000005.flac.tmp").write_bytes(b"half")
    assert unpack_tar(tmp_path / "a.tar", folder) == 2
    assert [path.read_bytes() for path in sorted(folder.iterdir())] == contents


def test_unpacking_overwrites_nothing(tmp_path):
    archive = special_tar(tmp_path / "a.tar", member("flac_D/D_0000000001.flac"))
    (tmp_path / "flac_D").mkdir()
    (tmp_path / "flac_D" / "D_0000000001.flac").write_bytes(b"mine")
    with pytest.raises(InputError, match="blocks the unpacking"):
        unpack_tar(archive, tmp_path / "flac_D")
    assert (tmp_path / "flac_D" / "D_0000000001.flac").read_bytes() == b"mine"


def test_unpacking_does_not_follow_a_link_that_lies_in_its_way(tmp_path):
    archive = special_tar(tmp_path / "a.tar", member("flac_D/D_0000000001.flac"))
    (tmp_path / "flac_D").mkdir()
    (tmp_path / "victim").write_bytes(CONTENT)
    try:
        (tmp_path / "flac_D" / "D_0000000001.flac").symlink_to(tmp_path / "victim")
    except OSError:
        pytest.skip("this system lets no user make symbolic links")
    with pytest.raises(InputError, match="blocks the unpacking"):
        unpack_tar(archive, tmp_path / "flac_D")


def test_unpacking_checks_the_room_first(tmp_path):
    big = Item(tmp_path / "out" / "x.flac", 1 << 60, lambda: io.BytesIO())
    with pytest.raises(InputError, match="GB are free"):
        unpack(lambda: [big], tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_an_archive_that_ends_while_it_is_unpacked_leaves_no_file(tmp_path):
    short = Item(tmp_path / "out" / "x.flac", 100, lambda: io.BytesIO(b"short"))
    with pytest.raises(InputError, match="ends 95 bytes before"):
        unpack(lambda: [short], tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_bomb_a_torn_and_a_damaged_gzip_end_in_a_sentence(tmp_path):
    whole = gzip.compress(bytes(50 << 20))
    damaged = whole[:2000] + b"xxxx" + whole[2004:]
    for name, content, match in (
            ("bomb", whole, "more than"), ("torn", whole[:-9], "cut short"),
            ("damaged", damaged, "damaged|more than"), ("text", b"<html>", "damaged")):
        (tmp_path / name).write_bytes(content)
        most = 1 << 20 if name == "bomb" else 1 << 30
        with pytest.raises(InputError, match=match), BoundedGzip(tmp_path / name, most) as file:
            file.seek(1 << 40)


AUDIO = re.compile(r"LA/ASVspoof2019_LA_(train)/flac/(LA_T_\d{7})\.flac")


def zipped(path: Path, *files: tuple[str, bytes], how: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", how) as archive:
        for name, content in files:
            archive.writestr(name, content)
    return path


def test_files_stored_plain_in_a_zip_are_found_in_place(clips, tmp_path):
    clip = clips["bonafide"][0].read_bytes()
    name = "LA/ASVspoof2019_LA_train/flac/LA_T_1000137.flac"
    archive = zipped(tmp_path / "LA.zip", ("LA/README.txt", b"x"), (name, clip))
    place = zips.stored_places(archive, AUDIO, "raw/LA.zip")["train"]["LA_T_1000137"]
    assert place.container == "raw/LA.zip"
    assert archive.read_bytes()[place.offset:place.offset + place.size] == clip


def test_compressed_files_of_a_zip_ask_for_extract_and_unpack_whole(clips, tmp_path):
    clip = clips["bonafide"][0].read_bytes()
    name = "LA/ASVspoof2019_LA_train/flac/LA_T_1000137.flac"
    archive = zipped(tmp_path / "LA.zip", (name, clip), how=zipfile.ZIP_DEFLATED)
    with pytest.raises(InputError, match="--extract"):
        zips.stored_places(archive, AUDIO, "raw/LA.zip")
    assert zips.extract(archive, lambda name: True, tmp_path) == 1
    assert (tmp_path / name).read_bytes() == clip


@pytest.mark.parametrize("name", ["../x", "/x", "a/../../x", "C:/x"])
def test_a_zip_with_an_unsafe_name_is_refused(tmp_path, name):
    with pytest.raises(InputError, match="unsafe"):
        zips.find(zipped(tmp_path / "LA.zip", (name, b"x")), lambda name: True)


def test_a_torn_or_damaged_zip_is_refused(tmp_path):
    content = zipped(tmp_path / "LA.zip", ("a", bytes(5000)), ("b", b"y" * 5000)).read_bytes()
    (tmp_path / "LA.zip").write_bytes(content[:-30])
    with pytest.raises(InputError, match="cut short or damaged"):
        zips.find(tmp_path / "LA.zip", lambda name: True)
    (tmp_path / "LA.zip").write_bytes(content.replace(b"y" * 5000, b"y" * 4999 + b"z"))
    with pytest.raises(InputError, match="cut short or damaged"):
        zips.extract(tmp_path / "LA.zip", lambda name: True, tmp_path / "out")
    assert not (tmp_path / "out" / "b").exists()


def test_a_link_in_a_zip_is_refused(tmp_path):
    info = zipfile.ZipInfo("link")
    info.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "LA.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(InputError, match="link"):
        zips.find(tmp_path / "LA.zip", lambda name: True)


