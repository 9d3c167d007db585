"""Labels for generated content: of GB 45438-2025, and of the IPTC, wherever in a file they stand.

GB 45438-2025 (China, in force since September 2025) asks for JSON with seven fields under the name
AIGC: an ID3 TXXX frame, a Vorbis comment, an MP4 tag, a RIFF chunk, or XMP. "Label" is "1" if the
content is generated, "2" if it may be, and "3" if that is suspected. The IPTC's vocabulary Digital
Source Type names how content came to be; it stands in XMP and in content credentials.
"""
import json
import re
from collections.abc import Iterator

from utils.origin.statement import LABEL, clean, statement

AIGC = "AIGC"
AIGC_LABELS = {"1": "generated", "2": "possibly generated", "3": "suspected to be generated"}
MOST_JSON = 1 << 16         # bytes of an AIGC label
MOST_CHUNKS = 16            # places that look like such a chunk
SOURCE_TYPE = re.compile(r"cv\.iptc\.org/newscodes/digitalsourcetype/(\w{1,64})")
# of the vocabulary, in words; other types are shown by their names
SOURCE_TYPES = {
    "trainedAlgorithmicMedia": "created by a trained model",
    "compositeWithTrainedAlgorithmicMedia": "partly created by a trained model",
    "algorithmicMedia": "created by an algorithm",
    "compositeSynthetic": "with synthetic parts",
    "algorithmicallyEnhanced": "enhanced by an algorithm",
    "digitalCapture": "captured from real life",
    "humanEdits": "edited by humans"}
GENERATED = tuple(SOURCE_TYPES)[:4]
PROVES = ("that somebody labelled the file so; anybody can write such a label or remove it, and a "
          "file without one may be generated all the same")


def aigc_label(text: str) -> dict:
    """The statement of an AIGC label, JSON of GB 45438-2025."""
    try:
        fields = json.loads(text[:MOST_JSON])
        fields = fields.get(AIGC, fields)
        label = str(fields.get("Label"))
        producer, number = (fields.get(name) for name in ("ContentProducer", "ProduceID"))
    except (ValueError, AttributeError, RecursionError):
        return statement(LABEL, f"AIGC label that is not in order: {text}", PROVES, generated=None)
    says = f"AIGC label {clean(label)}: {AIGC_LABELS.get(label, 'of unknown meaning')}"
    if producer:
        says += f"; producer {clean(producer)}"
    if number:
        says += f", number {clean(number)}"
    return statement(LABEL, says, PROVES, generated=True if label == "1" else None)


def source_type_label(name: str) -> dict:
    """The statement of a digital source type of the IPTC."""
    return statement(LABEL, f"IPTC digital source type: {in_words(name)}", PROVES,
                     generated=True if name in GENERATED else None)


def in_words(source_type: str) -> str:
    """A digital source type for a person."""
    words = SOURCE_TYPES.get(source_type)
    return f"{words} ({source_type})" if words else source_type


def aigc_chunks(data: bytes) -> Iterator[str]:
    """The AIGC chunks of a RIFF file: name, length in four bytes, JSON."""
    at = data.find(b"AIGC")
    for _ in range(MOST_CHUNKS):
        if at < 0:
            return
        length = int.from_bytes(data[at + 4:at + 8], "little")
        if data[at + 8:at + 9] == b"{" and length <= MOST_JSON:
            yield data[at + 8:at + 8 + length].decode("utf-8", "replace").rstrip("\0")
        at = data.find(b"AIGC", at + 4)
