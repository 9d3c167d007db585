"""Several seeds in one command: a run for each, and the mean and spread of what they came to."""
import argparse
import copy
import statistics
from collections.abc import Callable

from utils.common.files import write_json
from utils.common.provenance import environment
from utils.training.architectures import chosen
from utils.training.run import choose_run

FIGURES = {"dev_eer": "dev EER", "eval_eer": "eval EER", "eval_eer_seen": "eval EER, seen attacks",
           "eval_eer_unseen": "eval EER, unseen attacks"}


def run_seeds(args: argparse.Namespace, group, train_run: Callable) -> dict:
    """Train a run <name>-seed<n> for each of --seeds; print and write <results_dir>/<name>/seeds.json, rows and summary.

    With --resume a run that is finished stays, one that was stopped goes on.
    """
    name, rows = args.run_name or f"{chosen(args)}-seeds", []
    runs = {seed: f"{name}-seed{seed}" for seed in args.seeds}
    for run in runs.values():      # before the first is trained
        choose_run(args.checkpoint_dir, chosen(args), run, args.resume)
    for seed, run in runs.items():
        one = copy.copy(args)
        one.seeds, one.seed, one.run_name = None, seed, run
        rows.append(train_run(one, group))
    summary = summarise(rows)
    if group.ranks.lead:
        path = args.results_dir / name / "seeds.json"
        write_json(path, {"runs": rows, "summary": summary, "environment": environment()})
        print("\n".join(table(rows, summary)))
        print(f"figures of {len(rows)} seeds: {path}")
    return summary


def summarise(rows: list[dict]) -> dict:
    """Mean and standard deviation (n - 1; None for one seed) of each figure that every row has."""
    found = {}
    for name in FIGURES:
        values = [row.get(name) for row in rows]
        if None not in values:
            found[name] = {"mean": statistics.fmean(values), "std": statistics.stdev(values) if len(values) > 1 else None}
    return found


def table(rows: list[dict], summary: dict) -> list[str]:
    """A line per run, and one per figure with mean ± standard deviation, in %."""
    lines = []
    for row in rows:
        there = {label: row[name] for name, label in FIGURES.items() if row.get(name) is not None}
        lines.append(f"seed {row['seed']}: " + ", ".join(f"{label} {value:.2%}" for label, value in there.items()))
    for name, spread in summary.items():
        std = "" if spread["std"] is None else f" ± {100 * spread['std']:.2f}"
        lines.append(f"{FIGURES[name]}: {100 * spread['mean']:.2f}{std} % over {len(rows)} seeds")
    return lines
