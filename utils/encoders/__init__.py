"""Self-supervised encoders and published detectors from files: their names, shapes and formats."""
