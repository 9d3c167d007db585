"""From a checkpoint to an ONNX file, which scores without PyTorch."""
