"""Speed and memory of AASIST against the published forward, in scoring and in training.

    python tests/benchmarks/speed/bench_aasist.py [--rounds 7] [--weights_dir FOLDER]

FOLDER holds AASIST.pth and AASIST-L.pth. Without it the weights are random; no timing changes.
CPU seconds, one thread, medians of rounds in which the contestants take turns: a busy machine
slows all of them. Training and memory are measured in fresh processes, because allocator settings
and peaks belong to a process.
"""
import sys
from pathlib import Path
if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parents[3])

import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from tests.benchmarks.results_files import Rows, add_output_options, publish
from utils.common.arguments import positive
from utils.common.errors import run
from utils.common.memory import peak_mebibytes
from utils.signals import N_SAMPLES

TRAIN_BATCH = 4
WARM_UP_STEPS = 3
FILES = {"aasist": "AASIST.pth", "aasist-l": "AASIST-L.pth"}
NAMES = {"aasist": "AASIST", "aasist-l": "AASIST-L"}
PLAIN = "published forward"
PARTS = ("scoring", "processes", "training")


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=positive, default=7,
                        help="rounds per measurement (default: 7)")
    parser.add_argument("--keep_freed_memory", action="store_true",
                        help="spare the plain forward its page faults too")
    parser.add_argument("--weights_dir", type=Path,
                        help="published weights; random ones by default")
    parser.add_argument("--networks", nargs="+", choices=[*FILES, "small"],
                        default=[*FILES, "small"], help="of the part scoring (default: all)")
    parser.add_argument("--only", choices=PARTS, help="one part; all by default")
    parser.add_argument("--task", nargs=2, help=argparse.SUPPRESS)  # what a fresh process does
    add_output_options(parser)
    return parser


def seconds(call: Callable[[], object],
            clock: Callable[[], float] = time.process_time) -> float:
    """Seconds of one call, by default those of the processor."""
    started = clock()
    call()
    return clock() - started


def take_turns(contestants: dict[Any, Callable[[], object]], rounds: int,
               clock: Callable[[], float] = time.process_time) -> dict[Any, float]:
    """Median CPU seconds, or those of another clock, of each contestant; the first round is not
    counted.
    """
    for call in contestants.values():
        call()
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, call in contestants.items():
            times[name].append(seconds(call, clock))
    return {name: statistics.median(values) for name, values in times.items()}


def row(what: str, other: str, its: float, here: float, its_mb: float | None = None,
        mb_here: float | None = None) -> dict[str, str]:
    """A row of the table from seconds and MB."""
    return {"what": what, "compared with": other, "its ms": f"{1e3 * its:.4g}",
            "ms here": f"{1e3 * here:.4g}", "times as fast": f"{its / here:.1f}",
            "its MB": "" if its_mb is None else f"{its_mb:.0f}",
            "MB here": "" if mb_here is None else f"{mb_here:.0f}"}


def make_models(folder: Path, architecture: str, weights_dir: Path | None):
    """(plain model, path of the checkpoint, path of the exported model)."""
    import torch

    from tests.benchmarks.plain.aasist import PlainAASIST
    from utils.detector.checkpoint import save_checkpoint
    from utils.export.export import export_onnx
    from utils.import_weights import published_checkpoint
    torch.set_num_threads(1)
    path = folder / f"{architecture}.pt"
    weights = weights_dir / FILES[architecture] if weights_dir else folder / "fresh.pth"
    if not weights_dir:
        torch.save(PlainAASIST(architecture).state_dict(), weights)
    checkpoint = published_checkpoint(weights, architecture)
    save_checkpoint(path, checkpoint)
    export_onnx(path, path.with_suffix(".onnx"))
    plain = PlainAASIST(architecture).eval()
    plain.load_state_dict(checkpoint["state_dict"])
    return plain, path, path.with_suffix(".onnx")


