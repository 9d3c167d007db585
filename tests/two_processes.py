"""Run by torchrun in two processes: do they find, in float64, the loss, gradients and statistics that one process finds?

Prints a line per network with the largest differences, and how many threads the group leaves; test_distributed.py reads them.
"""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch

from models import CONFIGS, build_model
from utils.training.optimisation import Criterion
from utils.training.processes import join
from utils.training.recipes import recipe_for
from utils.training.transfer import freeze

ROWS = 5    # two processes cannot share them evenly
FROZEN = {"small": "stem", "aasist-l": "1", "aasist": "norm", "lcnn": "standardise"}


def step(architecture: str, group, shared: bool) -> tuple[torch.Tensor, dict, dict]:
    """Loss, gradients and buffers of one step on the whole batch, or on this process' share of it."""
    torch.manual_seed(3)
    model = build_model(CONFIGS[architecture]).double()
    resting = freeze(model, architecture, FROZEN[architecture])
    waves, labels = torch.randn(ROWS, 4800, dtype=torch.float64), torch.tensor([0, 0, 0, 1, 1])
    network, own = (group.network(model), group.ranks.share(ROWS)) if shared else (model, slice(None))
    criterion = Criterion(recipe_for(architecture, "published", label_smoothing=0.1), torch.device("cpu"))
    criterion.cross_entropy.double()
    network.train()
    for module in resting:
        module.eval()
    torch.manual_seed(4)
    with group.randomness(ROWS if shared else 10 ** 9):
        logits = network(waves[own])[1]
    hard, soft = criterion(logits, labels[own], torch.linspace(-1, 2, ROWS)[own])
    loss = hard + soft
    if shared:
        loss = hard * group.portion(criterion.weight_of(labels[own])) + soft * group.portion(len(labels[own]))
    loss.backward()
    gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None and p.requires_grad}
    return (group.mean(loss) if shared else loss.detach()), gradients, dict(model.named_buffers())


def difference(one: dict, two: dict) -> float:
    """The largest difference, relative to the largest number, over all entries. Weights that nothing reaches count as zero."""
    return max(float((value - two.get(name, torch.zeros_like(value))).abs().max()) for name, value in one.items()) / max(
        float(value.abs().max()) for value in one.values())


def main() -> None:
    before, group, during = sys.stdout, join("cpu"), sys.stdout
    for architecture in sys.argv[1:]:
        (loss, *one), (loss2, *two) = (step(architecture, group, shared) for shared in (False, True))
        print(architecture, float((loss - loss2).abs()), *map(difference, one, two), flush=True)
    group.close()
    assert sys.stdout is before and during.closed != group.ranks.lead      # number 0 prints to where it always did
    if group.ranks.lead and (running := Path("/proc/self/task")).exists():      # Linux tells what a process' threads are called
        print("gloo", sum("gloo" in (thread / "comm").read_text() for thread in running.iterdir()))


if __name__ == "__main__":
    main()
