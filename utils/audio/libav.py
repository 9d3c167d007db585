"""libav, through PyAV: one sound track of a file as blocks of samples, each at its own time."""
from collections.abc import Iterator
from itertools import islice

import numpy as np

from utils.audio.file_types import FORMATS, MAX_RATE, MIN_RATE
from utils.audio.sources import Opened
from utils.common.text import WESTERN

BLOCK = 1 << 18             # samples in one block: most utterances are one
UNKNOWN = "unknown"         # in place of a codec's name
PAUSE = 0.1                 # s: a shorter jump of the time stamps is rounding, or one lost frame
MOST_NOTHING = 3600.0       # s of all pauses together; more is no pause, but another clock
MOST_PAUSES = 100           # kept one by one
TYPES = {"u8": "u1", "s16": "i2", "s32": "i4", "s64": "i8", "flt": "f4", "dbl": "f8"}
MOST_TAGS, LONGEST_TAG = 200, 10_000    # read of a file; characters
STRICT = {"err_detect": "crccheck+explode"}     # an error is told, not covered with silence
ENDLESS = {"ignore_length": "1"}    # of WAV: a length that its writer could not know
# formats that list no tracks, MPEG and FLV: those of the first 50 MB are found, and need as much
# memory at most; in all others one that begins late is known from the start
WITHOUT_INDEX = (b"\0\0\1\xba", b"FLV\1")
PATIENT = {"probesize": "50000000", "analyzeduration": "600000000"}
WITH_SUMS = ("flac", "tta", "wavpack")          # codecs that look at their sums if asked to
# formats with time stamps; the last ones have numbered frames: a lost one leaves its place
TIMED = ("mov", "matroska", "flv", "asf", "mpegts", "mpeg", "ogg", "rm", "mxf")
OF_THE_FILE = ("matroska", "flv", "asf")        # formats that promise the length of all tracks
NUMBERED = ("flac", "tta", "wv")
FROM_ZERO = ("mov", "matroska", *NUMBERED)       # formats whose clocks start at zero


class DecoderRefused(Exception):
    """libav cannot read these bytes. The message is libav's own."""


class _Unknown:
    """In place of the decoder of a coding that is not known."""
    name = UNKNOWN
    sample_rate = channels = 0
    format = None
    lossless = False

    @property
    def codec(self) -> "_Unknown":
        return self


