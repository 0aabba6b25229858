"""How a network is to be converted."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from .qat import Tuning


@dataclass(frozen=True)
class Options:
    """How to convert. Losses are differences of accuracy, 0 to 1."""

    quantise: str = "ptq"  # ptq, qat or none
    max_loss: float = 0.02
    allow_loss: bool = False
    calibration: int = 100  # pictures
    cloud: Path | None = None  # an .onnx for the server instead of the source's own
    threshold: float = 0.0
    runs: int = 40  # of each model when it is timed
    tuning: Tuning = field(default_factory=Tuning)
    replace: bool = False
    layout: str = ""  # nchw or nhwc, of an ONNX file whose shape leaves it open
    scores: str = ""  # logits or probabilities; "": as the description or the network says
