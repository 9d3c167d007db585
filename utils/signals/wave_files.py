"""Waveforms as the bytes of an audio file."""
import io

import numpy as np
import soundfile

from utils.signals import SAMPLE_RATE


def pcm_file(samples: np.ndarray, container: str) -> bytes:
    """int16 (n,) at 16 kHz as a file of 16-bit PCM; `container` is "WAV" or "FLAC"."""
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, SAMPLE_RATE, format=container, subtype="PCM_16")
    return buffer.getvalue()
