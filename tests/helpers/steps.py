"""Run a step of the pipeline in this process: starting another one costs seconds of imports."""
import contextlib
import importlib
import io
import subprocess
import sys

from utils.common.errors import InputError


def step(script: str, *options: object) -> subprocess.CompletedProcess:
    """Exit code and words of a script such as "utils/export_model.py".

    A foreseeable problem ends as in a process of its own; any other error reaches the test.
    """
    main = importlib.import_module(script.removesuffix(".py").replace("/", ".")).main
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main(list(map(str, options)))
        except InputError as error:
            print(f"error: {error}", file=sys.stderr)
            code = 1
        except SystemExit as ended:
            code = ended.code
    return subprocess.CompletedProcess([script, *options], code, out.getvalue(), err.getvalue())
