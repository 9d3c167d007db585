"""A recording from a pipe: a line for each window as it comes, and the verdict at its end."""
import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from utils.audio.info import AudioInfo
from utils.audio.pipe import Pipe, PipeStream
from utils.common.errors import InputError, printable
from utils.detector.detector import Detector
from utils.detector.listening import Listener
from utils.detector.record import NO_SPEECH, most_suspicious
from utils.detector.scoring import Window
from utils.detector.voices import Comparison, Voice, Voices, grouped, windows
from utils.inference import words
from utils.inference.inputs import STDIN
from utils.inference.journal import Journal, json_line
from utils.inference.picture import Sketch, draw, picture_path, shared_folder

NAME = "standard input"     # in the record
NO_PIPE = (f"--input_file {STDIN} reads a recording from a pipe, and there is none: "
           "ffmpeg -i RECORDING -f wav - | python utils/simplified_inference.py --input_file -")
INTERRUPTED = 130           # exit code


def judge_stdin(detector: Detector, rate: int | None = None, *, as_json: bool = False,
                output: Path | None = None, picture: Path | None = None) -> int:
    """Judge the recording on standard input while it comes; the exit code.

    `rate` in Hz: it is raw samples, 16 bits, little endian, one channel. Ctrl-C ends the recording
    there: its verdict follows.
    """
    if sys.stdin is None or sys.stdin.isatty():
        raise InputError(NO_PIPE)
    pipe = Pipe(sys.stdin.buffer.raw, NAME)
    journal = Journal(output, detector.settings, [STDIN]) if output else None
    sketch = Sketch() if picture else None
    try:
        with _stopped_by_ctrl_c(pipe):
            record = _judge(detector, pipe, rate, as_json, sketch)
        if sketch and not record["error"]:
            file = picture_path(picture, NAME, shared_folder([NAME]))
            draw(file, sketch, record)
            record["picture"] = str(file)
        if journal:
            journal.add(STDIN, record)
            journal.finish([STDIN])
        print(*[json_line(record)] if as_json else words.describe(record, detector), sep="\n",
              flush=True)
    except BrokenPipeError as error:
        raise InputError("the program that reads this output has ended: nobody hears the rest of "
                         "the recording") from error
    if pipe.stopped:
        return INTERRUPTED
    return 1 if record["error"] else 0


def _judge(detector: Detector, pipe: Pipe, rate: int | None, as_json: bool,
           sketch: Sketch | None) -> dict:
    """The record; prints each window of the mean of the channels when it is complete."""
    stream = PipeStream(pipe, rate)
    ears = Ears(detector, stream.info)
    line = _json if as_json else _words

    def heard() -> Iterator[np.ndarray]:
        for block in stream:
            if sketch:
                sketch.add(mean(block))
            for window in ears.feed(block):
                print(line(ears.all, window), flush=True)
            yield block
    try:
        with stream:
            ears.compare(heard())
    except InputError as error:
        return ears.all.failed(printable(error))
    info = stream.info
    notes = []
    if info.tracks > 1:
        notes.append(f"{info.tracks} sound tracks, the first is judged: of a pipe, no other can be")
    if pipe.stopped:
        notes.append(f"stopped by Ctrl-C after {info.seconds:.1f} s: the verdict is of what was "
                     "heard")
    return ears.verdict(notes)


class Ears:
    """All channels of a pipe, heard side by side: a pipe cannot be heard twice."""

    def __init__(self, detector: Detector, info: AudioInfo) -> None:
        self.all = detector.listen(NAME, info)      # the mean of the channels
        self._each: list[Listener] = []
        self._new = lambda: detector.listen(NAME, info)
        self._compared = Comparison()

    def feed(self, block: np.ndarray) -> list[Window]:
        """Hear samples (n, channels) at 16 kHz; the windows of the mean that they complete."""
        if block.shape[1] > 1 and not self._each:
            self._each = [self._new() for _ in range(block.shape[1])]
        for listener, channel in zip(self._each, block.T):
            listener.feed(channel)
        return self.all.feed(mean(block))

    def compare(self, blocks: Iterable[np.ndarray]) -> None:
        """Hear all blocks, and compare their channels."""
        for start, samples in windows(blocks):
            if self._each:
                self._compared.add(start, samples)

    def verdict(self, notes: list[str]) -> dict:
        """The record of the most suspicious voice, as of a file; `notes`: what else to say."""
        told = grouped(self._compared)
        if not told.found:
            told = Voices([Voice()])
        records = [self._of(voice).verdict() for voice in told.found]
        told.notes += notes
        return most_suspicious(records, told) | {"origin": records[0]["origin"]}

    def _of(self, voice: Voice) -> Listener:
        if voice.channels is None:
            return self.all
        return self._each[self._compared.loudest(voice.channels)]


def mean(block: np.ndarray) -> np.ndarray:
    """The mean (n,) of the channels of a block (n, channels)."""
    return block[:, 0] if block.shape[1] == 1 else block.mean(axis=1, dtype=np.float32)


def _words(listener: Listener, window: Window) -> str:
    outcome = _outcome(listener, window.score if window.speech else None)
    return (f"{words.clock(window.start):>11} to {words.clock(window.end):<11} {outcome:<26} "
            f"so far {_outcome(listener, listener.score)}").rstrip()


def _outcome(listener: Listener, score: float | None) -> str:
    if score is None:
        return NO_SPEECH
    if listener.decision is None:
        return f"{score:.2f}"
    return f"{listener.decision.outcome(score)} ({score:.2f})"


def _json(listener: Listener, window: Window) -> str:
    return json_line({"start": window.start, "end": window.end, "score": window.score,
                      "speech": window.speech, "score_so_far": listener.score})


@contextmanager
def _stopped_by_ctrl_c(pipe: Pipe) -> Iterator[None]:
    """Within, Ctrl-C ends the pipe instead of the program, unless the parent ignores it."""
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, pipe.stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
