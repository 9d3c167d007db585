"""Stores of a few seconds of speech, written in milliseconds, and the training script on them."""
from pathlib import Path

import numpy as np

from notebooks import aasist_training
from tests.helpers.audio.example_speech import crops
from utils.store.writer import StoreWriter
from utils.trials.labels import Labels

SAMPLES = 20000    # 1.25 s


def tiny_stores(data: Path, counts: dict[str, int] | None = None) -> Path:
    """train, dev and eval below `data`/processed, with so many utterances each.

    Every second utterance is spoofed; there are four attacks and three sources.
    """
    clips = {key: crops(key, 24, SAMPLES) for key in ("bonafide", "spoof")}
    for subset, count in (counts or {"train": 24, "dev": 12, "eval": 12}).items():
        path = data / "processed" / subset
        rng = np.random.default_rng(len(subset))
        corpus = {"name": "tiny", "description": "a tiny corpus", "demo": True,
                  "seen_attacks": ["A0", "A1", "A2", "A3"]}
        description = {"subset": subset, "settings": {"limit": None, "seed": 0}, "corpus": corpus,
                       "environment": {"packages": {}}, "trial_list_sha256": f"{subset} {count}"}
        with StoreWriter(path, description) as writer:
            for number in range(count):
                key = ("bonafide", "spoof")[number % 2]
                wave = clips[key][number % len(clips[key])]
                start = int(rng.integers(max(1, len(wave) - SAMPLES)))
                attack = f"A{number // 2 % 4}" if number % 2 else "-"
                labels = Labels(speaker=f"S{number % 5}", attack=attack, key=key,
                                source=f"lab {number // 2 % 3}")
                crop = wave[start:start + SAMPLES]
                writer.add(f"{subset}{number}", labels, [crop], lambda: 16000)
            writer.finish()
    return data


def train(data: Path, out: Path, *options: object) -> None:
    """Run the training script: the small model, one-second crops, all results below `out`."""
    given = ["--data_dir", data, "--checkpoint_dir", out / "checkpoints",
             "--results_dir", out / "results", "--crop_seconds", 1, "--batch_size", 8, *options]
    model = [] if "--architecture" in options else ["--small_model"]
    assert aasist_training.main([*model, *map(str, given)]) == 0
