"""The core: `Detector.load().judge("x.wav")`, and everything behind it."""
from utils.detector.detector import Detector

__all__ = ["Detector"]