class Reader:
    """One sound track at work. What it counts is complete when `blocks` is exhausted."""

    def __init__(self, source: Opened, track: int = 0, form: str | None = None,
                 **options: str) -> None:
        """`form` and `options`: libav's format, where the bytes are bare samples."""
        import av                       # 20 MB of memory: for those who decode
        self.form = form
        self.mended = False     # its header was put right
        self.block = BLOCK      # samples (all channels together) that a block holds at least
        self._errors = (av.error.FFmpegError, ValueError)
        self._plane = av.audio.plane.AudioPlane
        self._container = self._open(av, source, form, options)
        self.tracks = len(self._container.streams.audio)
        if track >= self.tracks:
            raise DecoderRefused("it holds no sound track, or was cut short before it")
        self._stream = self._container.streams.audio[track]
        context = self._stream.codec_context or _Unknown()
        self.channels = context.channels or 0
        if self.channels:       # by number alone: PyAV frees the places of a layout twice
            context.layout = f"{self.channels}C"
        self.name = self._container.format.name.split(",")[0]
        if context.name in WITH_SUMS:
            context.options = STRICT
        if (self.name, context.name) == ("caf", "alac"):    # whose frames say how long they are
            context.options = {"flags2": "+skip_manual"}
        self.codec = context.name.removesuffix("float")
        self.rate = context.sample_rate or 0
        self.eight_bits = context.format is not None and context.format.name.startswith("u8")
        begin = self._container.start_time or 0
        self.zero = 0.0 if self.name in FROM_ZERO else begin / av.time_base
        total = self._container.duration
        self.total = total / av.time_base if total else None    # s, as the container says
        self.seconds = None                                     # as the track says
        if self._stream.duration:
            self.seconds = float(self._stream.duration * self._stream.time_base)
        self.listed = self._stream.frames or None   # samples or packets, as the index says
        self.lossless = context.codec.lossless
        self.exact = self.lossless or self.codec.startswith("pcm_")   # promises hold to the sample
        self.tags = _readable(self._container.metadata | self._stream.metadata)
        self.decoded = 0.0      # s of sound
        self.lead = 0.0         # s of nothing before it
        self.pauses: list[tuple[float, float]] = []     # (after how much of `length`, s of nothing)
        self.nothing = 0.0      # s of lead and pauses
        self.skipped = 0.0      # s by which the clock jumps further than a pause could
        self.first = 0          # the first byte of the first packet
        self.last = 0           # that of the last one that was decoded
        self.end = 0            # the byte behind it
        self.end_of_all = 0     # that behind the last packet of any stream
        self.reached = 0.0      # s from the file's zero, where packets of other streams end
        self._others: dict[int, int] = {}       # the last time stamps of other streams
        self.packets = 0
        self.packet_seconds = 0.0   # of the first
        self.faults = 0         # packets that could not be decoded
        self.late = 0           # those of them behind the last one that was
        self.later = False      # more streams begin later in the file, perhaps of sound
        self.cut = False        # the file ends inside a packet

    def _open(self, av, source: Opened, form: str | None, options: dict):
        """libav's container. The first form is found out by libav, from FORMATS alone."""
        forms = [form]
        if form is None:
            forms += [raw for raw, known in (("au", source.read(0, 4) == b".snd"),
                                             ("g722", source.name.lower().endswith(".g722")))
                      if known]         # a length of zero, or no header at all, is not recognised
        options |= {"protocol_whitelist": "", **STRICT}
        if form is None and source.read(0, 4) in WITHOUT_INDEX:
            options |= PATIENT
        if form is None:
            options["format_whitelist"] = ",".join(FORMATS)
        refusal = None
        for form in forms:
            if source.file.seekable():
                source.file.seek(0)
            try:
                return av.open(source.file, format=form, options=options,
                               metadata_errors="surrogateescape")
            except self._errors as error:
                refusal = error
        raise DecoderRefused(getattr(refusal, "strerror", None) or str(refusal)) from refusal

    @property
    def width(self) -> int:
        """Bytes of one sample of all channels, of a PCM codec such as pcm_s16le or pcm_mulaw."""
        bits = int("".join(filter(str.isdigit, self.codec)) or 8)
        return self.channels * bits // 8

    @property
    def length(self) -> float:
        """Seconds from the file's zero to its end, with all pauses."""
        return self.decoded + self.nothing

    @property
    def medium(self) -> float:
        """Seconds of all packets that the index lists; 0 where that is not known."""
        return (self.listed or 0) * self.packet_seconds

    @property
    def heard(self) -> float:
        """The seconds to compare with a promise: where there are time stamps, with all jumps."""
        return self.length + self.skipped if self.name in TIMED else self.decoded

    @property
    def played(self) -> float:
        """The same, where the promise is of the whole file: its film may outlast its sound."""
        return max(self.heard, self.reached) if self.name in OF_THE_FILE else self.heard

    def begins(self) -> bool:
        """Whether the first packet can be decoded; nothing can be read afterwards."""
        self.block = 1
        next(self.blocks(), None)
        return not self.faults

    def release(self) -> None:
        """Let go of libav; the figures stay."""
        self._container.close()
        self._container = self._stream = None

    def blocks(self) -> Iterator[tuple[int, np.ndarray]]:
        """(rate, block) with block (n, channels): int16, or float32 with full scale 1; a pause is
        zeros. Raises `DecoderRefused` for samples of a form that is not known.
        """
        if self.codec == UNKNOWN:
            raise DecoderRefused("its sound has a coding that is not known, or was cut short")
        held: list[np.ndarray] = []
        size = 0
        rate = 0
        for now, samples in self._at_their_times():
            if held and (now != rate or samples.shape[1] != held[0].shape[1] or size >= self.block):
                yield rate, np.concatenate(held)
                held = []
                size = 0
            rate = now
            held.append(samples)
            size += samples.size
        if held:
            yield rate, np.concatenate(held)

    def _at_their_times(self) -> Iterator[tuple[int, np.ndarray]]:
        origin = self.zero      # s by the file's clock that are zero for us
        timed = self.name in TIMED or self.name in NUMBERED
        for frame in self._frames():
            rate = frame.sample_rate
            if not MIN_RATE <= rate <= MAX_RATE:
                raise DecoderRefused(f"it declares a sampling rate of {rate} Hz, outside "
                                     f"{MIN_RATE} to {MAX_RATE}")
            samples = self._samples(frame)
            if (timed or not self.decoded) and frame.time is not None:
                gap = frame.time - origin - self.length
                if PAUSE < gap and self.nothing + gap < MOST_NOTHING:
                    self._pause(gap)
                    yield from _nothing(gap, rate, samples)
                elif abs(gap) > PAUSE:          # another recording, or another clock
                    origin = frame.time - self.length
                    if self.decoded or self.name != "mov":  # whose length has no late start
                        self.skipped += max(0.0, gap)
            self.decoded += len(samples) / rate
            yield rate, samples

    def _pause(self, seconds: float) -> None:
        if not self.decoded:
            self.lead = seconds
        elif len(self.pauses) < MOST_PAUSES:
            self.pauses.append((self.length, seconds))
        self.nothing += seconds

    def _frames(self) -> Iterator:
        with self._container:
            packets = self._container.demux()
            while True:
                try:
                    packet = next(packets)
                except IndexError:      # the first packet of a stream that begins here
                    self.later = True
                    packets = self._container.demux()
                    continue
                except (StopIteration, *self._errors):
                    return      # of an error too: what follows is told by the promised length
                if packet.size and packet.pos is not None:
                    self.end_of_all = max(self.end_of_all, packet.pos + packet.size)
                if packet.stream.index != self._stream.index:
                    self._pass(packet)
                    continue
                if packet.size:
                    self.packets += 1
                    self._begin(packet)
                try:
                    yield from packet.decode()
                    self._end(packet)
                except self._errors:
                    self.faults += 1
                    self.late += 1

    def _pass(self, packet) -> None:
        """Of another stream: a picture lasts as long as the one before where it does not say."""
        if packet.size and packet.pts is not None:
            before = self._others.get(packet.stream.index, packet.pts)
            self._others[packet.stream.index] = packet.pts
            end = packet.pts + max(packet.duration or 0, packet.pts - before)
            self.reached = max(self.reached, float(end * packet.time_base) - self.zero)

    def _begin(self, packet) -> None:
        if self.packets == 1:
            self.first = packet.pos or 0
            self.packet_seconds = float((packet.duration or 0) * packet.time_base)
        if self.name == "mpegts":
            self.faults += packet.is_corrupt
        else:
            self.cut |= packet.is_corrupt

    def _end(self, packet) -> None:
        if packet.size and packet.pos is not None:
            self.last = packet.pos
            self.end = max(self.end, packet.pos + packet.size)
            self.late = 0

    def _samples(self, frame) -> np.ndarray:
        """(n, channels) of a frame: int16 stays, all else becomes float32 with full scale 1."""
        channels = frame.layout.nb_channels     # PyAV's own loop over the planes does not end there
        planar = frame.format.is_planar
        form = np.dtype(TYPES[frame.format.packed.name])
        planes = [np.frombuffer(self._plane(frame, number), form, frame.samples * (
            1 if planar else channels)) for number in range(channels if planar else 1)]
        array = np.stack(planes, axis=1) if planar else planes[0].reshape(-1, channels)
        if array.dtype == np.uint8:
            return (array.astype(np.float32) - 128) / 128
        if array.dtype in (np.int32, np.int64):
            return (array / -float(np.iinfo(array.dtype).min)).astype(np.float32)
        with np.errstate(over="ignore"):        # infinity is told later
            return array if array.dtype == np.int16 else array.astype(np.float32)


def _readable(tags: dict[str, str]) -> dict[str, str]:
    """Tags as text, bounded in number and length; what is not UTF-8 is read as western letters."""
    return {_text(name[:LONGEST_TAG]): _text(value[:LONGEST_TAG])
            for name, value in islice(tags.items(), MOST_TAGS)}


def _text(value: str) -> str:
    if value.isascii():
        return value
    try:
        return value.encode("utf-8", "surrogateescape").decode()
    except UnicodeDecodeError:
        return value.encode("utf-8", "surrogateescape").decode(WESTERN, "replace")


def _nothing(seconds: float, rate: int, like: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Zeros for a pause."""
    left = round(seconds * rate)
    while left > 0:
        count = min(left, BLOCK // like.shape[1])
        yield rate, np.zeros((count, like.shape[1]), like.dtype)
        left -= count
