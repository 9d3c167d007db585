"""Archives: where their files lie, reading files in place, and safe unpacking."""
