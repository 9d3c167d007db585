"""A recording from a pipe: a line for each window as it comes, and the verdict at its end."""
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from utils.audio.pipe import Pipe, PipeStream
from utils.common.errors import InputError, printable
from utils.detector.detector import Detector
from utils.detector.listening import Listener
from utils.detector.record import NO_SPEECH
from utils.detector.scoring import Window
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
    journal = Journal(output, detector.settings) if output else None
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
    """The record; prints each window when it is complete."""
    stream = PipeStream(pipe, rate)
    listener = detector.listen(NAME, stream.info)
    line = _json if as_json else _words
    try:
        with stream:
            for block in stream:
                if sketch:
                    sketch.add(block)
                for window in listener.feed(block):
                    print(line(listener, window), flush=True)
    except InputError as error:
        return listener.failed(printable(error))
    info = stream.info
    if info.tracks > 1:
        listener.notes.append(f"{info.tracks} sound tracks, the first is judged: of a pipe, no "
                              "other can be")
    if info.channels > 1:
        listener.notes.append(f"its {info.channels} channels were averaged: name a file to judge "
                              "each that holds other speech")
    if pipe.stopped:
        listener.notes.append(f"stopped by Ctrl-C after {info.seconds:.1f} s: the verdict is of "
                              "what was heard")
    return listener.verdict()


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
