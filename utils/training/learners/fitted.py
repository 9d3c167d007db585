"""What learners without gradients have in common: their state is the network alone."""
from typing import TYPE_CHECKING

from torch import nn

if TYPE_CHECKING:
    import argparse

    from utils.training.run import Run


class Fitted:
    """A learner that writes the weights of `scored` in each `epoch`; the classes below say how."""
    rate = 0.0      # in history.csv: no steps are taken

    def __init__(self, run: "Run", args: "argparse.Namespace"):
        self.scored: nn.Module = run.model

    def state(self) -> dict:
        """What a resumed run needs."""
        return {"model": self.scored.state_dict()}

    def load(self, state: dict) -> None:
        """Continue from what `state()` returned."""
        self.scored.load_state_dict(state["model"])
