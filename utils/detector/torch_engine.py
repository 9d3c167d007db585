"""The engine that runs a checkpoint, or a network in training, through PyTorch."""
import numpy as np
import torch
from torch import nn

from models import build_model
from utils.common.devices import choose_device
from utils.detector.checkpoint import metadata
from utils.common.numbers import finite


class TorchEngine:
    """See `utils.detector.engines.Engine`. Accepts any length that the network does, not only `n_samples`."""

    def __init__(self, model: nn.Module, metadata: dict):
        self.model = model
        self.metadata = metadata

    @classmethod
    def from_checkpoint(cls, checkpoint: dict, device: str = "cpu", threads: int | None = None) -> "TorchEngine":
        """An engine for a checkpoint that `load_checkpoint` returned."""
        if threads is not None:
            torch.set_num_threads(threads)
        model = build_model(checkpoint["config"])
        model.load_state_dict(checkpoint["state_dict"])
        return cls(model.to(choose_device(device)).eval(), metadata(checkpoint))

    def logits(self, waves: np.ndarray) -> np.ndarray:
        return finite(self._run(waves, 1).astype(np.float64), "logits")

    def last_hidden(self, waves: np.ndarray) -> np.ndarray:
        """What the logits are read from: waves float32 (B, T), B >= 1, to float32 (B, H)."""
        return finite(self._run(waves, 0), "statistics")

    @torch.inference_mode()
    def _run(self, waves: np.ndarray, output: int) -> np.ndarray:
        training = self.model.training
        self.model.eval()
        try:
            device, waves = next(self.model.parameters()).device, torch.from_numpy(finite(waves, "samples"))
            # On a CPU a batch gains nothing and takes its size times the memory: 16 windows of AASIST would need 3 GB.
            parts = waves.split(1 if device.type == "cpu" else max(len(waves), 1))
            found = torch.cat([self.model(part.to(device))[output].cpu() for part in parts])
        finally:
            self.model.train(training)
        return found.numpy()
