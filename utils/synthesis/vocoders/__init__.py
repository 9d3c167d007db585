"""Vocoders for copy-synthesis: speech in, the same words and voice out. `catalogue` lists them."""
