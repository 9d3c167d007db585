"""Run by torchrun in two processes: do they find, in float64, the loss, gradients and statistics
that one process finds?

Prints a line per network with the largest differences, and how many threads the group leaves;
test_distributed.py reads them.
"""
import sys
from pathlib import Path
from types import SimpleNamespace

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
import torch

from models import CONFIGS, build_model
from models.hybrid import Hybrid
from models.ssl import BASE, BLOCK
from tests.training.test_hybrid import SMALL, Row, waves
from utils.training.orders import PlainOrder
from utils.training.learners.optimisation import Criterion
from utils.parallel.join import Alone, join
from utils.training.architectures import recipe_for
from utils.training.learners.ridge import Ridge
from utils.training.learners.freezing import freeze

ROWS = 5    # two processes cannot share them evenly
FROZEN = {"small": "stem", "aasist-l": "1", "aasist": "norm", "lcnn": "standardise",
          "ssl-aasist": "1"}
# of ssl-aasist: small, and its last block is read, so that nothing reaches the norm after it
SPEECH = {"encoder": BASE | {
    "convolutions": [[16, 10, 5], *[[16, 3, 2]] * 4, *[[16, 2, 2]] * 2], "encoder_embed_dim": 64,
    "encoder_num_layers": 2, "encoder_num_heads": 4, "encoder_ff_interm_features": 96,
    "encoder_layer_norm_first": True}, "read": BLOCK}
# of eleven: the second process has none of the last one; of the only one
BATCHES = {"hybrid-shared": 5, "hybrid-unshared": 30}
# of a hybrid; the bias is near 0 beside the weights
LEARNT = (["mean"], ["scale"], ["out_layer.weight", "out_layer.bias"])


def step(architecture: str, group, shared: bool) -> tuple[torch.Tensor, dict, dict]:
    """Loss, gradients and buffers of one step on the whole batch, or on this process' share of
    it."""
    torch.manual_seed(3)
    config = CONFIGS[architecture] | (SPEECH if architecture == "ssl-aasist" else {})
    model = build_model(config).double()
    resting = freeze(model, architecture, FROZEN[architecture])
    waves, labels = torch.randn(ROWS, 4800, dtype=torch.float64), torch.tensor([0, 0, 0, 1, 1])
    network, own = (group.shared_network(model), group.share(ROWS)) if shared else (model,
                                                                                    slice(None))
    criterion = Criterion(recipe_for(architecture, "published", label_smoothing=0.1), torch.device(
        "cpu"))
    criterion.cross_entropy.double()
    network.train()
    for module in resting:
        module.eval()
    torch.manual_seed(4)
    with group.whole_batch(ROWS if shared else 10 ** 9):
        logits = network(waves[own])[1]
    hard, soft = criterion(logits, labels[own], torch.linspace(-1, 2, ROWS)[own])
    loss = hard + soft
    if shared:
        loss = hard * group.weight(criterion.weight_of(labels[own])) + soft * group.weight(
            len(labels[own]))
    loss.backward()
    gradients = {
        name: p.grad
        for name, p in model.named_parameters() if p.grad is not None and p.requires_grad
    }
    return (group.mean(loss) if shared else loss.detach()), gradients, dict(model.named_buffers())


class Crops:
    """Eleven utterances of noise, of two classes and two sources; items are (epoch, index)."""
    rows = [Row(("spoof", "bonafide")[number % 2], "aab"[number % 3], "-") for number in range(11)]
    found = waves(len(rows))

    def __getitem__(self, item: tuple[int, int]) -> tuple[torch.Tensor, int]:
        return self.found[item[1]], item[1] % 2


def fitted(group, batch_size: int) -> tuple[float, dict]:
    """Loss and weights of a small hybrid after one epoch in this process, or in this one and
    others."""
    torch.manual_seed(3)
    model = Hybrid(**SMALL)
    recipe = {"source_power": 0.5, "ridge": 0.01, "seed": 1, "views": 1}
    run = SimpleNamespace(model=model, processes=group, train=Crops, crops=Crops(), recipe=recipe,
                          order=PlainOrder(len(Crops.rows), batch_size), workers=0, epochs=1,
                          folder=Path("run"))
    learner = Ridge(run, SimpleNamespace(teacher=None))
    return learner.epoch(run, 0), model.state_dict()


def fit_differences(group, batch_size: int) -> list[float]:
    """Of the loss and of what is learnt, relative to the largest number, between one process and
    each of several."""
    (loss, one), (loss2, two) = (fitted(who, batch_size) for who in (Alone(group.device), group))
    found = [
        abs(loss2 / loss - 1), *(difference({name: one[name]
                                             for name in part}, two) for part in LEARNT)
    ]
    return group.gather(np.array(found)).tolist()


def difference(one: dict, two: dict) -> float:
    """The largest difference, relative to the largest number, over all entries. Weights that
    nothing reaches count as zero."""
    return max(
        float((value - two.get(name, torch.zeros_like(value))).abs().max())
        for name, value in one.items()) / max(float(value.abs().max()) for value in one.values())


def main() -> None:
    before, group, during = sys.stdout, join("cpu"), sys.stdout
    for architecture in sys.argv[1:]:
        if architecture in BATCHES:
            print(architecture, *fit_differences(group, BATCHES[architecture]), flush=True)
            continue
        (loss, *one), (loss2,
                       *two) = (step(architecture, group, shared) for shared in (False, True))
        print(architecture, float((loss - loss2).abs()), *map(difference, one, two), flush=True)
    group.close()
    # number 0 prints to where it always did
    assert sys.stdout is before
    assert during.closed != group.lead
    # Linux tells what a process' threads are called
    if group.lead and (running := Path("/proc/self/task")).exists():
        print("gloo", sum("gloo" in (thread / "comm").read_text() for thread in running.iterdir()))


if __name__ == "__main__":
    main()
