"""Faults injected into every step as a person runs it, and bad input: `python -m tests.robustness`
prints the table.
"""
