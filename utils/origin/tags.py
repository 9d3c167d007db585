"""Tags as libav reads them of any container: labels, software, devices, dates, comments."""
from collections.abc import Iterator

from utils.origin.labels import AIGC, SOURCE_TYPE, aigc_label, source_type_label
from utils.origin.statement import BY_ANYBODY, COMMENT, DATE, DEVICE, SOFTWARE, statement

# By names in lower case. Of broadcast WAV (EBU Tech 3285), libav calls the originator "encoded_by".
NAMES = {
    SOFTWARE: ("encoder", "encoded_by", "software", "tool", "encoder_options", "coding_history",
               "com.apple.quicktime.software", "com.android.version", "wm/encodingsettings"),
    DEVICE: ("make", "model", "com.apple.quicktime.make", "com.apple.quicktime.model",
             "com.android.manufacturer", "com.android.model"),
    DATE: ("creation_time", "date", "com.apple.quicktime.creationdate", "date_recorded", "tden"),
    COMMENT: ("comment", "description", "com.apple.quicktime.comment")}
PROVES = {
    SOFTWARE: "which program wrote the file last, if that is true",
    DEVICE: "which device recorded it, if that is true",
    DATE: "what date a clock showed or somebody typed, if that is true",
    COMMENT: "nothing but that somebody wrote it"}
FFMPEG = ("Lavf", "Lavc")   # how FFmpeg's libraries sign, of formats and of codecs
BY_FFMPEG = ("that FFmpeg's libraries wrote the file last, as in many recorders, editors and "
             "services, if that is true: it may have been encoded again")


def of_tags(tags: dict[str, str]) -> Iterator[dict]:
    """The statements of a file's tags."""
    for name, value in tags.items():
        if name.upper() == AIGC:
            yield aigc_label(value)
        elif found := SOURCE_TYPE.search(value):
            yield source_type_label(found[1])
        else:
            yield from _of_tag(name, value)


def _of_tag(name: str, value: str) -> Iterator[dict]:
    for what, names in NAMES.items():
        if name.lower() in names and value.strip():
            ffmpeg = what == SOFTWARE and value.startswith(FFMPEG)
            proves = BY_FFMPEG if ffmpeg else PROVES[what]
            yield statement(what, f"{name}: {value}", f"{proves}; {BY_ANYBODY}")
