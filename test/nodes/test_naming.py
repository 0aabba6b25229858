"""Every picture has a name of its own, and nodes apart mean the same picture by it."""

from __future__ import annotations

import numpy as np
import pytest
from sensor_msgs.msg import CompressedImage, Image

from mastra_ros.nodes import convert
from mastra_ros.nodes.naming import Namer, as_named, digest_of, picture_of
from mastra_ros.nodes.ring import FrameRing
from mastra_ros.types import FRAME_ID, Frame, FrameKey


def image(seed: int = 0, stamp_ns: int = 0) -> Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (8, 6, 3), np.uint8)
    return convert.frame_to_ros(Frame(FrameKey("main", stamp_ns), pixels))


def heard(message: Image) -> Frame:
    """As a node that is a process of its own has it."""
    frame = convert.frame_from_ros(message, "main")
    return as_named(frame, frame.key._replace(id=digest_of(message)))


def test_every_picture_gets_another_name_though_all_be_equal_at_stamp_0() -> None:
    namer = Namer()
    keys = [namer.name(heard(image())).key for _ in range(100)]
    assert len(set(keys)) == 100
    assert len({picture_of(key) for key in keys}) == 1
    assert all(FRAME_ID.fullmatch(key.id) for key in keys)
    assert keys[0] != Namer().name(heard(image())).key, "another run"


def test_a_name_that_a_camera_gave_stays() -> None:
    for frame_id in ("a1-7", ""):
        frame = Frame(FrameKey("main", 5, frame_id), np.zeros((2, 2), np.uint8), "mono8")
        assert Namer().name(frame) is frame
        assert picture_of(frame.key) == frame.key


@pytest.mark.parametrize("change", ["pixel", "encoding", "shape"])
def test_the_digest_tells_pictures_apart_by_pixels_and_by_what_they_mean(change: str) -> None:
    first, second = image(), image()
    assert digest_of(first) == digest_of(second)
    if change == "pixel":
        second.data[-1] ^= 1
    elif change == "encoding":
        second.encoding = "rgb8"
    else:
        second.width, second.height, second.step = 8, 6, 24
    assert digest_of(first) != digest_of(second)


def test_a_compressed_picture_has_a_digest_too() -> None:
    messages = [
        CompressedImage(format=kind, data=bytes([value, 2, 3]))
        for kind, value in (("jpeg", 1), ("jpeg", 1), ("jpeg", 2), ("png", 1))
    ]
    digests = [digest_of(message) for message in messages]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3


def test_a_node_apart_finds_the_picture_that_a_decision_means() -> None:
    namer, ring = Namer(), FrameRing[str](8)
    frames = [heard(image(seed)) for seed in range(3)]
    named = [namer.name(frame) for frame in frames]
    for frame in frames:
        ring.put(frame)
    for frame, wanted in zip(named, frames, strict=True):
        assert ring.request(frame.key, "encode") is wanted


def test_a_decision_before_its_picture_waits_for_that_picture_and_no_other() -> None:
    namer, ring = Namer(), FrameRing[str](8)
    first, second = heard(image(1)), heard(image(2))
    key = namer.name(second).key
    assert ring.request(key, "encode") is None
    assert ring.put(first) == []
    assert ring.put(second) == ["encode"]


def test_a_name_without_an_id_means_the_newest_picture_of_its_stamp() -> None:
    ring = FrameRing[str](8)
    first, second = heard(image(1, 5)), heard(image(2, 5))
    ring.put(first)
    ring.put(second)
    assert ring.get(FrameKey("main", 5)) is second
    assert ring.get(FrameKey("main", 6)) is None


def test_a_camera_s_id_finds_a_picture_that_came_as_a_message_where_its_stamp_is_alone() -> None:
    ring = FrameRing[str](8)
    ring.put(heard(image(1, 5)))
    assert ring.get(FrameKey("main", 5, "a1-7")) is not None
    ring.put(heard(image(2, 5)))
    assert ring.get(FrameKey("main", 5, "a1-7")) is None, "it must not be guessed"
    ring.put(heard(image(3, 6)))
    other = FrameKey("main", 6, "run-9" + digest_of(image(4, 6)))
    assert ring.get(other) is None, "that is another picture"


def test_a_picture_that_comes_again_is_as_new_as_the_latest() -> None:
    ring = FrameRing[str](2)
    again = heard(image(1))
    for frame in (again, heard(image(2)), heard(image(1)), heard(image(3))):
        ring.put(frame)
    assert ring.get(again.key) is not None
    assert ring.get(heard(image(2)).key) is None
