"""Many recordings one after the other: progress, results as they come, pictures, and the summary at the end."""
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from utils.signals import SAMPLE_RATE
from utils.audio.decode import AudioInfo
from utils.common.errors import InputError
from utils.inference import words as text
from utils.detector.detector import Detector, Interrupted
from utils.inference.journal import Journal, json_line

LONG_SECONDS = 60  # from here on, one recording has a progress bar of its own


class Session:
    """One run of the inference script over `paths`."""

    def __init__(self, detector: Detector, paths: list[str], as_json: bool, output: Path | None,
                 picture: Path | None) -> None:
        self.detector, self.paths, self.as_json, self.picture, self.output = detector, paths, as_json, picture, output
        if picture:
            self._check_picture()
        self.journal = Journal(output, detector.settings) if output else None
        self.counts: Counter = Counter()
        self.resumed = 0

    def _check_picture(self) -> None:
        from utils.inference.picture import PICTURE_SUFFIXES
        if self.picture.suffix.lower() in PICTURE_SUFFIXES and len(self.paths) > 1:
            raise InputError(f"{len(self.paths)} recordings do not fit into the one picture {self.picture}: "
                             "name a folder with --picture")

    def run(self, left_out: int = 0) -> int:
        """Analyse everything; 0 when all could be, 1 when some failed. On Ctrl-C what was finished is written first."""
        many = len(self.paths) > text.MANY
        if many and not self.as_json:
            print(*text.heading(self.detector), sep="\n")
        try:
            for path in self._bar(self.paths) if many else self.paths:
                self._tell(self._one(path), many)
        except KeyboardInterrupt as stop:
            self._stopped(stop.record if isinstance(stop, Interrupted) else None, many)
            raise
        except BrokenPipeError:  # whoever read our output has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 1
        if self.journal:
            self.journal.finish(self.paths)
        self._summary(left_out)
        return 1 if self.counts["failed"] else 0

    def _one(self, path: str) -> dict:
        record = self.journal.find(path) if self.journal else None
        if record:
            self.resumed += 1
            return record
        sketch = None
        if self.picture:
            from utils.inference.picture import Sketch
            sketch = Sketch()
        record = self.detector.judge(path, lambda opened: _progress(sketch.tap(opened) if sketch else opened, opened.info))
        if sketch and not record["error"]:
            record["picture"] = self._draw(path, sketch, record)
        if self.journal:
            self.journal.add(path, record)
        return record

    def _draw(self, path: str, sketch, record: dict) -> str:
        from utils.inference.picture import draw, picture_path
        file = picture_path(self.picture, path, self.paths)
        draw(file, sketch, record)
        return str(file)

    def _tell(self, record: dict, many: bool) -> None:
        self.counts["failed" if record["error"] else record["verdict"] or "scored"] += 1
        lines = [json_line(record)] if self.as_json else [text.row(record)] if many else text.describe(record, self.detector)
        if many:
            from tqdm import tqdm
            with tqdm.external_write_mode():
                print(*lines, sep="\n", flush=True)
        else:
            print(*lines, sep="\n", flush=True)

    def _stopped(self, partial: dict | None, many: bool) -> None:
        if partial:
            self._tell(partial, many)
        if self.journal:
            self.journal.finish(self.paths, partial or {})
            heard = ", and what was heard of the next recording," if partial else ""
            print(f"{len(self.journal.places)} of {len(self.paths)} results{heard} are in {self.output}", file=sys.stderr)

    def _summary(self, left_out: int) -> None:
        if len(self.paths) == 1 and not (self.output or left_out):
            return
        counts = ", ".join(f"{count} {what}" for what, count in sorted(self.counts.items()))
        extras = [f"{self.resumed} of them from the stopped run before"] * bool(self.resumed)
        extras += [f"{left_out} file{'s' * (left_out != 1)} without an audio suffix left out"] * bool(left_out)
        extras += [f"results in {self.output}"] * bool(self.output)
        print(f"{len(self.paths)} recording{'s' * (len(self.paths) != 1)}: {'; '.join([counts, *extras])}",
              file=sys.stderr if self.as_json else sys.stdout)

    @staticmethod
    def _bar(paths: list[str]) -> Iterable[str]:
        from tqdm import tqdm
        return tqdm(paths, "analysing", unit="recording", disable=None)


def _progress(blocks: Iterable[np.ndarray], info: AudioInfo) -> Iterator[np.ndarray]:
    """Pass blocks on; once a recording turns out to be long, show how much of it is done, and how long it will take."""
    seconds, bar = 0.0, None
    try:
        for block in blocks:
            yield block
            seconds += len(block) / SAMPLE_RATE
            if bar is None and seconds > LONG_SECONDS and sys.stderr.isatty():
                from tqdm import tqdm
                bar = tqdm(desc="recording", unit="s", unit_scale=True, initial=int(seconds), leave=False,
                           total=round(info.expected_seconds) if info.expected_seconds else None)
            elif bar is not None:
                bar.update(len(block) / SAMPLE_RATE)
    finally:
        if bar is not None:
            bar.close()
