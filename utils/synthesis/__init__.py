"""How fakes are made: vocoders, speech engines and the default corpus."""
