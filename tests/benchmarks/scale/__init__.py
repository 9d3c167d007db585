"""ASVspoof5 at its true counts: the corpus, and the steps that only the benchmark runs."""
