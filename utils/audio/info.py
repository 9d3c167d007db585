"""What was decoded of a recording, and what is missing or odd about it."""
from dataclasses import dataclass, field

import numpy as np

from utils.audio.file_types import FORMATS
from utils.audio.libav import Reader
from utils.audio.pieces import MOST_PIECES
from utils.audio.promises import TOLERANCE, slack
from utils.signals.resampling import FULL_SCALE

CONCEALED = 0.03            # s: a loss within the recording that is shorter is not told
MAX_PAUSES = 5              # told one by one
# where full scale lies lower
_CLIP_LEVEL = {"pcm_u8": 127 / 128, "pcm_s8": 127 / 128, "pcm_mulaw": 0.98, "pcm_alaw": 0.98}
Done = list[tuple[Reader, float | None]]    # the readers of a file, with what each piece promised


@dataclass(slots=True)
class AudioInfo:
    """For warnings and records. Complete once the stream is exhausted."""
    sample_rate: int = 0         # Hz, of the source
    channels: int = 0            # of the track
    most_channels: int = 0       # of a part of it, where their number changes
    tracks: int = 0              # sound tracks in the file
    format: str = ""             # container, e.g. WAV
    subtype: str = ""            # codec, e.g. pcm_s16le
    eight_bits: bool = False     # samples of 8 bits
    rounded: bool = False        # it holds samples of 16 bits, or fewer
    frames: int = 0              # samples per channel in the source, pauses included
    n_samples: int = 0           # samples handed out per channel, at 16 kHz
    seconds: float = 0.0         # from the file's zero, pauses included
    # what the file says of its length, if it does: known from the first block
    expected_seconds: float | None = None
    peak: float = 0.0            # largest magnitude in the source; 1 is full scale
    clipped_samples: float = 0.0  # per channel
    # the format cannot tell whether the recording ends here or was cut between two frames
    unmarked_end: bool = False
    missing: list[str] = field(default_factory=list)    # sentences: what could not be decoded
    remarks: list[str] = field(default_factory=list)    # sentences: what is odd, and was heard
    lossless: bool = False       # the codec loses nothing
    flaws: list[str] = field(default_factory=list)  # why it is no whole utterance of a corpus
    tags: dict[str, str] = field(default_factory=dict)  # of the file and its track, as libav has it
    files: int = 1               # recordings that lie one behind the other
    hidden_seconds: float = 0.0  # of sound that an edit list leaves out; 0 where that is unknown

    @property
    def clipped_fraction(self) -> float:
        """The share of the source's samples at full scale."""
        return self.clipped_samples / self.frames if self.frames else 0.0

    def describe(self, reader: Reader, before: int = 0) -> None:
        """Note what the header says; `before`: bytes in front of it that are no sound."""
        if before and not reader.mended:
            self._odd(f"{before:,} bytes before the sound are none: they are left out")
        if reader.mended:
            self._odd("its header is faulty: what follows it was read as its sound")
        self.sample_rate = reader.rate
        self.channels = reader.channels
        self.tracks = reader.tracks
        self.format = FORMATS.get(reader.name, "raw")
        self.subtype = reader.codec
        self.eight_bits = reader.eight_bits
        self.lossless = reader.lossless
        self.tags = reader.tags

    def measure(self, rate: int, block: np.ndarray) -> float:
        """Add a block (n, channels) of the source; its peak, where full scale is 1."""
        full = FULL_SCALE if block.dtype == np.int16 else 1.0
        peak = max(float(block.max()), -float(block.min())) / full
        self.peak = max(self.peak, peak)
        level = _CLIP_LEVEL.get(self.subtype, 32767 / 32768)
        if peak >= level:
            loud = np.abs(block.astype(np.float32)) >= level * full
            self.clipped_samples += int(np.count_nonzero(loud)) / block.shape[1]
        self.rounded |= block.dtype == np.int16
        self.frames += len(block)
        self.seconds += len(block) / rate
        self.sample_rate = self.sample_rate or rate     # of a track that begins late
        self.channels = self.channels or block.shape[1]
        self.most_channels = max(self.most_channels, block.shape[1])
        return peak

    def compare(self, done: Done) -> None:
        """Compare what was decoded with what was promised, piece by piece."""
        first, promised = done[0]
        self.unmarked_end = promised is None
        for reader, length in done:
            self._note_loss(reader, length)
        self._note_surplus(done)
        self._note_changes(done)
        self._note_times(first)
        if first.name == "mov" and first.listed and not (self.missing or first.faults
                                                         or first.codec.startswith("pcm_")):
            self.hidden_seconds = max(0.0, first.medium - first.decoded)
        if self.missing:
            self.flaws.insert(0, self.missing[0])

    def _note_loss(self, reader: Reader, promised: float | None) -> None:
        less = 0.0 if promised is None else promised - reader.played
        if less > TOLERANCE:
            self.missing.append(f"{reader.heard:.1f} of {promised:.1f} s could be decoded")
        elif reader.faults and (promised is None or less > CONCEALED):
            self.missing.append(
                f"{reader.faults} of its {reader.packets:,} pieces could not be decoded")
        elif reader.faults:
            self.flaws.append(f"{reader.faults} of its {reader.packets:,} pieces are damaged")
        elif promised is not None and (reader.cut or less > slack(reader)):
            self.flaws.append(f"it was cut short by {1000 * less:.1f} ms")

    def _note_surplus(self, done: Done) -> None:
        files = self.files = sum(reader.form is None for reader, _ in done) or 1
        promised = done[0][1]
        heard = sum(reader.decoded for reader, _ in done)   # a pause may be promised, or not
        if files > 1:
            judged = "all are judged" if files < MOST_PIECES else "more are not judged"
            self._odd(f"{files} recordings lie one behind the other in this file: {judged}")
        elif any(reader.form == "mov" for reader, _ in done):
            self._odd("its edit list leaves out all of its sound: that is judged")
        elif promised is not None and promised + TOLERANCE < heard:
            self._odd(f"the file says that it lasts {promised:.1f} s, but {heard:.1f} s are there: "
                      "all is judged")

    def _note_changes(self, done: Done) -> None:
        first = done[0][0]
        if any(reader.channels != first.channels for reader, _ in done):
            self._odd("the number of channels changes in this file")
        if any(reader.later for reader, _ in done):
            self._odd("more streams begin later in this file: if they are sound, it is not judged")
        if any(reader.tracks > first.tracks for reader, _ in done):
            self._odd("later recordings in this file have more sound tracks: those are not judged")

    def _note_times(self, first: Reader) -> None:
        if first.name == "ogg" and first.zero > TOLERANCE:
            self._odd(f"its clock begins at {first.zero:.1f} s: what was before that is lost, or "
                      "was not recorded")
        if first.lead:      # of a film, mostly: no flaw
            self.remarks.append(f"the sound begins {first.lead:.1f} s after the file does")
        for at, seconds in first.pauses[:MAX_PAUSES]:
            self._odd(f"nothing from {at:.1f} to {at + seconds:.1f} s: a pause, or a part that is "
                      "lost")
        if first.skipped:
            self._odd(f"its clock jumps by {first.skipped:,.1f} s: taken for another clock, not "
                      "for a pause")
        if (more := len(first.pauses) - MAX_PAUSES) > 0:
            self._odd(f"and {more} or more such pauses, {first.nothing:.1f} s of nothing in all")

    def _odd(self, sentence: str) -> None:
        self.remarks.append(sentence)
        self.flaws.append(sentence)
