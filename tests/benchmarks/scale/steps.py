"""The steps of bench_scale.py that no script does alone, each in a process of its own.

    python -m tests.benchmarks.scale.steps index|epoch|journal DATA_DIR
"""
import sys
from pathlib import Path
if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parents[3])

import tempfile
from itertools import chain

from utils.common.errors import run

VERDICTS = "verdicts.jsonl"     # the output whose journal is filled
RECORDINGS = "recordings"       # the folder of recordings that are judged in it


def index(data_dir: Path) -> None:
    """Index every archive in data_dir/raw."""
    from utils.archives.index import index_archive
    from utils.corpora.asvspoof.asvspoof5 import ARCHIVES, members
    for part, names in ARCHIVES.items():
        for name in names:
            index_archive(data_dir / "raw" / name, data_dir / "protocols" / "index" / f"{name}.tsv",
                          members(part))


def epoch(data_dir: Path) -> None:
    """Open train and dev as training does, draw an epoch, and read its crops without changing them.

    Then read a crop of every utterance, in random order, as the published recipe does.
    """
    from notebooks.aasist_training import build_parser
    from utils.parallel.join import join
    from utils.training.orders import ShuffledOrder
    from utils.training.setup.opening import open_run
    with tempfile.TemporaryDirectory() as folder:
        args = build_parser().parse_args([
            "--small_model", "--data_dir", str(data_dir), "--checkpoint_dir", folder,
            "--results_dir", folder])
        opened = open_run(args, join("cpu"))
        crops = opened.crops
        for order in (opened.order, ShuffledOrder(len(crops.store), opened.order.batch_size, 1)):
            for index in chain.from_iterable(order.epoch(0)):
                crops.crop(index, crops.start(0, index))


def journal(data_dir: Path) -> None:
    """Fill the journal of a stopped run over data_dir/recordings, with one verdict for all.

    simplified_inference.py then finds every recording judged, and writes the output.
    """
    from utils.detector.detector import Detector
    from utils.detector.engines import PRETRAINED
    from utils.inference.inputs import expand
    from utils.inference.journal import Journal
    detector = Detector.load(PRETRAINED)
    paths, _ = expand([str(data_dir / RECORDINGS)])
    record = detector.judge(paths[0])
    kept = Journal(data_dir / VERDICTS, detector.settings, [])
    for path in paths:
        kept.add(path, record | {"file": path})


STEPS = {"index": index, "epoch": epoch, "journal": journal}

if __name__ == "__main__":
    run(lambda: STEPS[sys.argv[1]](Path(sys.argv[2])) or 0)
