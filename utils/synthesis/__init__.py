"""How fakes are made: vocoders, copies by them, speech engines and the default corpus."""
