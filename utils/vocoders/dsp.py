"""Vocoders that are signal processing only, in the form of the neural ones: WORLD and Griffin-Lim."""
import importlib.util

import numpy as np

from utils.corpora.default_corpus.vocoders import griffin_lim, world_copy
from utils.errors import InputError
from utils.vocoders.signal import fit, lengthen


class World:
    """WORLD analysis and synthesis (Morise et al., 2016), nothing changed."""
    rate, batch = 16000, 1

    def __init__(self) -> None:
        if importlib.util.find_spec("pyworld") is None:
            raise InputError("WORLD needs the package pyworld: pip install pyworld-prebuilt")

    def copies(self, clips: list[np.ndarray], rngs: list[np.random.Generator]) -> list[np.ndarray]:
        """Clips at 16 kHz → their copies, of the same lengths."""
        return [fit(world_copy(clip, rng), len(clip)) for clip, rng in zip(clips, rngs)]


class GriffinLim:
    """Griffin-Lim phases for an 80-band mel spectrogram (Griffin and Lim, 1984), 24 to 48 iterations."""
    rate, batch = 16000, 1

    def copies(self, clips: list[np.ndarray], rngs: list[np.random.Generator]) -> list[np.ndarray]:
        """Clips at 16 kHz → their copies, of the same lengths; the iterations and first phases are drawn."""
        return [fit(griffin_lim(lengthen(clip, 512), rng), len(clip)) for clip, rng in zip(clips, rngs)]
