"""Random numbers that depend on a seed and on names alone, not on other draws."""
import zlib

import numpy as np


def generator(seed: int, *names: str) -> np.random.Generator:
    """A generator of random numbers for this seed and these names."""
    sums = (zlib.crc32(name.encode("utf-8", "surrogateescape")) for name in names)
    return np.random.default_rng([seed, *sums])
