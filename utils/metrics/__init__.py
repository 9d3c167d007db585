"""Detection metrics: the DET curve, all figures of scored trials, and their intervals."""
