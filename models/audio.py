"""The audio that every network hears."""

SAMPLE_RATE = 16000     # Hz
