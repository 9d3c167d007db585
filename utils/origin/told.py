"""All that a file says of itself, in the order of its weight."""
from collections.abc import Iterator

from utils.audio.file_types import id3_length
from utils.audio.info import AudioInfo
from utils.audio.libav import DecoderRefused, Reader
from utils.audio.sources import SMALL, AudioError, AudioSource, Opened, open_source
from utils.origin.credentials import MARK, of_credentials
from utils.origin.labels import aigc_chunks, aigc_label
from utils.origin.packets import of_packets
from utils.origin.statement import CREDENTIALS, EDITING, LABEL, MOST, TAGS, statement
from utils.origin.tags import of_tags

ORDER = (CREDENTIALS, LABEL, EDITING, *TAGS)
LEAST_HIDDEN = 0.5          # s: less is the padding of an encoder


def statements(info: AudioInfo, source: AudioSource | None = None) -> list[dict]:
    """What a decoded recording says of itself: see `statement`.

    `info` is complete. Without a `source`, as of a pipe, tags alone are told. Of a large file, XMP
    is looked for at both ends.
    """
    found = [*of_tags(info.tags), *_of_editing(info)]
    if source is not None:
        try:
            with open_source(source) as opened:
                found += _of_file(opened, info.format)
        except (AudioError, OSError):       # gone since it was decoded
            pass
    found.sort(key=lambda told: ORDER.index(told["what"]))
    different = {(told["what"], told["says"]): told for told in reversed(found)}
    return list(reversed(different.values()))[:MOST]


def _of_file(opened: Opened, form: str) -> Iterator[dict]:
    ends = [opened.read(0, SMALL)]
    if id3_length(ends[0]):         # the decoder passes over such a tag
        yield from of_tags(_id3_tags(opened))
    if opened.size > SMALL:
        ends.append(opened.read(max(SMALL, opened.size - SMALL), SMALL))
    for data in ends:
        yield from of_packets(data)
        if form == "WAV":
            yield from map(aigc_label, aigc_chunks(data))
    marked = any(MARK in data for data in ends)
    if marked or opened.size > 2 * SMALL:
        yield from of_credentials(opened.file, form, marked)


def _id3_tags(opened: Opened) -> dict[str, str]:
    try:
        reader = Reader(opened)
    except DecoderRefused:
        return {}
    reader.release()
    return reader.tags


def _of_editing(info: AudioInfo) -> Iterator[dict]:
    if info.files > 1:
        yield statement(EDITING, f"{info.files} recordings lie one behind the other",
                        "that files were joined, not by whom or why")
    if info.hidden_seconds > LEAST_HIDDEN:
        yield statement(EDITING, f"an edit list leaves out {info.hidden_seconds:.1f} s of sound "
                                 "that the file still holds",
                        "that the recording was cut; what was left out was not judged")
