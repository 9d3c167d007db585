"""Front ends of one's own, as worked examples for --front_end: one file and one class each."""
