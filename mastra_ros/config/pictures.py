"""The parameters of all who take pictures: what their values mean, and how they come."""

from __future__ import annotations

from dataclasses import dataclass

from .parameter import NodeConfig, parameter, parameters_of


@dataclass(frozen=True)
class PictureConfig(NodeConfig):
    """What the values of pictures mean that do not say it themselves."""

    bit_depth: int = parameter(
        16,
        "bits that the camera fills in pictures of 16 bits; 12 makes 4095 white",
        unit="bits",
        minimum=8,
        maximum=16,
    )
    float_min: float = parameter(0.0, "value that is black in pictures of floats (32FC1)")
    float_max: float = parameter(1.0, "value that is white in pictures of floats (32FC1)")


@dataclass(frozen=True)
class HeardPictureConfig(PictureConfig):
    """Of the nodes that take pictures from ROS."""

    image_transport: str = parameter(
        "auto",
        "take image_raw or image_raw/compressed; auto: the latter where nobody publishes the first",
        choices=("auto", "raw", "compressed"),
    )


SHARED = tuple(
    name for name in parameters_of(HeardPictureConfig) if name not in parameters_of(NodeConfig)
)
"""These may stand in a block for all nodes (/**): who takes no pictures passes over them.

They must be the same at all the nodes that hear the same pictures, or each would see its own.
"""
