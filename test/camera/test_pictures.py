"""Pictures as cameras and files really have them: 12 bits, floats, turned, sent in part."""

from __future__ import annotations

import struct

import cv2
import numpy as np
import pytest

from mastra_ros.camera import CaptureLoop, Stamper, open_source
from mastra_ros.camera.live import LiveSource
from mastra_ros.camera.v4l2 import V4l2Capture
from mastra_ros.errors import FrameError, SourceEnded, SourceError


def drain(source) -> tuple[list, list[str]]:
    """The frames until the source ends, and what was wrong with others."""
    frames, problems = [], []
    while True:
        try:
            frames.append(source.read(20.0))
        except FrameError as error:  # noqa: PERF203 - each frame may be rubbish
            problems.append(str(error))
        except SourceEnded:
            return frames, problems


@pytest.mark.parametrize("path", ["stream", "nolen"])
def test_a_camera_of_motion_jpeg_gives_its_pictures(camera_config, mjpeg_camera, path: str) -> None:
    source = open_source(camera_config(f"{mjpeg_camera.base}/{path}"))
    levels = [source.read(20.0).image.mean() for _ in range(5)]
    source.close()
    assert len(set(levels)) == 5


def test_a_camera_that_answers_with_one_picture_gives_that(camera_config, mjpeg_camera) -> None:
    source = open_source(camera_config(f"{mjpeg_camera.base}/snap"))
    frame = source.read(20.0)
    expected = cv2.imdecode(np.frombuffer(mjpeg_camera.picture(7), np.uint8), cv2.IMREAD_COLOR)
    assert frame.image.mean() == pytest.approx(expected.mean(), abs=2)
    with pytest.raises(SourceEnded):
        source.read(20.0)


def test_a_camera_that_wants_a_password_says_so(camera_config, mjpeg_camera) -> None:
    with pytest.raises(SourceError, match="401 Unauthorized"):
        open_source(camera_config(f"{mjpeg_camera.base}/auth"))


def test_pictures_that_a_camera_sends_in_part_are_bad_frames(
    camera_config, mjpeg_camera, until
) -> None:
    mjpeg_camera.whole_frames = False
    frames: list = []
    events: list = []
    loop = CaptureLoop(camera_config(mjpeg_camera.url, rate_hz=0.0), frames.append, events.append)
    loop.start()
    until(lambda: len(frames) >= 5 and loop.bad_frames >= 5, "good and bad frames")
    loop.stop()
    assert "cannot be decoded" in next(e.message for e in events if e.kind == "bad_frame")
    for frame in frames:  # the lower half of a part would be flat
        assert frame.image[-8:].std() > 5


class DeepDevice:
    """Stands in for a gray camera of 12 bits, as OpenCV gives it without conversion."""

    def read(self):
        return True, np.full((24, 32, 1), 4095, np.uint16)

    def get(self, prop: int) -> float:
        return 0.0

    def release(self) -> None:
        pass


def test_a_gray_camera_of_12_bits_gives_the_full_scale(camera_config) -> None:
    config = camera_config("v4l2:/dev/video0", bit_depth=12)
    source = LiveSource(V4l2Capture(DeepDevice(), "deep"), config, "main", Stamper())
    frame = source.read(20.0)
    source.close()
    assert (frame.encoding, frame.image.shape) == ("mono16", (24, 32))
    assert (frame.image == 65535).all()


@pytest.mark.parametrize("ending", ["png", "tiff"])
def test_files_of_16_bits_are_stretched_from_the_depth_given(
    camera_config, tmp_path, ending: str
) -> None:
    gray = np.linspace(0, 4095, 32 * 64).astype(np.uint16).reshape(32, 64)
    colour = np.full((32, 64, 3), (100, 2000, 4095), np.uint16)
    cv2.imwrite(str(tmp_path / f"1.{ending}"), gray)
    cv2.imwrite(str(tmp_path / f"2.{ending}"), colour)
    frames, _ = drain(open_source(camera_config(f"folder:{tmp_path}", bit_depth=12)))
    assert [frame.encoding for frame in frames] == ["mono16", "bgr16"]
    assert np.abs(frames[0].image - gray * (65535 / 4095)).max() <= 1
    assert frames[1].image[3, 3].tolist() == [1600, 32007, 65535]


def test_a_tiff_of_floats_is_mapped_from_its_range(camera_config, tmp_path) -> None:
    cv2.imwrite(str(tmp_path / "warm.tiff"), np.full((8, 8), 30.0, np.float32))
    config = camera_config(f"folder:{tmp_path}", float_min=20.0, float_max=40.0)
    ((frame,), _) = drain(open_source(config))
    assert (frame.image == 32768).all()


def test_dark_files_of_16_bits_are_told_once(camera_config, tmp_path) -> None:
    for n in range(3):
        cv2.imwrite(str(tmp_path / f"{n}.png"), np.full((8, 8), 900, np.uint16))
    events: list = []
    config = camera_config(f"folder:{tmp_path}", loop=True, frame_limit=80, rate_hz=0.0)
    CaptureLoop(config, lambda _: None, events.append).run()
    assert [event.kind for event in events] == ["opened", "doubtful", "ended"]
    assert "set bit_depth" in str(events[1])
    assert events[1].severity == "warning"


def test_a_folder_turns_its_pictures_as_their_exif_says(camera_config, tmp_path) -> None:
    image = np.full((32, 64, 3), 20, np.uint8)
    image[:16, :16] = 250
    jpeg = cv2.imencode(".jpg", image)[1].tobytes()
    entry = struct.pack("<HHIHH", 0x112, 3, 1, 6, 0)  # the camera was turned to the left
    body = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 1) + entry + struct.pack("<I", 0)
    segment = b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body
    (tmp_path / "upright.jpg").write_bytes(jpeg[:2] + segment + jpeg[2:])
    ((frame,), _) = drain(open_source(camera_config(f"folder:{tmp_path}")))
    assert (frame.width_px, frame.height_px) == (32, 64)
    assert frame.image[8, 24].tolist() == pytest.approx([250] * 3, abs=8)
    assert frame.image[8, 8].tolist() == pytest.approx([20] * 3, abs=8)


def test_a_jpeg_with_an_end_mark_of_which_a_part_is_missing_is_a_bad_frame(
    camera_config, tmp_path
) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8)
    whole = cv2.imencode(".jpg", noise)[1].tobytes()
    (tmp_path / "1.jpg").write_bytes(whole[: len(whole) // 2] + b"\xff\xd9")
    (tmp_path / "2.jpg").write_bytes(whole)
    frames, problems = drain(open_source(camera_config(f"folder:{tmp_path}")))
    assert len(frames) == 1
    assert len(problems) == 1
    assert problems[0].startswith("1.jpg: jpeg of ")
    assert problems[0].endswith("cut short: a part of the picture is missing")
