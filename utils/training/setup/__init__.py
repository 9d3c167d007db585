"""From the command line to a run: its options, its first weights, everything opened."""
