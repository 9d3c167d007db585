"""From a checkpoint to an ONNX file that scores without PyTorch."""
