"""Faults injected into every step as a person runs it, and bad input dropped on it: `python -m tests.robustness` prints the table."""
