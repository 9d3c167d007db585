"""A calibration for a finished model, from a dev set that it was not trained on."""
from typing import Any

import numpy as np

from utils.detector.decision import fit_on_dev
from utils.detector.engines import Engine
from utils.detector.scoring import score_store
from utils.metrics.metrics import eer


def calibrated(engine: Engine, store: Any) -> dict:
    """The entries of a model's metadata that `store`, its dev set, determines.

    "calibration" is None, and "reason" says why, where the store cannot calibrate.
    """
    engine.metadata = engine.metadata | {"calibration": None}
    scores = score_store(engine, store, engine.batch_size)
    labels = [row.labels for row in store.rows]
    entries = fit_on_dev(scores, [label.key for label in labels], chose_epoch=False,
                         sources=[label.source for label in labels])
    if entries["calibration"] is None:
        return entries
    genuine = np.array([label.is_bonafide for label in labels])
    return entries | {"calibrated_on": {
        "corpus": store.info["corpus"]["name"], "utterances": len(store),
        "trial_list_sha256": store.info["trial_list_sha256"],
        "eer": float(eer(scores[genuine], scores[~genuine])[0])}}
