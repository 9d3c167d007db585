"""Two models side by side: errors, scores, size, time and memory.

PyTorch is not imported, so that a process that measures memory stays small.
"""
import multiprocessing
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from utils.common.memory import peak_mebibytes
from utils.detector.engines import Engine, load_engine
from utils.detector.model_files import data_file
from utils.detector.scoring import raw_scores, score_store
from utils.metrics.intervals import bootstrap_interval, numbered_speakers, rise_interval
from utils.metrics.metrics import eer

ROUNDS = 9      # of timing; the median counts
COSTS = (("size", "megabytes", "{:.2f} MB"), ("one window, CPU", "cpu_ms", "{:.1f} ms"),
         ("peak memory", "peak_mib", "{:.0f} MiB"))     # as they are told, measured and written
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
    """EERs of both models and their rise, with intervals; how far raw scores (N,) of a store moved.

    The 95 % intervals are over speakers, else over trials.
    """
    moved = np.abs(changed - original)
    genuine = np.array([row.labels.is_bonafide for row in store.rows])
    who = numbered_speakers(np.array([row.labels.speaker for row in store.rows], str))
    speakers = (None, None) if who is None else (who[genuine], who[~genuine])
    groups = [(scores[genuine], scores[~genuine]) for scores in (original, changed)]
    errors = [_eer(pair, speakers) for pair in groups]
    rise = {"value": errors[1]["value"] - errors[0]["value"],
            "interval": rise_interval(*groups, *speakers)}
    return {"utterances": len(store), "eer": errors, "rise": rise,
            "change_mean": float(moved.mean()), "change_max": float(moved.max()),
            "spread": float(original.std())}


def _eer(groups: tuple, speakers: tuple) -> dict:
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
    sender.send(peak_mebibytes())


def lines(compared: dict) -> list[str]:
    """The comparison as a table for the terminal; what was not measured is left out."""
    subsets = {name: compared[name] for name in ("dev", "eval") if name in compared}
    rows = [("", "original", "compressed")]
    rows += [(f"EER on {name}", *map(_in_words, found["eer"])) for name, found in subsets.items()]
    for name, measured, form in COSTS:
        if None not in (values := compared.get(measured, [None])):
            rows.append((name, *(form.format(value) for value in values)))
    table = [f"{name:<16} {first:<26} {second}".rstrip() for name, first, second in rows]
    return table + [line for name, found in subsets.items() for line in _changes(name, found)]


def _changes(subset: str, found: dict) -> list[str]:
    value, low, high = (100 * part for part in (found["rise"]["value"], *found["rise"]["interval"]))
    return [f"EER on {subset} rises by {value:+.2f} points (95 % interval {low:+.2f} to "
            f"{high:+.2f}, over {found['eer'][0]['by']})",
            f"scores on {subset} change by {found['change_mean']:.2g} on average, "
            f"{found['change_max']:.2g} at most; their spread is {found['spread']:.2g}"]


def _in_words(error: dict) -> str:
    low, high = error["interval"]
    return f"{error['value']:.2%} ({low:.2%} to {high:.2%})"
