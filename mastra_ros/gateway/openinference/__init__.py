"""The Open Inference Protocol, version 2, without sockets: what both its transports have in common.

https://github.com/kserve/open-inference-protocol, with NVIDIA Triton's extensions for binary tensor
data, model configuration, repository index and statistics.
"""
