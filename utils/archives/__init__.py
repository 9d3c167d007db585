"""Archives: where their files lie, reading them in place, and safe unpacking."""
