"""Vocoders for copy-synthesis: speech in, the same words and voice out of a network. `catalogue.py`
lists them."""
