"""MobileNetEdgeTPU with MobileNetV4's head, for devices that multiply bytes quickly.

The network that follows MobileNetV2 in MLPerf Mobile (Howard and Gupta, 2019, "Introducing the
next generation of on-device vision models: MobileNetV3 and MobileNetEdgeTPU"; Janapa Reddi et
al., 2022, arXiv:2012.02328): its first blocks expand by an ordinary convolution, which gains
most from int8, where MobileNetV2 has its largest convolutions of single channels, which gain
nothing. Two things differ from the publication: a block has a residual wherever its shapes are
equal, and the last convolution comes after pooling (Qin et al., 2024, arXiv:2404.10518).
"""

from __future__ import annotations

from torch import Tensor, nn

from train.mobilenet import trained
from train.mobilenet_v4 import PooledClassifier, UniversalInvertedBottleneck, convolution

# Blocks, kernel, expansion of the first block (the others: 4), channels, stride of the first.
FUSED = ((4, 3, 8, 32, 2), (4, 3, 8, 48, 2))
SEPARABLE = ((4, 3, 8, 96, 2), (4, 3, 8, 96, 1), (4, 5, 8, 160, 2), (1, 3, 8, 192, 1))
EXPANSION = 4


class FusedInvertedBottleneck(nn.Module):
    """Expand by an ordinary convolution and project, plus the input where the shapes are equal."""

    def __init__(self, inputs: int, kernel: int, expanded: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            convolution(inputs, expanded, kernel, stride),
            convolution(expanded, outputs, 1, active=False),
        )
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layers(x)
        return x + out if self.residual else out


class MobileNetEdgeTpu(PooledClassifier):
    """image (N, channels, H, W) -> logits (N, classes); H and W are multiples of 32."""

    def __init__(self, *, classes: int, channels: int = 3) -> None:
        layers: list[nn.Module] = [
            convolution(channels, 32, 3, 2),
            convolution(32, 16, 1, active=False),
        ]
        inputs = 16
        for stages, is_fused in ((FUSED, True), (SEPARABLE, False)):
            for blocks, kernel, first, outputs, stride in stages:
                for i in range(blocks):
                    expanded = inputs * (EXPANSION if i else first)
                    step = 1 if i else stride
                    layers.append(
                        FusedInvertedBottleneck(inputs, kernel, expanded, outputs, step)
                        if is_fused
                        else UniversalInvertedBottleneck(inputs, 0, kernel, expanded, outputs, step)
                    )
                    inputs = outputs
        super().__init__(layers, inputs, classes)


def defect_crops_edgetpu(weights: str | None = None) -> MobileNetEdgeTpu:
    """The network of `train.crops fit --network mobilenet_edgetpu`: gray crops, seven classes."""
    model = MobileNetEdgeTpu(classes=7, channels=1)
    return trained(model, weights)
