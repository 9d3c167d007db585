"""What was decoded of a recording, and what is missing or odd about it."""
from dataclasses import dataclass, field

import numpy as np

from utils.audio.file_types import FORMATS
from utils.audio.libav import Reader
from utils.audio.promises import TOLERANCE, slack
from utils.signals.resampling import FULL_SCALE

PLAYED_OVER = 0.03          # s: so little may be missing where a piece could not be decoded
MAX_PAUSES = 5              # told one by one
# where full scale lies lower
_CLIP_LEVEL = {"pcm_u8": 127 / 128, "pcm_s8": 127 / 128, "pcm_mulaw": 0.98, "pcm_alaw": 0.98}
TIMED = ("ogg", "mov", "matroska", "asf", "avi", "flv", "mpegts", "mpeg", "rm", "mxf")
Done = list[tuple[Reader, float | None]]    # the readers of a file, with what each piece promised


@dataclass(slots=True)
class AudioInfo:
    """For warnings and records. Complete once the stream is exhausted."""
    sample_rate: int = 0         # Hz, of the source
    channels: int = 0            # of the track
    tracks: int = 0              # sound tracks in the file
    format: str = ""             # container, e.g. WAV
    subtype: str = ""            # codec, e.g. pcm_s16le
    eight_bits: bool = False     # samples of 8 bits
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
    exact: bool = False          # lossless sound, so that a promise is kept to the sample
    inexact: bool = False        # not to the sample what was promised, joined, or with a gap

    @property
    def clipped_fraction(self) -> float:
        """The share of the source's samples at full scale."""
        return self.clipped_samples / self.frames if self.frames else 0.0

    @property
    def whole(self) -> bool:
        """Whether it is one whole recording, as an utterance of a corpus must be."""
        return not (self.missing or self.inexact)

    def describe(self, reader: Reader) -> None:
        """Note what the header says."""
        self.sample_rate = reader.rate
        self.channels = reader.channels
        self.tracks = reader.tracks
        self.format = FORMATS[reader.name]
        self.subtype = reader.codec
        self.eight_bits = reader.eight_bits
        self.exact = reader.exact

    def measure(self, rate: int, block: np.ndarray) -> float:
        """Add a block (n, channels) of the source; its peak, where full scale is 1."""
        full = FULL_SCALE if block.dtype == np.int16 else 1.0
        peak = max(float(block.max()), -float(block.min())) / full
        self.peak = max(self.peak, peak)
        level = _CLIP_LEVEL.get(self.subtype, 32767 / 32768)
        if peak >= level:
            loud = np.abs(block.astype(np.float32)) >= level * full
            self.clipped_samples += int(np.count_nonzero(loud)) / block.shape[1]
        self.frames += len(block)
        self.seconds += len(block) / rate
        return peak

    def compare(self, done: Done) -> None:
        """Compare what was decoded with what was promised."""
        first, promised = done[0]
        heard = sum(reader.decoded if reader.exact else reader.length for reader, _ in done)
        faults = sum(reader.faults for reader, _ in done)
        self.unmarked_end = promised is None
        self.inexact = faults > 0
        less = 0.0
        if promised is not None and len(done) == 1:
            less = promised - heard
            self.inexact |= first.cut or less > slack(first)
        if less > TOLERANCE:
            self.missing.append(f"{heard:.1f} of {promised:.1f} s could be decoded")
        elif faults and (promised is None or less > PLAYED_OVER):
            pieces = sum(reader.packets for reader, _ in done)
            self.missing.append(f"{faults} of its {pieces:,} pieces could not be decoded")
        self._note_surplus(done, heard)
        self._note_times(first)

    def _note_surplus(self, done: Done, heard: float) -> None:
        files = sum(reader.form is None for reader, _ in done)
        promised = done[0][1]
        surplus = promised is not None and promised + TOLERANCE < heard
        self.inexact |= files > 1 or surplus
        if files > 1:
            self.remarks.append(f"{files} recordings lie one behind the other in this file: all "
                                "are judged")
        elif surplus:
            self.remarks.append(f"the file says that it lasts {promised:.1f} s, but {heard:.1f} s "
                                "are there: all is judged")

    def _note_times(self, first: Reader) -> None:
        if first.name not in TIMED:     # a loss, told by the promise
            return
        late = first.name == "ogg" and first.zero > TOLERANCE
        self.inexact |= late or bool(first.pauses)
        if late:
            self.remarks.append(f"its clock begins at {first.zero:.1f} s: what was before that is "
                                "lost, or was not recorded")
        if first.lead:
            self.remarks.append(f"the sound begins {first.lead:.1f} s after the file does")
        for at, seconds in first.pauses[:MAX_PAUSES]:
            self.remarks.append(f"nothing from {at:.1f} to {at + seconds:.1f} s: a pause, or a "
                                "part that is lost")
