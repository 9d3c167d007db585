"""Two models side by side: errors, scores, size, time and memory.

PyTorch is not imported, so that a process that measures memory stays small.
"""
import multiprocessing
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from utils.common.memory import peak_megabytes
from utils.detector.engines import Engine, load_engine
from utils.detector.model_files import data_file
from utils.detector.scoring import raw_scores, score_store
from utils.metrics.intervals import bootstrap_interval, numbered_speakers
from utils.metrics.metrics import eer

ROUNDS = 9      # of timing; the median counts
QUIET = 0.1     # standard deviation of the noise that is scored for time and memory


def scores_of(engine: Engine, store: Any) -> np.ndarray:
    """Raw scores (N,) of a store's utterances, as if the model were not calibrated."""
    metadata = engine.metadata
    engine.metadata = metadata | {"calibration": None}
    try:
        return score_store(engine, store, engine.batch_size)
    finally:
        engine.metadata = metadata


def compare_scores(store: Any, original: np.ndarray, changed: np.ndarray) -> dict:
    """EERs of both models with intervals, and how far raw scores (N,) of a store moved."""
    moved = np.abs(changed - original)
    return {"utterances": len(store),
            "eer": [_eer(store, scores) for scores in (original, changed)],
            "change_mean": float(moved.mean()), "change_max": float(moved.max()),
            "spread": float(original.std())}


def _eer(store: Any, scores: np.ndarray) -> dict:
    """The EER of a store's scores (N,), and its 95 % interval over speakers, else over trials."""
    genuine = np.array([row.labels.is_bonafide for row in store.rows])
    who = numbered_speakers(np.array([row.labels.speaker for row in store.rows], str))
    speakers = (None, None) if who is None else (who[genuine], who[~genuine])
    groups = scores[genuine], scores[~genuine]
    interval = bootstrap_interval(*groups, *speakers)
    return {"value": float(eer(*groups)[0]), "interval": interval["eer"], "by": interval["by"]}


def compare_costs(models: Sequence[Path]) -> dict:
    """Size in MB, CPU milliseconds of one window on one thread, and a process's peak MiB, of each.

    The models take turns.
    """
    engines = [load_engine(path, threads=1) for path in models]
    waves = [_window(engine) for engine in engines]
    took: list[list[float]] = [[] for _ in engines]
    for number in range(ROUNDS + 1):
        for times, engine, wave in zip(took, engines, waves):
            before = time.process_time()
            raw_scores(engine, wave)
            if number:      # the first one warms up
                times.append(1000 * (time.process_time() - before))
    return {"megabytes": [size(path) / 1e6 for path in models],
            "cpu_ms": [float(np.median(times)) for times in took],
            "peak_mib": [_peak_of(path) for path in models]}


def size(path: Path) -> int:
    """Bytes of an exported model, with the file of its weights if there is one."""
    return sum(file.stat().st_size for file in (path, data_file(path)) if file.exists())


def _window(engine: Engine) -> np.ndarray:
    noise = np.random.default_rng(0).standard_normal((1, int(engine.metadata["n_samples"])))
    return (noise * QUIET).astype(np.float32)


def _peak_of(path: Path) -> float | None:
    """The peak memory of a fresh process that scores two windows."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_score_and_tell, args=(path, sender))
    process.start()
    sender.close()
    try:
        return receiver.recv()
    except EOFError:
        return None
    finally:
        process.join()


def _score_and_tell(path: Path, sender: Any) -> None:
    engine = load_engine(path, threads=1)
    for _ in range(2):
        raw_scores(engine, _window(engine))
    sender.send(peak_megabytes())


def lines(compared: dict) -> list[str]:
    """The comparison as a table for the terminal."""
    rows = [("", "original", "compressed")]
    for subset in ("dev", "eval"):
        if found := compared.get(subset):
            rows.append((f"EER on {subset}", *map(_in_words, found["eer"])))
    rows.append(("size", *(f"{value:.2f} MB" for value in compared["megabytes"])))
    rows.append(("one window, CPU", *(f"{value:.1f} ms" for value in compared["cpu_ms"])))
    if None not in compared["peak_mib"]:
        rows.append(("peak memory", *(f"{value:.0f} MiB" for value in compared["peak_mib"])))
    changes = [f"scores on {subset} change by {found['change_mean']:.2g} on average, "
               f"{found['change_max']:.2g} at most; their spread is {found['spread']:.2g}"
               for subset in ("dev", "eval") if (found := compared.get(subset))]
    return [f"{name:<16} {first:<26} {second}".rstrip() for name, first, second in rows] + changes


def _in_words(error: dict) -> str:
    low, high = error["interval"]
    return f"{error['value']:.2%} ({low:.2%} to {high:.2%})"
