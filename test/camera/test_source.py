"""What every source does, checked on each kind of them."""

from __future__ import annotations

import threading

import cv2
import numpy as np
import pytest

from mastra_ros.camera import FakeSource, Source, Stamper, open_source
from mastra_ros.camera.live import LiveSource
from mastra_ros.camera.v4l2 import V4l2Capture
from mastra_ros.errors import SourceEnded, SourceError, SourceStalled

KINDS = ("synthetic", "folder", "file", "network", "v4l2", "fake", "fake live")


class FakeDevice:
    """Stands in for `cv2.VideoCapture` on a machine without a camera: frames until released."""

    def __init__(self) -> None:
        self.released = threading.Event()

    def read(self):
        self.released.wait(0.01)
        return True, np.zeros((24, 32, 3), np.uint8)

    def get(self, prop: int) -> float:
        return 30.0 if prop == cv2.CAP_PROP_FPS else 0.0

    def release(self) -> None:
        self.released.set()


@pytest.fixture(params=KINDS)
def source(request, camera_config) -> Source:
    """One source of each kind, its frames of stream `side` and frame `lens`."""
    kind = request.param
    if kind == "folder":
        name = f"folder:{request.getfixturevalue('image_folder')}"
    elif kind == "file":
        name = f"file:{request.getfixturevalue('video_file')}"
    elif kind == "network":
        name = request.getfixturevalue("mjpeg_camera").url
    else:
        name = "synthetic:pcb?seed=1&width=96&height=64"
    config = camera_config(name, frame_id="lens", stall_timeout_s=5.0)
    if kind == "v4l2":
        made: Source = LiveSource(V4l2Capture(FakeDevice(), kind), config, "side", Stamper())
    elif kind.startswith("fake"):
        live = kind == "fake live"
        made = FakeSource([32] * 3, stream="side", frame_id="lens", live=live)
    else:
        made = open_source(config, "side")
    yield made
    made.close()


def read_on(source: Source) -> None:
    """Read until an error comes."""
    while True:
        source.read(10.0)


def test_frames_carry_stream_coordinate_frame_and_increasing_stamps(source: Source) -> None:
    frames = [source.read(10.0) for _ in range(3)]
    assert {frame.key.stream for frame in frames} == {"side"}
    assert {frame.frame_id for frame in frames} == {"lens"}
    stamps = [frame.key.stamp_ns for frame in frames]
    assert stamps == sorted(set(stamps))
    assert min(stamps) > 0
    for frame in frames:
        assert frame.image.flags.c_contiguous
        assert frame.image.shape[:2] == (frame.height_px, frame.width_px)


def test_frames_do_not_share_their_pixels(source: Source) -> None:
    first, second = source.read(10.0), source.read(10.0)
    assert not np.shares_memory(first.image, second.image)


def test_a_closed_source_gives_an_error_and_closing_twice_is_harmless(source: Source) -> None:
    source.read(10.0)
    source.close()
    source.close()
    with pytest.raises(SourceError) as caught:
        read_on(source)  # a live source may still hold its newest frame
    assert not isinstance(caught.value, (SourceEnded, SourceStalled))


def test_a_finite_source_stays_at_its_end_and_others_go_on(source: Source, request) -> None:
    kind = request.node.callspec.params["source"]
    if kind in ("folder", "file", "fake"):
        with pytest.raises(SourceEnded):
            read_on(source)
        with pytest.raises(SourceEnded):
            source.read(10.0)
    elif kind != "fake live":
        for _ in range(20):
            source.read(10.0)


def test_what_is_not_known_of_a_frame_is_none(source: Source, request) -> None:
    key = source.read(10.0).key
    known = request.node.callspec.params["source"] == "synthetic"
    assert (source.truth(key) is not None) == known
    assert source.truth(key._replace(stamp_ns=7)) is None


@pytest.mark.parametrize("source", ["network", "v4l2", "fake live"], indirect=True)
def test_closing_wakes_a_live_read(source: Source) -> None:
    assert source.live
    result: list[Exception] = []
    awake = threading.Event()

    def wait_for_frames() -> None:
        try:
            while True:
                source.read(60.0)
                awake.set()
        except SourceError as error:
            result.append(error)

    reader = threading.Thread(target=wait_for_frames)
    reader.start()
    assert awake.wait(60)
    source.close()
    reader.join(20)
    assert not reader.is_alive()
    assert result
