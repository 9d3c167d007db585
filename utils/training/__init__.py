"""Training: one table of architectures, a run, its learner, and what is saved of it."""
