"""Any audio file, decoded: `decode.py` is the one door."""
