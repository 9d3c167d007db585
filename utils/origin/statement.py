"""One thing that a file says of itself, and what that proves: the entries of "origin"."""
from utils.common.errors import printable

CREDENTIALS = "content_credentials"     # signed, by C2PA
LABEL = "generated_label"               # for generated content, as regulations ask
SOFTWARE, DEVICE, DATE, COMMENT = TAGS = "software", "device", "date", "comment"
EDITING = "editing"                     # what the container shows of it
LONGEST = 200               # characters of a statement
MOST = 30                   # statements of a file
BY_ANYBODY = "a tag can be written, changed or removed by anybody"


def statement(what: str, says: str, proves: str, **details: object) -> dict:
    """An entry of "origin". `says` is made safe to print; `details` are for programs."""
    return {"what": what, "says": clean(says), "proves": proves, **details}


def clean(text: object) -> str:
    """Text of a file on one line of bounded length, safe to print on any terminal."""
    line = printable(" ".join(str(text)[:10 * LONGEST].split()))
    return line if len(line) <= LONGEST else line[:LONGEST - 1] + "…"
