"""Everyday inputs: what people really hand over, made anew from real speech, and what must come of
each."""
