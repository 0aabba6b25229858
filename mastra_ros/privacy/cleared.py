"""What may leave the device: only the gate makes it, and encoders and pictures take nothing else.

    cleared = gate.clear(frame)      # ClearedFrame, or the error Withheld
    packet = encoder.encode(cleared)

`ClearedFrame(…)` outside this folder is refused by the layer test, and by the seal at run time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..types import Features, Frame, FrameKey

SEAL: Final = object()
"""Held by the gate alone."""


@dataclass(frozen=True)
class ClearedFrame:
    """A frame in which all is hidden that had to be, under `clearance`.

    frame: the masked picture, with the key of the frame that it was made of; the original is not
    in it. masked: how many regions are hidden. clearance: see `Gate.clearance`.
    """

    frame: Frame
    clearance: str
    masked: int
    seal: Any = None

    def __post_init__(self) -> None:
        _check(self.seal, "ClearedFrame")
        object.__setattr__(self, "seal", None)

    @property
    def key(self) -> FrameKey:
        """Names the frame."""
        return self.frame.key

    @property
    def image(self) -> NDArray[Any]:
        """The masked picture."""
        return self.frame.image

    @property
    def encoding(self) -> str:
        """How to read `image`."""
        return self.frame.encoding


@dataclass(frozen=True)
class ClearedFeatures:
    """The tensor at the cut of a split model, of a frame whose features may leave."""

    features: Features
    clearance: str
    seal: Any = None

    def __post_init__(self) -> None:
        _check(self.seal, "ClearedFeatures")
        object.__setattr__(self, "seal", None)

    @property
    def tensor(self) -> NDArray[np.int8]:
        """The values."""
        return self.features.tensor


def _check(seal: Any, what: str) -> None:
    if seal is not SEAL:
        raise TypeError(f"{what}: only the gate makes one")
