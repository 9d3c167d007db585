"""How much faster than the plain published forward: one utterance, a batch, a whole process, a training step, memory.

    python tests/benchmarks/bench_aasist.py [--rounds 7] [--weights_dir FOLDER with AASIST.pth and AASIST-L.pth]

CPU seconds, one thread, medians of rounds in which the contestants take turns, so that a busy machine slows all of
them alike. Without --weights_dir the weights are random, which changes no timing. Training and memory run in fresh
processes of their own: allocator settings and peaks belong to a process.
"""
import sys
from pathlib import Path
if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parents[2])

import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time

ROOT = Path(__file__).resolve().parents[2]
N_SAMPLES = 64600
TRAIN_BATCH = 4
FILES = {"aasist": "AASIST.pth", "aasist-l": "AASIST-L.pth"}


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7, help="rounds per measurement (default: 7)")
    parser.add_argument("--keep_freed_memory", action="store_true",
                        help="give the plain forward the help of the allocator too")
    parser.add_argument("--weights_dir", type=Path, help="published weights; random ones by default")
    parser.add_argument("--only", choices=["scoring", "processes", "training"], help="one part; all by default")
    parser.add_argument("--task", nargs=2, help=argparse.SUPPRESS)  # what a fresh process is to do
    return parser


def seconds(call) -> float:
    started = time.process_time()
    call()
    return time.process_time() - started


def take_turns(contestants: dict, rounds: int) -> dict[str, float]:
    """Median CPU seconds of each contestant; the first round is not counted."""
    for call in contestants.values():
        call()
    times = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, call in contestants.items():
            times[name].append(seconds(call))
    return {name: statistics.median(values) for name, values in times.items()}


def make_models(folder: Path, architecture: str, weights_dir: Path | None):
    """(plain model, path of the checkpoint, path of the exported model)."""
    import torch

    from tests.benchmarks.plain_aasist import PlainAASIST
    from utils.import_weights import published_checkpoint
    from utils.detector.checkpoint import save_checkpoint
    from utils.export.export import export_onnx
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


def compare_scoring(folder: Path, architecture: str, rounds: int, weights_dir: Path | None) -> None:
    import numpy as np
    import torch

    from utils.detector.engines import load_engine
    plain, checkpoint, exported = make_models(folder, architecture, weights_dir)
    waves = np.random.default_rng(0).standard_normal((8, N_SAMPLES)).astype(np.float32) * np.float32(0.1)
    engines = {"checkpoint": load_engine(checkpoint, threads=1), "exported": load_engine(exported, threads=1)}
    for count, turns in ((1, rounds), (8, max(3, rounds // 2))):
        batch = torch.from_numpy(waves[:count])
        with torch.inference_mode():
            ours = {name: lambda e=engine: e.logits(waves[:count]) for name, engine in engines.items()}
            times = take_turns({"plain": lambda: plain(batch)} | ours, turns)
            drift = float(np.abs(plain(batch)[1].numpy() - engines["exported"].logits(waves[:count])).max())
        report(f"{architecture}, {count} utterance{'s' * (count > 1)}", times, count, f"difference {drift:.1e}")


def compare_small(folder: Path, rounds: int) -> None:
    """The small model, exported, against the plain and the exported AASIST that `compare_scoring` left in `folder`."""
    import numpy as np
    import torch

    from models import CONFIGS, build_model
    from tests.benchmarks.plain_aasist import PlainAASIST
    from utils.detector.checkpoint import load_checkpoint, save_checkpoint
    from utils.detector.engines import load_engine
    from utils.export.export import export_onnx
    config = CONFIGS["small"]
    small = {"architecture": "small", "config": config, "state_dict": build_model(config).state_dict()}
    save_checkpoint(folder / "small.pt", load_checkpoint(folder / "aasist.pt") | small)
    export_onnx(folder / "small.pt", folder / "small.onnx")
    wave = np.random.default_rng(0).standard_normal((1, N_SAMPLES)).astype(np.float32) * np.float32(0.1)
    plain = PlainAASIST().eval()
    engines = {name: load_engine(folder / f"{name}.onnx", threads=1) for name in ("aasist", "small")}
    with torch.inference_mode():
        ours = {name: lambda e=engine: e.logits(wave) for name, engine in engines.items()}
        times = take_turns({"plain": lambda: plain(torch.from_numpy(wave))} | ours, rounds)
    report("small against AASIST", times, 1, "exported")


def report(title: str, times: dict[str, float], count: int, note: str) -> None:
    for name, value in times.items():
        ratio = times["plain"] / value
        print(f"{title:28} {name:12} {value / count * 1e3:8.1f} ms each  {ratio:5.2f} x  {note}", flush=True)


def fresh_process(*task: str) -> dict:
    """Run one task of this file in a process of its own: what it printed, its CPU seconds and peak memory in MB."""
    import resource
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, str(Path(__file__).resolve()), "--task", *task], env=environment,
                          stdout=subprocess.PIPE, check=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return json.loads(done.stdout) | {"cpu": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime}


def peak_megabytes() -> float:
    """The largest resident memory of this process so far."""
    status = Path("/proc/self/status")
    if status.exists():  # elsewhere the figure below; on Linux that one includes the process that started this one
        return int(status.read_text().split("VmHWM:")[1].split()[0]) / 2 ** 10
    import resource
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2 ** 20 if sys.platform == "darwin" else 2 ** 10)


def task_score(model: str) -> dict:
    """One file from start to score: with the plain forward for a .pt, else with the engine."""
    import numpy as np
    wave = np.random.default_rng(0).standard_normal((1, N_SAMPLES)).astype(np.float32) * np.float32(0.1)
    if model.endswith(".onnx"):
        from utils.detector.engines import load_engine
        load_engine(Path(model), threads=1).logits(wave)
    else:
        import torch

        from tests.benchmarks.plain_aasist import PlainAASIST
        torch.set_num_threads(1)
        plain = PlainAASIST(Path(model).stem).eval()
        plain.load_state_dict(torch.load(model, map_location="cpu", weights_only=True)["state_dict"])
        with torch.inference_mode():
            plain(torch.from_numpy(wave))
    return {"peak": peak_megabytes()}


def task_train(kind: str) -> dict:
    """Seconds per training step, after two to warm up."""
    if kind != "plain":
        from utils.training.allocator import keep_freed_memory
        keep_freed_memory()
    import torch

    from models import CONFIGS, build_model
    from tests.benchmarks.plain_aasist import PlainAASIST
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = PlainAASIST() if kind == "plain" else build_model(CONFIGS[kind])
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4, weight_decay=1e-4)
    waves, labels = torch.randn(TRAIN_BATCH, N_SAMPLES) * 0.1, torch.arange(TRAIN_BATCH) % 2

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        torch.nn.functional.cross_entropy(model(waves)[1], labels).backward()
        optimizer.step()

    times = [seconds(step) for _ in range(7)]
    return {"step": statistics.median(times[3:]), "peak": peak_megabytes()}


