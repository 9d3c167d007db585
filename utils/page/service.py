"""What the page's server does: takes uploads, judges them in turn, keeps nothing but counts."""
import asyncio
import contextlib
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from fastapi import Request
from starlette.requests import ClientDisconnect

from utils.common.files import PRETRAINED_DIR, RESULTS_DIR, process_lives
from utils.detector.detector import Detector
from utils.inference import words
from utils.inference.journal import CSV_COLUMNS, csv_row
from utils.page.card import card_page
from utils.page.decoders import PROCESSES, Decoders, Job
from utils.page.model import LiveEngine, SharedModel
from utils.page.upload import Refused, Upload, receive

FOLDER = "audio-page-"      # then the server's process number
GLANCE = 0.25               # s between two messages of progress
RETRY_SECONDS = 5
MOST_LIVE = 2               # microphones at once
CARD = "MODEL_CARD.md"


@dataclass(frozen=True)
class Settings:
    """What the command line sets."""
    host: str = "127.0.0.1"
    token: str | None = None
    names: tuple[str, ...] = ()         # by which the server may also be called
    most_bytes: int = 300_000_000       # of one upload
    longest: float = 7200.0             # seconds of a recording
    waiting: int = 8                    # uploads that wait while others are judged


class Cancelled(Exception):
    """The sender has gone."""


@dataclass
class Service:
    """The model, the decoders, and the line before them."""
    detector: Detector
    settings: Settings = field(default_factory=Settings)

    def __post_init__(self) -> None:
        _sweep()
        self.counts: Counter = Counter()
        self.model = SharedModel(self.detector.engine)
        self.live = Detector(LiveEngine(self.model), self.detector.decision,
                             provenance=self.detector.provenance)
        self.folder = Path(tempfile.mkdtemp(prefix=f"{FOLDER}{os.getpid()}-"))
        self.decoders = Decoders(self.detector, self.model, self.settings.longest)
        self._taken = 0
        self._speaking = 0

    def close(self) -> None:
        """End the decoders, and delete every upload."""
        self.decoders.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def count(self, what: str) -> None:
        """Count an event."""
        self.counts[what] += 1

    @contextlib.contextmanager
    def place(self) -> Iterator[None]:
        """A place in the line. Raises `Refused` if it is full."""
        if self._taken >= PROCESSES + self.settings.waiting:
            self.count("refused")
            raise Refused(503, "too many recordings wait to be judged: try again in a moment",
                          {"Retry-After": str(RETRY_SECONDS)})
        self._taken += 1
        try:
            yield
        finally:
            self._taken -= 1

    @contextlib.contextmanager
    def microphone(self) -> Iterator[bool]:
        """Whether one more may speak, inside."""
        free = self._speaking < MOST_LIVE
        self._speaking += free
        try:
            yield free
        finally:
            self._speaking -= free

    async def receive(self, request: Request, stack: contextlib.ExitStack) -> list[Upload]:
        """The uploads of a request; `stack` deletes those that are left when it closes.

        Raises `Refused`, and `Cancelled` when the sender goes before the end.
        """
        try:
            uploads = await receive(request, self.folder, self.settings.most_bytes)
        except Refused:
            self.count("refused")
            raise
        except ClientDisconnect as error:
            self.count("cancelled")
            raise Cancelled from error
        for upload in uploads:
            stack.callback(_delete, upload.path)
        return uploads

    async def judge(self, upload: Upload,
                    gone: Callable[[], Awaitable[bool]]) -> AsyncIterator[dict]:
        """{"progress": {"seconds", "of"}} while it lasts, then what `answer` gives.

        Raises `Cancelled` when the sender has `gone`.
        """
        job = Job(str(upload.path), upload.name)
        judged = asyncio.wrap_future(self.decoders.submit(job))
        try:
            while not (await asyncio.wait([judged], timeout=GLANCE))[0]:
                if await gone():
                    raise Cancelled
                yield {"progress": {"seconds": job.seconds, "of": job.expected}}
        finally:
            job.stop.set()
            if not judged.done():
                self.count("cancelled")
        result = judged.result()
        if result is None:
            raise Cancelled
        record, sketch = result
        yield self.answer(record, sketch)

    def answer(self, record: dict, sketch: dict | None) -> dict:
        """A record, and what the page shows of it: words, a sketch, a row of the table."""
        self.count("failed" if record["error"] else "judged")
        facts = {} if record["error"] else words.facts(record, self.detector)
        if facts:
            facts["model"] = words.model_words(self.detector, card=False)
        says = words.origin_words(record["origin"]) if facts else []
        return {"record": record, "sentence": words.sentence(record), "facts": facts,
                "says": says, "sketch": sketch, "row": csv_row(record)}

    def health(self) -> dict:
        """That the server answers, and counts since it began."""
        return {"status": "ok", "in_line": self._taken, "microphones": self._speaking,
                **{what: self.counts[what]
                   for what in ("judged", "failed", "refused", "cancelled")}}

    def describe(self) -> dict:
        """The model in words and figures, and the limits of this server."""
        head = self.detector.head("")
        kept = ("model_file", "model_sha256", "version", "demo", "score_kind", "direction",
                "threshold", "band")
        return {"model": words.model_words(self.detector, card=False),
                **{name: head[name] for name in kept},
                "threshold_words": words.threshold_words(self.detector),
                "errors": words.error_words(self.detector),
                "score_range": self.detector.metadata.get("score_range"),
                "card": self._card_file() is not None,
                "most_bytes": self.settings.most_bytes,
                "longest_seconds": self.settings.longest, "columns": CSV_COLUMNS}

    def card(self) -> str | None:
        """The model card as HTML, or None if this model has none."""
        file = self._card_file()
        return card_page(file.read_text(encoding="utf-8")) if file else None

    def _card_file(self) -> Path | None:
        run, _, _ = self.detector.provenance["model_file"].partition("/")
        folder = PRETRAINED_DIR if run == PRETRAINED_DIR.name else RESULTS_DIR / run
        return folder / CARD if (folder / CARD).is_file() else None


def _delete(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()


def _sweep() -> None:
    """Remove what servers that were killed have left. Windows cannot tell, so there it stays."""
    if os.name == "nt":
        return
    for left in Path(tempfile.gettempdir()).glob(f"{FOLDER}*"):
        process = left.name.removeprefix(FOLDER).split("-")[0]
        if process.isdecimal() and not process_lives(int(process)):
            shutil.rmtree(left, ignore_errors=True)
