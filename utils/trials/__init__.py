"""Trials: their labels, the files that list them, and how they are drawn and split."""
