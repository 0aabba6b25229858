"""The parameters of the factory inspection: the stage `pipeline` of this application."""

from __future__ import annotations

from dataclasses import dataclass

from .parameter import parameter
from .pictures import HeardPictureConfig


@dataclass(frozen=True)
class FactoryConfig(HeardPictureConfig):
    """Parameters of the factory inspection."""

    application: str = parameter(
        "factory", "the application of this pipeline", choices=("factory",)
    )
    trigger: str = parameter(
        "belt",
        "belt: boards pass through the picture; frame: every frame is a board of its own",
        choices=("belt", "frame"),
    )
    reject_score: float = parameter(
        0.5, "a defect of this score rejects the board", minimum=0.0, maximum=1.0, live=True
    )
    confirm_frames: int = parameter(
        2, "frames of a board that must show a defect (belt)", minimum=1, maximum=100
    )
    confirm_share: float = parameter(
        0.3,
        "share of the frames showing a place that must show its defect (belt)",
        minimum=0.0,
        maximum=1.0,
    )
    settle_ms: float = parameter(
        1000.0,
        "longest wait for missing results of a board that has left the picture (belt)",
        unit="ms",
        minimum=0.0,
        maximum=60000.0,
    )
    belt_gray_min: int = parameter(
        12, "darkest gray level of the empty belt", unit="gray levels", minimum=0, maximum=255
    )
    belt_gray_max: int = parameter(
        80, "brightest gray level of the empty belt", unit="gray levels", minimum=0, maximum=255
    )
    log_path: str = parameter("", "JSON-lines file of verdicts; empty writes none")
    pictures_dir: str = parameter("", "folder for annotated pictures of boards; empty saves none")
    pictures_max: int = parameter(
        50, "at most so many pictures are kept", minimum=0, maximum=100000
    )
