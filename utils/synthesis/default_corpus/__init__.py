"""The embedded default corpus: real speech of Debian packages against real synthesisers, in
ASVspoof5's layout."""
from utils.synthesis.default_corpus.build import build_default_corpus

__all__ = ["build_default_corpus"]
