"""The scripts: one for each step of the pipeline. The rooms below do their work."""
