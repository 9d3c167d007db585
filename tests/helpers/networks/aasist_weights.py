"""Weights that tests share: the published ones beside the checkout, and random ones made by a rule
anyone can repeat.
"""
import json
import zlib
from pathlib import Path

import numpy as np
import torch

from models import CONFIGS, build_model
from utils.common.allocator import keep_freed_memory

keep_freed_memory()  # half the time of these tests otherwise goes to page faults

# file -> architecture
PUBLISHED = {"AASIST": "aasist", "AASIST-L": "aasist-l", "ASVspoof5-baseline": "aasist"}
FIXTURE = Path(__file__).parents[2] / "fixtures" / "aasist_random_weights.json"


def figures() -> dict:
    """The published implementation's figures for the random weights, by published architecture
    name.
    """
    return json.loads(FIXTURE.read_text(encoding="utf-8"))


def random_state_dict(architecture: str) -> dict:
    """The random weights of the fixture, by the rule written in it."""
    template = build_model(CONFIGS[architecture]).state_dict()
    return {name: torch.from_numpy(_tensor(name,
                                           tuple(value.shape))) for name, value in template.items()}


def _tensor(name: str, shape: tuple[int, ...]) -> np.ndarray:
    if name.endswith("num_batches_tracked"):
        return np.zeros(shape, np.int64)
    z = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape).astype(np.float32)
    if name.endswith("running_var"):
        return (1 + 0.1 * np.abs(z)).astype(np.float32)
    if name.endswith("running_mean"):
        return (0.1 * z).astype(np.float32)
    if len(shape) > 1:
        return (z / np.sqrt(np.prod(shape[1:]))).astype(np.float32)
    if name.endswith("weight") and (".bn" in name or name == "first_bn.weight"):
        return (1 + 0.1 * z).astype(np.float32)
    return (0.1 * z).astype(np.float32)


def random_input() -> np.ndarray:
    """The two waveforms (2, 64600) that the figures belong to."""
    return np.random.default_rng(2021).standard_normal((2,
                                                        64600)).astype(np.float32) * np.float32(0.1)


def random_checkpoint(architecture: str = "aasist-l", **changes) -> dict:
    """A whole checkpoint round the random weights; `changes` replace entries."""
    return {
        "format": 1, "architecture": architecture, "config": CONFIGS[architecture],
        "state_dict": random_state_dict(architecture), "label_order": ["spoof", "bonafide"],
        "n_samples": 64600, "sample_rate": 16000, "calibration": None, "decision": None,
        "score_range": None, "audio": None, "trained_on": {
            "corpus": "none", "description": "random weights", "demo": True, "utterances": 0,
            "seed": 0, "attacks": []
        }, "args": {}, "history": [{"epoch": 1, "loss": float("nan")}], "environment": {},
        "origin": "a test", **changes
    }
