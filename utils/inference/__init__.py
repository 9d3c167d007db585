"""Verdicts on many recordings: inputs, words, pictures and result files."""
