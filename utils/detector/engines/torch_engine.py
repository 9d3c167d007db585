"""The engine that runs a checkpoint, or a network in training, through PyTorch."""
import numpy as np
import torch
from torch import nn

from models import with_weights
from utils.common.devices import choose_device
from utils.common.numbers import finite
from utils.detector.checkpoint import metadata

GPU_BATCH = 16


class TorchEngine:
    """See `utils.detector.engines.Engine`. Takes every length that the network takes.

    A network in training stays in training mode.
    """

    def __init__(self, model: nn.Module, metadata: dict):
        self.model = model
        self.metadata = metadata

    @classmethod
    def from_checkpoint(cls, checkpoint: dict, device: str = "cpu",
                        threads: int | None = None) -> "TorchEngine":
        """An engine for a checkpoint that `load_checkpoint` returned; on a CPU, with its tensors.
        """
        if threads is not None:
            torch.set_num_threads(threads)
        model = with_weights(checkpoint["config"], checkpoint["state_dict"])
        return cls(model.to(choose_device(device)).eval(), metadata(checkpoint))

    @property
    def device(self) -> torch.device:
        """Where the network lies."""
        return next(self.model.parameters()).device

    @property
    def batch_size(self) -> int:
        """On a CPU one window: a batch gains nothing there, and 16 windows of AASIST take 3 GB."""
        return 1 if self.device.type == "cpu" else GPU_BATCH

    def logits(self, waves: np.ndarray) -> np.ndarray:
        return finite(self._run(waves, 1).astype(np.float64), "logits")

    def last_hidden(self, waves: np.ndarray) -> np.ndarray:
        """The input of the last layer: waves float32 (B, T), B >= 1, to float32 (B, H)."""
        return finite(self._run(waves, 0), "statistics")

    @torch.inference_mode()
    def _run(self, waves: np.ndarray, output: int) -> np.ndarray:
        training = self.model.training
        self.model.eval()
        try:
            samples = torch.from_numpy(finite(waves, "samples"))
            parts = samples.split(1 if self.device.type == "cpu" else max(len(samples), 1))
            found = [self.model(part.to(self.device))[output].cpu() for part in parts]
        finally:
            self.model.train(training)
        return torch.cat(found).numpy()
