"""The default corpus in ASVspoof5's layout: real speech of Debian packages and synthetic."""
from utils.synthesis.default_corpus.build import build_default_corpus

__all__ = ["build_default_corpus"]
