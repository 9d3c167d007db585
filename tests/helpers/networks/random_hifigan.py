"""A HiFi-GAN generator of shape V3 with random weights: it runs as a trained one does, and says
nothing."""
from pathlib import Path

import numpy as np

CHANNELS = (256, 128, 64, 32)
KERNELS = (16, 16, 8)            # of the upsampling layers
BLOCK_KERNELS = (3, 5, 7)


def shapes() -> dict[str, tuple[int, ...]]:
    """The shape of every layer's weight, by the layer's name."""
    layers = {"conv_pre": (256, 80, 7), "conv_post": (1, 32, 7)}
    for stage, kernel in enumerate(KERNELS):
        width = CHANNELS[stage + 1]
        layers[f"ups.{stage}"] = (CHANNELS[stage], width, kernel)
        for block, size in enumerate(BLOCK_KERNELS):
            for number in range(2):
                layers[f"resblocks.{3 * stage + block}.convs.{number}"] = (width, width, size)
    return layers


def random_weights() -> dict[str, np.ndarray]:
    """Weights and biases, float32, the same on every call."""
    rng = np.random.default_rng(3)
    weights = {}
    for name, shape in shapes().items():
        outputs = shape[1] if name.startswith("ups") else shape[0]
        fan_in = np.prod(shape) / outputs
        weights[f"{name}.weight"] = (rng.standard_normal(shape) / np.sqrt(fan_in)).astype(
            np.float32)
        weights[f"{name}.bias"] = (0.1 * rng.standard_normal(outputs)).astype(np.float32)
    return weights


def write_random_hifigan(path: Path) -> Path:
    """Save the weights as `path`, an .npz file, and return it."""
    np.savez(path, **random_weights())
    return path