def quiet_noise(count: int):
    """Float32 (count, N_SAMPLES) of white noise at a tenth of full scale."""
    import numpy as np
    noise = np.random.default_rng(0).standard_normal((count, N_SAMPLES))
    return noise.astype(np.float32) * np.float32(0.1)


def compare_scoring(folder: Path, architecture: str, rounds: int, weights_dir: Path | None) -> Rows:
    """One utterance and a batch of eight: the plain forward, the checkpoint, the exported model."""
    import numpy as np
    import torch

    from utils.detector.engines import load_engine
    plain, checkpoint, exported = make_models(folder, architecture, weights_dir)
    engines = {"`.pt` through PyTorch": load_engine(checkpoint, threads=1),
               "exported": load_engine(exported, threads=1)}
    waves = quiet_noise(8)
    rows = []
    for count, turns in ((1, rounds), (8, max(3, rounds // 2))):
        batch = torch.from_numpy(waves[:count])
        with torch.inference_mode():
            ours = {name: partial(engine.logits, waves[:count]) for name, engine in engines.items()}
            times = take_turns({PLAIN: partial(plain, batch)} | ours, turns)
            drift = np.abs(plain(batch)[1].numpy() - ours["exported"]()).max()
        size = "one utterance" if count == 1 else f"batch of {count}, per utterance"
        rows += [row(f"{NAMES[architecture]}, {size}, {name}", PLAIN, times[PLAIN] / count,
                     times[name] / count) for name in engines]
        print(f"{NAMES[architecture]}, {size}: largest difference of a logit {drift:.1e}",
              file=sys.stderr)
    return rows


def compare_small(folder: Path, rounds: int) -> Rows:
    """The small model against the AASIST that `compare_scoring` left in `folder`, both exported."""
    from models import CONFIGS, build_model
    from utils.detector.checkpoint import load_checkpoint, save_checkpoint
    from utils.detector.engines import load_engine
    from utils.export.export import export_onnx
    config = CONFIGS["small"]
    weights = build_model(config).state_dict()
    small = {"architecture": "small", "config": config, "state_dict": weights}
    save_checkpoint(folder / "small.pt", load_checkpoint(folder / "aasist.pt") | small)
    export_onnx(folder / "small.pt", folder / "small.onnx")
    wave = quiet_noise(1)
    engines = {name: load_engine(folder / f"{name}.onnx", threads=1)
               for name in ("aasist", "small")}
    calls = {name: partial(engine.logits, wave) for name, engine in engines.items()}
    times = take_turns(calls, rounds)
    return [row("small model, one utterance, exported", "our AASIST, exported", times["aasist"],
                times["small"])]


def fresh_process(*task: str) -> dict:
    """Run one task of this file in a process of its own: what it printed, and its CPU seconds."""
    import resource
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, str(Path(__file__).resolve()), "--task", *task]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return json.loads(done.stdout) | {"cpu": cpu}


def task_score(model: str) -> dict:
    """One utterance from start to score: with the plain forward for a .pt, else with the engine."""
    wave = quiet_noise(1)
    if model.endswith(".onnx"):
        from utils.detector.engines import load_engine
        load_engine(Path(model), threads=1).logits(wave)
        return {"peak": peak_mebibytes()}
    import torch

    from tests.benchmarks.plain.aasist import PlainAASIST
    torch.set_num_threads(1)
    plain = PlainAASIST(Path(model).stem).eval()
    plain.load_state_dict(torch.load(model, map_location="cpu", weights_only=True)["state_dict"])
    with torch.inference_mode():
        plain(torch.from_numpy(wave))
    return {"peak": peak_mebibytes()}


def task_train(kind: str) -> dict:
    """Seconds per training step, after some to warm up; `kind` is plain or an architecture."""
    if kind != "plain":
        from utils.common.allocator import keep_freed_memory
        keep_freed_memory()
    import torch

    from models import CONFIGS, build_model
    from tests.benchmarks.plain.aasist import PlainAASIST
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = PlainAASIST() if kind == "plain" else build_model(CONFIGS[kind])
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4, weight_decay=1e-4)
    waves = torch.randn(TRAIN_BATCH, N_SAMPLES) * 0.1
    labels = torch.arange(TRAIN_BATCH) % 2

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        torch.nn.functional.cross_entropy(model(waves)[1], labels).backward()
        optimizer.step()

    times = [seconds(step) for _ in range(WARM_UP_STEPS + 4)]
    return {"step": statistics.median(times[WARM_UP_STEPS:]), "peak": peak_mebibytes()}


def compare_processes(folder: Path, rounds: int) -> Rows:
    """A whole process for one utterance, imports included: plain forward and exported model."""
    models = {"plain": folder / "aasist.pt", "exported": folder / "aasist.onnx"}
    runs: dict[str, list[dict]] = {name: [] for name in models}
    for _ in range(max(3, rounds // 2)):
        for name, path in models.items():
            runs[name].append(fresh_process("score", str(path)))
    cpu = {name: statistics.median(run["cpu"] for run in found) for name, found in runs.items()}
    peak = {name: max(run["peak"] for run in found) for name, found in runs.items()}
    return [row("whole process for one utterance, imports included", PLAIN, cpu["plain"],
                cpu["exported"], peak["plain"], peak["exported"])]


def compare_training() -> Rows:
    """A training step: our AASIST against the plain one, the small model against our AASIST."""
    found = {kind: fresh_process("train", kind) for kind in ("plain", "aasist", "small")}
    pairs = (("AASIST", "aasist", PLAIN, "plain"),
             ("the small model", "small", "our AASIST", "aasist"))
    return [row(f"training step of {name}, batch of {TRAIN_BATCH}", other, found[against]["step"],
                found[kind]["step"], found[against]["peak"], found[kind]["peak"])
            for name, kind, other, against in pairs]


def machine_peak() -> float:
    """GFLOP/s of the engine's fastest large matrix product on one thread: the machine's limit."""
    import numpy as np
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper
    square = np.random.default_rng(0).standard_normal((1024, 1024)).astype(np.float32)
    inputs, outputs = (helper.make_tensor_value_info(name, TensorProto.FLOAT, square.shape)
                       for name in "xy")
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    graph = helper.make_graph([node], "product", [inputs], [outputs],
                              [numpy_helper.from_array(square, "w")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options,
                                           providers=["CPUExecutionProvider"])
    fastest = min(seconds(lambda: session.run(None, {"x": square})) for _ in range(30))
    return 2 * 1024 ** 3 / fastest / 1e9


def measure(folder: Path, args: argparse.Namespace) -> Rows:
    """The rows of the parts that the arguments ask for."""
    parts = (args.only,) if args.only else PARTS
    rows: Rows = []
    if "scoring" in parts:
        for architecture in args.networks:
            if architecture in FILES:
                rows += compare_scoring(folder, architecture, args.rounds, args.weights_dir)
        if "small" in args.networks:
            make_models(folder, "aasist", args.weights_dir)
            rows += compare_small(folder, args.rounds)
    if "processes" in parts:
        make_models(folder, "aasist", args.weights_dir)
        rows += compare_processes(folder, args.rounds)
    if "training" in parts:
        rows += compare_training()
    return rows


def main(argv: list[str] | None = None) -> int:
    """Measure, print and write the table."""
    args = build_parser().parse_args(argv)
    if args.task:
        name, argument = args.task
        print(json.dumps({"score": task_score, "train": task_train}[name](argument)))
        return 0
    if args.keep_freed_memory:
        from utils.common.allocator import keep_freed_memory
        keep_freed_memory()
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(Path(folder), args)
    publish("aasist-speed", rows, args)
    print(f"matrix product of 1024 x 1024: {machine_peak():.0f} GFLOP/s on one thread; "
          "AASIST's forward is 19.1 GFLOP, AASIST-L's 13.2")
    return 0


if __name__ == "__main__":
    run(main)
