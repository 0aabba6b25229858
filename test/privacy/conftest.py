"""Finders that find, fail or hang as told, gates around them, and pictures with a watermark."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mastra_ros.config import PrivacyConfig, build
from mastra_ros.privacy import Gate, Opened, Region
from mastra_ros.types import CHANNELS, EIGHT_BIT, Frame, FrameKey


class FakeFinder:
    """Finds what it is told to; `answer` may also raise, wait or give nonsense."""

    def __init__(self, *regions: Region, name: str = "fake") -> None:
        self.name = name
        self.digest = "0" * 64
        self.answer: Callable[[NDArray[np.uint8]], Any] = lambda _: list(regions)
        self.seen: list[tuple[int, ...]] = []
        self.closed = 0

    def find(self, image: NDArray[np.uint8]) -> Any:
        self.seen.append(image.shape)
        return self.answer(image)

    def close(self) -> None:
        self.closed += 1


def face(x: float, y: float, side: float = 40.0, score: float = 0.9) -> Region:
    return Region(x, y, side, side, "face", score)


def gate_of(*finders: Any, objects: Any = None, **values: Any) -> Gate:
    """A gate with these finders, and these parameters."""
    config = build(PrivacyConfig, values)
    return Gate(config, lambda _: Opened(finders, objects))


def noise(shape: tuple[int, ...], seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def frame_of(image: NDArray[Any], stamp_ns: int = 1, encoding: str = "") -> Frame:
    encoding = encoding or ("mono8" if image.ndim == 2 else "bgr8")
    return Frame(FrameKey("main", stamp_ns, f"f-{stamp_ns}"), image, encoding)


def noisy_frame(encoding: str = "bgr8", stamp_ns: int = 1) -> Frame:
    shape = (120, 160) if CHANNELS[encoding] == 1 else (120, 160, 3)
    image: NDArray[Any] = noise(shape)
    if encoding in EIGHT_BIT:
        image = image.astype(np.uint16) * 257
    return frame_of(image, stamp_ns, encoding)


@pytest.fixture
def freed() -> Any:
    """An event on which fakes hang; set at the end, so that no thread is left behind."""
    event = threading.Event()
    yield event
    event.set()
