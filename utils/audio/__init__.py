"""Audio: one way to decode (decode.py), one way to keep what was decoded (store.py)."""

SAMPLE_RATE = 16000  # Hz, of everything after decoding
N_SAMPLES = 64600    # samples in one window of the published AASIST, 4.0375 s
