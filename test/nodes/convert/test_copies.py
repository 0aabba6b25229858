"""How often the pixels of a picture are copied on their way into a message."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from mastra_ros.nodes.convert import frame_to_ros
from mastra_ros.types import Frame, FrameKey


@pytest.mark.parametrize(("shape", "encoding"), [((480, 640, 3), "bgr8"), ((480, 640), "mono8")])
def test_a_picture_is_copied_once_into_its_message(shape: tuple[int, ...], encoding: str) -> None:
    image = np.full(shape, 7, np.uint8)
    frame = Frame(FrameKey("main", 5), image, encoding, "lens_optical")
    frame_to_ros(frame)
    tracemalloc.start()
    message = frame_to_ros(frame)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert np.array_equal(np.frombuffer(message.data, np.uint8), image.ravel())
    assert peak_bytes < 1.5 * image.nbytes
