"""The detector: load a model once, judge any number of recordings."""
import io
import os
from pathlib import Path
from typing import BinaryIO

from utils.audio.decode import open_audio
from utils.audio.info import AudioInfo
from utils.audio.sources import AudioSource, seekable, source_name
from utils.common.errors import InputError, printable
from utils.common.files import CHECKPOINT_DIR, file_sha256
from utils.common.provenance import environment
from utils.detector import record
from utils.detector.decision import Decision, decision_of
from utils.detector.engines import STUDENT, Engine, default_model, load_engine
from utils.detector.explanation import explain
from utils.detector.listening import Listener
from utils.detector.scoring import Recording, published_score, score_blocks
from utils.detector.verdict import CANNOT_JUDGE
from utils.detector.voices import Tap, Voice, voices
from utils.origin.told import statements

AudioFile = str | os.PathLike | bytes | BinaryIO


class Interrupted(KeyboardInterrupt):
    """Ctrl-C in the middle of a recording; `record` holds the windows scored so far."""

    def __init__(self, record: dict) -> None:
        super().__init__()
        self.record = record


class Detector:
    """A model ready to judge recordings.

        from utils.detector import Detector
        record = Detector.load().judge("x.wav")
        print(record["verdict"], record["score"])
    """

    def __init__(self, engine: Engine, decision: Decision | None, *,
                 published_protocol: bool = False, explain: bool = False,
                 provenance: dict | None = None) -> None:
        """`provenance` goes into every record; without a `decision`, records have no verdict."""
        self.engine = engine
        self.metadata = engine.metadata
        self.decision = decision
        self.published_protocol = published_protocol
        self.explain = explain
        self.provenance = provenance or {}

    @classmethod
    def load(cls, path: str | os.PathLike | None = None, device: str = "auto",
             threads: int | None = None, *, fast: bool = False, prior: float | None = None,
             cost_miss: float | None = None, cost_fa: float | None = None,
             published_protocol: bool = False, explain: bool = False) -> "Detector":
        """The detector in the model file `path`, a checkpoint (.pt) or an exported model (.onnx).

        path: by default the newest in models/checkpoints that can judge, else the pretrained one.
        device: "auto", "cpu", "cuda" or "mps"; an exported model runs on the CPU.
        threads: CPU cores; by default all, an exported model at most 4.
        fast: without a path, the small pretrained model, which costs less and errs more often.
        prior, cost_miss, cost_fa: set another threshold than the model's own; see `Costs`.
        published_protocol: bare scores, as in the published evaluation, instead of verdicts.
        explain: also find which times and frequencies moved the score.
        Raises `InputError` where the model or the costs cannot be used.
        """
        if path is None:
            path = STUDENT if fast else default_model(CHECKPOINT_DIR)
        path = Path(path)
        engine = load_engine(path, device, threads)
        decision = None
        if not published_protocol:
            decision = decision_of(engine.metadata, prior, cost_miss, cost_fa)
        provenance = {"model_file": f"{path.resolve().parent.name}/{path.name}",
                      "model_sha256": file_sha256(path), "version": environment()["commit"]}
        return cls(engine, decision, published_protocol=published_protocol, explain=explain,
                   provenance=provenance)

    @property
    def score_kind(self) -> str:
        """What a reported score is."""
        if self.published_protocol:
            return record.PUBLISHED
        return record.LLR if self.metadata.get("calibration") else record.RAW

    @property
    def settings(self) -> dict:
        """Everything that a record depends on besides the recording, to resume a stopped run."""
        return {**self.provenance, "published_protocol": self.published_protocol,
                "explain": self.explain,
                "threshold": self.decision.threshold if self.decision else None}

    def judge(self, file: AudioFile, tap: Tap | None = None, watch: Tap = iter) -> dict:
        """The record of one recording, as `--json` prints it.

        `file`: a path, the bytes of an audio file, or an open binary file. Every sound track, and
        every channel that holds speech of its own, is judged; the record is of the most
        suspicious one, and lists all. A file that cannot be read gives a record with "error". What
        could not be decoded stands in "notes", what the file says of itself in "origin". `tap`
        sees every block of samples of each of them, for a picture or a progress bar; `watch` sees
        those (n, channels) in which channels and tracks are compared before. Raises `Interrupted`
        on Ctrl-C.
        """
        source = io.BytesIO(file) if isinstance(file, bytes) else file
        head = self.head(source)
        judged: list[dict] = []
        try:
            with seekable(source) as source:
                if self.published_protocol:
                    return self._bare(head, source, tap)
                for compare in (False, True):
                    found = voices(source, watch, compare)
                    judged.clear()
                    for voice in found.found:
                        judgement, info = self._judge(head, source, voice, tap)
                        judged.append(judgement)
                    if found.compared or info.most_channels == 1:
                        break
                origin = statements(info, source)
        except InputError as error:
            return record.failed(head, printable(error))
        except Interrupted as stop:
            stop.record["voices"] = record.listed(judged, found.found)
            raise
        return record.most_suspicious(judged, found) | {"origin": origin}

    def listen(self, name: str = "the microphone", info: AudioInfo | None = None) -> Listener:
        """What hears a recording while it runs, fed with samples: see `Listener`.

        `name` stands in the record. `info`: what the source knows of the recording; by default it
        is 16 kHz, 16 bits, one channel.
        """
        return Listener(self.engine, self.decision, self.head(name), info)

    def _judge(self, head: dict, source: AudioSource, voice: Voice,
               tap: Tap | None) -> tuple[dict, AudioInfo]:
        """The record of one voice of a file, and what was decoded."""
        recording = Recording(self.engine)
        try:
            with voice.open(source) as stream:
                blocks = tap(stream) if tap else stream
                scored = score_blocks(self.engine, blocks, self.engine.batch_size, recording)
        except KeyboardInterrupt:
            raise Interrupted(self._interrupted(head, recording, voice)) from None
        found = record.judged(head, scored, stream.info, self.metadata, self.decision)
        if self.explain and found["verdict"] != CANNOT_JUDGE:
            found["explanation"] = explain(self.engine, lambda: voice.open(source), scored,
                                           self.decision)
        return found, stream.info

    def head(self, source: str | os.PathLike | BinaryIO) -> dict:
        """The fields of the record of `source` before it is heard."""
        name = os.fspath(source) if isinstance(source, (str, os.PathLike)) else source_name(source)
        return record.head(name, self.score_kind, self.decision, self.metadata, self.provenance)

    def _bare(self, head: dict, source: AudioSource, tap: Tap | None) -> dict:
        with open_audio(source, whole=True) as stream:
            score = published_score(self.engine, tap(stream) if tap else stream)
        return record.bare(head, score, stream.info)

    def _interrupted(self, head: dict, recording: Recording, voice: Voice) -> dict:
        partial = recording.result()
        part = f" of {voice.name}" if voice.name else ""
        error = (f"{head['file']} was not read to its end: "
                 f"interrupted after {partial.seconds:.1f} s{part}")
        return record.interrupted(head, partial, self.decision, error)
