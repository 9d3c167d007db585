"""Several seeds in one command: a run for each, and the mean and spread of their figures."""
import argparse
import copy
import statistics
from collections.abc import Callable

from utils.common.files import write_json
from utils.common.provenance import environment
from utils.parallel.join import Alone
from utils.training.architectures import chosen
from utils.training.run import Run
from utils.training.setup.opening import choose_name

FIGURES = {"dev_eer": "dev EER", "eval_eer": "eval EER", "eval_eer_seen": "eval EER, seen attacks",
           "eval_eer_unseen": "eval EER, unseen attacks"}


def in_figures(run: Run, dev_eer: float, metrics: dict | None) -> dict:
    """A run as a row: seed, name, epochs, minutes, and its EERs; that of eval if it was tested."""
    seconds = sum(line["seconds"] for line in run.history)
    row = {"seed": run.recipe["seed"], "run": run.name, "epochs": len(run.history),
           "minutes": round(seconds / 60, 2), "dev_eer": dev_eer}
    if metrics:
        row |= {"eval_eer": metrics["eer"]}
        row |= {f"eval_eer_{part}": (metrics.get(part) or {}).get("eer")
                for part in ("seen", "unseen")}
    return row


def run_seeds(args: argparse.Namespace, processes: Alone, train: Callable) -> None:
    """Train a run <name>-seed<n> for each of --seeds; write seeds.json, rows and their summary.

    With --resume a finished run stays as it is, and a stopped one continues.
    """
    name = args.run_name or f"{chosen(args)}-seeds"
    runs = {seed: f"{name}-seed{seed}" for seed in args.seeds}
    for run in runs.values():      # all names are checked before the first run starts
        choose_name(args.checkpoint_dir, chosen(args), run, args.resume)
    rows = []
    for seed, run in runs.items():
        one = copy.copy(args)
        one.seeds = None
        one.seed = seed
        one.run_name = run
        rows.append(train(one, processes))
    if processes.lead:
        summary = summarise(rows)
        path = args.results_dir / name / "seeds.json"
        write_json(path, {"runs": rows, "summary": summary, "environment": environment()})
        print("\n".join(table(rows, summary)))
        print(f"figures of {len(rows)} seeds: {path}")


def summarise(rows: list[dict]) -> dict:
    """Mean and standard deviation (n - 1; None for one seed) of each figure that all rows have."""
    summary = {}
    for name in FIGURES:
        values = [row.get(name) for row in rows]
        if None not in values:
            deviation = statistics.stdev(values) if len(values) > 1 else None
            summary[name] = {"mean": statistics.fmean(values), "std": deviation}
    return summary


def table(rows: list[dict], summary: dict) -> list[str]:
    """A line per run, and one per figure with mean ± standard deviation, in %."""
    lines = []
    for row in rows:
        figures = [f"{label} {row[name]:.2%}" for name, label in FIGURES.items()
                   if row.get(name) is not None]
        lines.append(f"seed {row['seed']}: {', '.join(figures)}")
    for name, spread in summary.items():
        deviation = "" if spread["std"] is None else f" ± {100 * spread['std']:.2f}"
        lines.append(f"{FIGURES[name]}: {100 * spread['mean']:.2f}{deviation} % "
                     f"over {len(rows)} seeds")
    return lines
