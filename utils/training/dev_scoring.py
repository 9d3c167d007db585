"""Scores of dev, by which epochs are compared; several processes share the utterances."""
import numpy as np
from torch import nn

from utils.detector.engines import Engine
from utils.detector.scoring import score_store
from utils.metrics.metrics import eer
from utils.signals import N_SAMPLES
from utils.signals.front import FRONT
from utils.store.reader import Store, StorePart
from utils.training.learners.ridge import dev_engine
from utils.training.run import Run


def scores_of(run: Run, engine: Engine, store: Store | StorePart,
              progress: bool = False) -> np.ndarray:
    """Reported scores of a store's utterances, float64 (N,), in its order, in every process."""
    own = range(len(store))[run.processes.share(len(store))]
    return run.processes.gather(score_store(engine, StorePart(store, list(own)), progress=progress))


def score_dev(run: Run, model: nn.Module) -> dict:
    """Raw scores of dev, with their EER ("dev_eer") and class-balanced cross-entropy."""
    metadata = {"n_samples": N_SAMPLES, "calibration": None, "front": FRONT}
    engine = dev_engine(run, model, metadata)
    scores = scores_of(run, engine, run.dev)
    genuine = np.array([row.labels.is_bonafide for row in run.dev.rows])
    losses = np.logaddexp(0, np.where(genuine, -scores, scores))
    return {"scores": scores, "dev_eer": eer(scores[genuine], scores[~genuine])[0],
            "dev_loss": float((losses[genuine].mean() + losses[~genuine].mean()) / 2)}
