"""Pictures, frames and parameters for the tests of the codec."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import settings

from mastra_ros.compression import StreamEncoder
from mastra_ros.compression.chooser import at_once
from mastra_ros.compression.codecs import FORMATS
from mastra_ros.config import CompressionConfig, build
from mastra_ros.privacy import ClearedFrame, hiding_nothing
from mastra_ros.types import CHANNELS, Frame, FrameKey

Image = npt.NDArray[np.uint8]

# The same examples in every run, and no limit on how long a busy machine takes for one.
settings.register_profile("seeded", deadline=None, derandomize=True, database=None)
settings.load_profile("seeded")


@pytest.fixture(scope="session")
def scene() -> Callable[..., Image]:
    """Makes a smooth picture of some structure in the shape of its encoding."""

    def make(width_px: int, height_px: int, encoding: str = "bgr8", seed: int = 0) -> Image:
        rng = np.random.default_rng(seed)
        channels = CHANNELS[encoding]
        coarse = rng.integers(40, 216, (4, 4, channels)).astype(np.float32)
        smooth = cv2.resize(coarse, (width_px, height_px), interpolation=cv2.INTER_LINEAR)
        shape = (height_px, width_px) if channels == 1 else (height_px, width_px, 3)
        return smooth.reshape(shape).astype(np.uint8)

    return make


@pytest.fixture(scope="session")
def frame_of() -> Callable[..., ClearedFrame]:
    """Makes a cleared frame of an image, at a stamp."""
    gate = hiding_nothing("pictures made for this test")

    def make(image: Image, stamp_ns: int, encoding: str = "", stream: str = "main") -> ClearedFrame:
        encoding = encoding or ("mono8" if image.ndim == 2 else "bgr8")
        return gate.clear(Frame(FrameKey(stream, stamp_ns), image, encoding))

    return make


@pytest.fixture(scope="session")
def config_of() -> Callable[..., CompressionConfig]:
    """Makes a checked config of some parameters."""

    def make(**values: object) -> CompressionConfig:
        return build(CompressionConfig, values)

    return make


@pytest.fixture
def encoder(config_of: Callable[..., CompressionConfig]) -> StreamEncoder:
    """Makes H.264 for a gateway that decodes everything."""
    made = StreamEncoder(config_of(codec="x264"), run=at_once)
    made.peer(FORMATS)
    return made


@pytest.fixture(scope="session")
def moving(scene: Callable[..., Image]) -> Callable[..., Image]:
    """The pictures of a scene in which everything moves, by number."""

    def make(number: int, size: tuple[int, int] = (96, 64), encoding: str = "bgr8") -> Image:
        return np.ascontiguousarray(np.roll(scene(*size, encoding), 3 * number, axis=1))

    return make
