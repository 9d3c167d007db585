"""What a hostile case is made from, what it is, and how it is run."""
import contextlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import soundfile

REFUSED = "refused"     # exit code 1 and one sentence that says `words`
ACCEPTED = "accepted"   # exit code 0, and the output says `words`


@dataclass(frozen=True)
class Material:
    """What the cases are made from: ASVspoof5's archives and ASVspoof2019's zip of real speech, a
    model, a recording.
    """
    raw: Path              # a sound data/raw: ASVspoof5_protocols.tar.gz and flac_D_ab.tar
    files_2019: dict[str, bytes]
    model: Path            # best.onnx, with best.pt beside it
    recording: Path


@dataclass(frozen=True)
class Case:
    """One case: `make` lays it out in an empty folder and returns the script to run and its
    arguments.

    The script may write below folder/data and nowhere else; code that hides in an input writes
    folder/trace.
    """
    group: str
    name: str
    make: Callable[[Material, Path], list[str]]
    outcome: str
    words: str


def material(folder: Path) -> Material:
    """Build the material in `folder` from the examples."""
    from tests.helpers.asvspoof5_archives import build_raw
    from tests.helpers.audio.example_speech import crops, write_clips
    from tests.helpers.networks.scoring_models import write_small_model
    clips = write_clips(folder / "clips", 4)
    build_raw(folder / "raw", clips)
    soundfile.write(folder / "speech.wav", crops("bonafide", 1)[0], 16000)
    return Material(folder / "raw", _files_2019(clips), write_small_model(folder),
                    folder / "speech.wav")


def _files_2019(clips: dict[str, list[Path]]) -> dict[str, bytes]:
    files = {}
    for part, table in (("train", "train.trn"), ("dev", "dev.trl"), ("eval", "eval.trl")):
        rows = []
        for number in range(4):
            key, utterance = ("bonafide" if number %
                              2 else "spoof"), f"LA_{part[0].upper()}_{number:07}"
            files[f"LA/ASVspoof2019_LA_{part}/flac/{utterance}.flac"] = clips[key][
                number].read_bytes()
            rows.append(f"LA_00{number // 2} {utterance} - {'-' if number % 2 else 'A07'} {key}\n")
        files[f"LA/ASVspoof2019_LA_cm_protocols/ASVspoof2019.LA.cm.{table}.txt"] = "".join(
            rows).encode()
    return files


def run(case: Case, stuff: Material, folder: Path) -> tuple[str, str]:
    """Run the case's script in this process: its outcome, and the sentence or the output that goes
    with it.

    Anything but an exit code or one sentence (a traceback for a person) passes through as the
    exception it is.
    """
    from utils.common.errors import InputError
    script, *arguments = case.make(stuff, folder)
    before = _outside(folder)
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(io.StringIO()):
            code = import_module(f"utils.{script}").main(arguments)
    except InputError as error:
        code = 1
        said.write(str(error))
    if _outside(folder) != before:
        return "wrote outside its folder", said.getvalue()
    return {0: ACCEPTED, 1: REFUSED}[code], said.getvalue()


def _outside(folder: Path) -> dict[str, bytes]:
    """What lies in `folder` beside data/, where scripts may write."""
    return {str(path): path.read_bytes() if path.is_file() else b"" for path in folder.rglob("*")
            if "data" not in path.relative_to(folder).parts[:1]}
