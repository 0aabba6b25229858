"""MobileNetV4-Conv-Small (Qin et al., 2024, arXiv:2404.10518, table 11), for small devices.

It is of MobileNetV2's size, and made for processors that multiply bytes quickly: its first stages
are ordinary convolutions, which gain most from int8, where MobileNetV2 has the largest of its
convolutions of single channels, which gain nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from train.mobilenet import initialise, trained

# Kernel of the convolution of each channel before the expansion and after it (0: there is none),
# expanded channels, channels, stride.
BLOCKS = (
    (5, 5, 192, 96, 2),
    (0, 3, 192, 96, 1),
    (0, 3, 192, 96, 1),
    (0, 3, 192, 96, 1),
    (0, 3, 192, 96, 1),
    (3, 0, 384, 96, 1),
    (3, 3, 576, 128, 2),
    (5, 5, 512, 128, 1),
    (0, 5, 512, 128, 1),
    (0, 5, 384, 128, 1),
    (0, 3, 512, 128, 1),
    (0, 3, 512, 128, 1),
)


def convolution(
    inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1, active: bool = True
) -> nn.Sequential:
    """A convolution, batch normalisation and, where `active`, ReLU."""
    layers: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    ]
    return nn.Sequential(*layers, *([nn.ReLU()] if active else []))


class UniversalInvertedBottleneck(nn.Module):
    """Expand and project, with a convolution of each channel before, between, or both.

    Plus the input where the shapes are equal.
    """

    def __init__(
        self, inputs: int, before: int, between: int, expanded: int, outputs: int, stride: int
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        if before:
            step = 1 if between else stride
            layers.append(convolution(inputs, inputs, before, step, inputs, active=False))
        layers.append(convolution(inputs, expanded, 1))
        if between:
            layers.append(convolution(expanded, expanded, between, stride, expanded))
        layers.append(convolution(expanded, outputs, 1, active=False))
        self.layers = nn.Sequential(*layers)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layers(x)
        return x + out if self.residual else out


class PooledClassifier(nn.Module):
    """Blocks that end in `inputs` channels, and MobileNetV4's head: pooled before its last layers.

    image (N, channels, H, W) -> logits (N, classes).
    """

    def __init__(self, blocks: Sequence[nn.Module], inputs: int, classes: int) -> None:
        super().__init__()
        self.features = nn.Sequential(*blocks, convolution(inputs, 960, 1))
        self.head = convolution(960, 1280, 1)
        self.classifier = nn.Linear(1280, classes)
        initialise(self)

    def forward(self, image: Tensor) -> Tensor:
        pooled = self.features(image).mean((2, 3), keepdim=True)
        out: Tensor = self.classifier(self.head(pooled).flatten(1))
        return out


class MobileNetV4ConvSmall(PooledClassifier):
    """image (N, channels, H, W) -> logits (N, classes); H and W are multiples of 32."""

    def __init__(self, *, classes: int, channels: int = 3) -> None:
        layers: list[nn.Module] = [
            convolution(channels, 32, 3, 2),
            convolution(32, 32, 3, 2),
            convolution(32, 32, 1),
            convolution(32, 96, 3, 2),
            convolution(96, 64, 1),
        ]
        inputs = 64
        for before, between, expanded, outputs, stride in BLOCKS:
            layers.append(
                UniversalInvertedBottleneck(inputs, before, between, expanded, outputs, stride)
            )
            inputs = outputs
        super().__init__(layers, inputs, classes)


def defect_crops_v4(weights: str | None = None) -> MobileNetV4ConvSmall:
    """The network of `train.crops fit --network mobilenet_v4`: gray crops, seven classes."""
    model = MobileNetV4ConvSmall(classes=7, channels=1)
    return trained(model, weights)
