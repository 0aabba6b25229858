"""An ONNX graph as a PyTorch network, operator by operator, so that LiteRT can be made from it."""
