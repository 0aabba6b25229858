"""The parameters of the compression."""

from __future__ import annotations

from dataclasses import dataclass

from .parameter import parameter
from .pictures import HeardPictureConfig


@dataclass(frozen=True)
class CompressionConfig(HeardPictureConfig):
    """Parameters of the compression before upload."""

    codec: str = parameter("jpeg", "still codec of regions", choices=("jpeg", "webp", "png"))
    quality: int = parameter(85, "quality of jpeg and webp", minimum=1, maximum=100, live=True)
    tile_px: int = parameter(
        32, "side of a tile, rounded up to a multiple of 8", unit="px", minimum=8, maximum=512
    )
    change_threshold: float = parameter(
        8.0,
        "a tile has changed where 4x4 px of it differ by more than this in the mean",
        unit="gray levels",
        minimum=0.0,
        maximum=255.0,
        live=True,
    )
    key_interval_frames: int = parameter(
        60, "at most so many delta frames between two key frames", minimum=0, maximum=100000
    )
    key_share: float = parameter(
        0.6, "more changed area than this makes a key frame", minimum=0.0, maximum=1.0
    )
    ring_frames: int = parameter(
        24, "recent frames kept for late requests", minimum=2, maximum=1000
    )
