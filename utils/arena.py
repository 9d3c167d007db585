"""Run a model in the harness of the Speech Anti-Spoofing Arena, or write scores for arenas.

    PYTHONPATH=. ARENA_MODEL=la.onnx speech-spoof-bench run \\
        --model-module utils.arena:Model --datasets FOLDER
    python utils/arena.py --scores results/mine/scores.tsv --output scores.txt
"""
import sys
from pathlib import Path
if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import argparse
import os
from typing import TYPE_CHECKING

from utils.common.arguments import Parser
from utils.common.errors import InputError, run
from utils.common.files import CHECKPOINT_DIR, atomic_write
from utils.common.text import counted

if TYPE_CHECKING:
    import numpy as np

MODEL = "ARENA_MODEL"           # in the environment: the model's file (default: as for a verdict)
PUBLISHED = "ARENA_PUBLISHED"   # 1: the score of the published evaluation


class Model:
    """What speech-spoof-bench (0.3) asks of a model: `load`, `score_batch`, `unload`.

    A score is that of a verdict, higher = bona fide: the mean over windows with speech.
    """
    name = "aasist-audio-deepfake-detector"
    expected_sample_rate = 16000
    batch_size = 1

    def load(self) -> None:
        """Open the model."""
        from utils.detector.engines import default_model, load_engine
        given = os.environ.get(MODEL)
        self.engine = load_engine(Path(given) if given else default_model(CHECKPOINT_DIR))

    def score_batch(self, audios: "list[np.ndarray]", srs: list[int]) -> list[float]:
        """CM scores of float32 waves in [-1, 1]. Raises `InputError` for what cannot be scored."""
        if set(srs) - {self.expected_sample_rate}:
            raise InputError(f"the harness gives {srs} Hz, not {self.expected_sample_rate}")
        return [self._score(wave) for wave in audios]

    def _score(self, wave: "np.ndarray") -> float:
        import numpy as np
        from utils.detector.scoring import published_score, score_blocks
        samples = np.clip(np.rint(wave * 32768), -32768, 32767).astype(np.int16)
        if os.environ.get(PUBLISHED) == "1":
            score = published_score(self.engine, [samples])
        else:
            score = score_blocks(self.engine, [samples]).score
        if score is None:
            raise InputError("an empty recording has no score")
        return score

    def unload(self) -> None:
        """Forget the model."""
        del self.engine


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = Parser(description=__doc__.splitlines()[0])
    parser.add_argument("--scores", type=Path, required=True, metavar="FILE",
                        help="a score file in any format that evaluate_model.py reads")
    parser.add_argument("--output", type=Path, required=True, metavar="scores.txt",
                        help="the file to write: a name and a score on each line, without header")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Write the scores named on the command line as both arenas read them; the exit code."""
    args = build_parser().parse_args(argv)
    from utils.report.key_files import read_scores
    scores = read_scores(args.scores)
    if spaced := next((name for name in scores if len(name.split()) != 1), None):
        raise InputError(f"{args.scores} names {spaced!r}: an arena's names have no blanks")
    with atomic_write(args.output) as file:
        file.writelines(f"{name} {score:.6f}\n" for name, score in scores.items())
    print(f"wrote {counted(len(scores), 'score')} to {args.output}")
    return 0


if __name__ == "__main__":
    run(main)
