"""XMP packets, found by their marks in any format, as the XMP specification (part 3) suggests."""
import re
from collections.abc import Iterator
from html import unescape

from utils.origin.labels import SOURCE_TYPE, aigc_label, source_type_label
from utils.origin.statement import BY_ANYBODY, CREDENTIALS, SOFTWARE, statement

BEGIN, END = b"<x:xmpmeta", b"</x:xmpmeta>"
MOST_PACKETS = 5
LONGEST_PACKET = 100_000    # bytes
# properties as attribute or element; values are bounded, so that no input is slow
_VALUE = r"""\s{0,9}(?:=\s{0,9}["']|>)([^"'<]{1,1000})"""
_TOOL = re.compile("xmp:CreatorTool" + _VALUE)
_ELSEWHERE = re.compile("dcterms:provenance" + _VALUE)
_AIGC = re.compile(r""":AIGC\s{0,9}(?:=\s{0,9}(?:"([^"]{1,2000})"|'([^']{1,2000})')"""
                   r"""|>([^<]{1,2000})<)""")


def of_packets(data: bytes) -> Iterator[dict]:
    """The statements of the XMP packets in `data`."""
    end = 0
    for _ in range(MOST_PACKETS):
        begin = data.find(BEGIN, end)
        end = data.find(END, begin)
        if begin < 0 or end < 0:
            return
        yield from _of_packet(data[begin:min(end, begin + LONGEST_PACKET)].decode(errors="replace"))


def _of_packet(text: str) -> Iterator[dict]:
    for found in dict.fromkeys(SOURCE_TYPE.findall(text)):
        yield source_type_label(found)
    for found in _AIGC.findall(text):
        yield aigc_label(unescape("".join(found)))
    for found in _TOOL.findall(text):
        yield statement(SOFTWARE, f"XMP creator tool: {unescape(found)}",
                        f"which program wrote it, if that is true; {BY_ANYBODY}")
    for found in _ELSEWHERE.findall(text):
        yield statement(CREDENTIALS, f"they lie elsewhere, and were not fetched: {unescape(found)}",
                        "nothing: they were not read", signature=None, sound=None)
