"""The store: decoded utterances of a subset as 16 kHz samples, for training and scoring."""
