"""The training script. Read it first."""