def compare_processes(folder: Path, rounds: int) -> None:
    runs = {"plain": [], "exported": []}
    for _ in range(max(3, rounds // 2)):
        runs["plain"].append(fresh_process("score", str(folder / "aasist.pt")))
        runs["exported"].append(fresh_process("score", str(folder / "aasist.onnx")))
    plain = statistics.median(run["cpu"] for run in runs["plain"])
    for name, results in runs.items():
        cpu = statistics.median(run["cpu"] for run in results)
        print(f"whole process, one utterance {name:12} {cpu:8.2f} s CPU  {plain / cpu:5.2f} x  "
              f"peak {max(run['peak'] for run in results):.0f} MB", flush=True)


def compare_training() -> None:
    results = {kind: fresh_process("train", kind) for kind in ("plain", "aasist", "small")}
    for name, result in results.items():
        print(f"training step, batch of {TRAIN_BATCH}   {name:12} {result['step']:8.2f} s CPU  "
              f"{results['plain']['step'] / result['step']:6.2f} x  peak {result['peak']:.0f} MB", flush=True)


def machine_peak() -> None:
    """The machine's own limit: the fastest large single-precision matrix product of the engine's library."""
    import numpy as np
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper
    square = np.random.default_rng(0).standard_normal((1024, 1024)).astype(np.float32)
    given, found = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1024, 1024]) for name in "xy")
    product = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "product", [given], [found],
                                [numpy_helper.from_array(square, "w")])
    model = helper.make_model(product, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    fastest = min(seconds(lambda: session.run(None, {"x": square})) for _ in range(30))
    print(f"matrix product of 1024 x 1024: {2 * 1024 ** 3 / fastest / 1e9:.0f} GFLOP/s on one thread; "
          "AASIST's forward is 19.1 GFLOP, AASIST-L's 13.2", flush=True)


def main(argv: list[str] | None = None) -> int:
    args = build_parser().parse_args(argv)
    if args.task:
        print(json.dumps({"score": task_score, "train": task_train}[args.task[0]](args.task[1])))
        return 0
    if args.keep_freed_memory:
        from utils.training.allocator import keep_freed_memory
        keep_freed_memory()
    with tempfile.TemporaryDirectory() as folder:
        for architecture in FILES if args.only in (None, "scoring") else ():
            compare_scoring(Path(folder), architecture, args.rounds, args.weights_dir)
        if args.only in (None, "scoring"):
            compare_small(Path(folder), args.rounds)
        if args.only in (None, "processes"):
            make_models(Path(folder), "aasist", args.weights_dir)
            compare_processes(Path(folder), args.rounds)
    if args.only in (None, "training"):
        compare_training()
    machine_peak()
    return 0


if __name__ == "__main__":
    from utils.common.errors import run
    run(main)
