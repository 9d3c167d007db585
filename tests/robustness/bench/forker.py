"""A parent that has the libraries loaded and forks a child for each script, so that fifty kills
cost no fifty imports of torch.

The child is a process of its own that runs the script's file as `python SCRIPT` would; only the
imports are behind it. One JSON job per line on stdin; answers the child's number at its start, and
its exit code (negative: the signal) at its end.
"""
import contextlib
import importlib
import json
import os
import runpy
import sys
import traceback

LIBRARIES = ("torch", "torch.utils.data", "torch.optim.swa_utils", "torch.onnx", "torch._dynamo",
             "onnx", "onnxruntime", "scipy.optimize", "scipy.stats", "scipy.signal",
             "matplotlib.figure", "matplotlib.backends.backend_agg", "PIL.Image", "soundfile",
             "soxr", "av", "tqdm")


def child(job: dict) -> None:
    """Become the script: its streams, its folder, its arguments. Does not return."""
    os.setpgid(0, 0)
    for number, name in ((1, job["out"]), (2, job["err"])):
        os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.chdir(job["home"])
    sys.argv, sys.path[0] = [job["script"], *job["options"]], job["code"]
    code = 1
    try:
        exec(job["first"], {})
        runpy.run_path(job["script"], run_name="__main__")
    except SystemExit as stop:
        code = stop.code
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    # without the libraries' own farewell: it joins threads that stayed in the parent
    os._exit(code)


def main() -> None:
    """Serve until stdin ends."""
    for name in LIBRARIES:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    print("ready", flush=True)
    for line in sys.stdin:
        if not (process := os.fork()):
            child(json.loads(line))
        with contextlib.suppress(OSError):
            os.setpgid(process, process)
        print(process, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
