"""Copies of real speech by vocoders: which clips, how each file is made, and their list."""
