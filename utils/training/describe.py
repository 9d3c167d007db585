"""What a person gets to see and hear of the data: what training audio is like, and one example of each class."""
from pathlib import Path

import numpy as np
import soundfile

from utils.audio import SAMPLE_RATE
from utils.files import atomic_write

from utils.scoring.activity import Activity
from utils.training.data import stratified_subset

SAMPLE_SIZE = 200          # utterances looked at
PERCENTILES = (5, 50, 95)


def describe_audio(store, n_samples: int) -> dict:
    """Percentiles 5, 50, 95 of `bandwidth_hz` and `speech_level_dbfs` over a sample of the store's utterances."""
    bandwidths, levels = [], []
    for i in stratified_subset([(row.key, row.attack) for row in store.rows], SAMPLE_SIZE, seed=0):
        activity = Activity()
        activity.add(0, store.read(i, 0, min(n_samples, store.rows[i].n_samples)))
        if (bandwidth := activity.bandwidth_hz()) is not None and np.isfinite(activity.level):
            bandwidths.append(bandwidth)
            levels.append(activity.level)
    if not levels:
        return {}
    return {"bandwidth_hz": np.percentile(bandwidths, PERCENTILES).round(1).tolist(),
            "speech_level_dbfs": np.percentile(levels, PERCENTILES).round(1).tolist()}


def write_examples(folder: Path, store, seed: int) -> None:
    """One utterance of each class, drawn at random and not for its score, as WAV files to try the detector on."""
    rng = np.random.default_rng([seed, 0xE8A])
    for key in ("bonafide", "spoof"):
        index = int(rng.choice([i for i, row in enumerate(store.rows) if row.key == key]))
        with atomic_write(folder / f"{key}.wav", "wb") as file:
            soundfile.write(file, store.read(index), SAMPLE_RATE, format="WAV", subtype="PCM_16")
