"""What is particular to each kind of source."""

from __future__ import annotations

import os

import cv2
import numpy as np
import pytest

from mastra_ros.camera import Stamper, open_source, parse_uri
from mastra_ros.camera import container as container_module
from mastra_ros.camera.live import LiveSource, Picture
from mastra_ros.errors import (
    ConfigError,
    DependencyError,
    FrameError,
    SourceEnded,
    SourceError,
    SourceStalled,
)


def read_all(source, most: int = 1000, wait_s: float = 10.0):
    """The frames until the source ends, at most so many."""
    frames = []
    try:
        while len(frames) < most:
            frames.append(source.read(wait_s))
    except SourceEnded:
        pass
    return frames


def read_on(source) -> None:
    """Read until an error comes, be it the end."""
    while True:
        source.read(20.0)


def read_with_problems(source) -> tuple[int, list[str]]:
    """Until the source ends: how many frames it gave, and what was wrong with the others."""
    good, problems = 0, []
    while True:
        try:
            source.read(1.0)
            good += 1
        except FrameError as error:  # noqa: PERF203 - each frame may be rubbish
            problems.append(str(error))
        except SourceError:
            return good, problems


@pytest.mark.parametrize(
    ("text", "kind", "target"),
    [
        ("synthetic:pcb", "synthetic", "pcb"),
        ("synthetic:pcb?seed=3&noise=0", "synthetic", "pcb"),
        ("folder:some where/a?b", "folder", "some where/a?b"),
        ("file:/a/b.mp4", "file", "/a/b.mp4"),
        ("file:///a/b.mp4", "file", "/a/b.mp4"),
        ("v4l2:/dev/video0?fourcc=MJPG", "v4l2", "/dev/video0"),
        ("rtsp://camera/1", "network", "rtsp://camera/1"),
        ("HTTP://camera/1?a=b", "network", "http://camera/1?a=b"),
    ],
)
def test_the_accepted_names_are_taken_apart(text: str, kind: str, target: str) -> None:
    uri = parse_uri(text)
    assert (uri.kind, uri.target) == (kind, target)


@pytest.mark.parametrize(
    "text",
    ["", "camera", "folder:", "synthetic:", "synthetic:cat", "rtsp:camera", "ftp://a/b", "http://"],
)
def test_other_names_are_refused_with_the_accepted_forms(text: str) -> None:
    with pytest.raises(ConfigError, match=r"expected synthetic:pcb\?seed=N.*rtsp://"):
        parse_uri(text)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("sed=1", "unknown option sed .*known are seed"),
        ("seed=1&colour=red&x=1", "unknown option colour, x"),
        ("seed", "option=value"),
        ("seed=one", "seed: expected a whole number, got 'one'"),
        ("noise=loud", "noise: expected a number"),
        ("noise=nan", "noise: expected 0 to 60"),
        ("width=8", "width: expected 64 to"),
        ("motion=fast", "motion: expected index or continuous"),
        ("encoding=rgb8", "encoding: expected mono8 or bgr8"),
        ("defect_rate=2", "defect_rate: expected 0 to 1"),
        ("boards_per_minute=0", "boards_per_minute"),
        ("gap_px=-1", "gap_px"),
        ("seed=-1", "seed: expected 0 or more"),
    ],
)
def test_wrong_options_of_the_line_are_named(camera_config, options: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        open_source(camera_config(f"synthetic:pcb?{options}"))


def test_a_password_is_not_shown() -> None:
    assert str(parse_uri("rtsp://user:secret@camera/1")) == "rtsp://***@camera/1"


def test_the_line_takes_size_and_rate_from_the_configuration_unless_named(camera_config) -> None:
    config = camera_config("synthetic:pcb?width=128", width_px=200, height_px=96, rate_hz=7.5)
    source = open_source(config)
    frame = source.read(1.0)
    source.close()
    assert (frame.width_px, frame.height_px, source.rate_hz) == (128, 96, 7.5)


def test_a_folder_is_read_in_the_order_of_numbers(camera_config, image_folder) -> None:
    frames = read_all(open_source(camera_config(f"folder:{image_folder}")))
    assert [int(frame.image.flat[0]) for frame in frames] == [20, 100, 10]
    assert [frame.encoding for frame in frames] == ["mono8", "mono8", "bgr8"]


def test_an_unreadable_image_is_reported_and_the_rest_go_on(camera_config, image_folder) -> None:
    whole = cv2.imencode(".jpg", np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8))[1]
    (image_folder / "board3.jpg").write_bytes(whole.tobytes()[: len(whole) // 2])
    (image_folder / "board4.png").write_bytes(b"rubbish")
    (image_folder / "board5.bmp").write_bytes(b"")
    (image_folder / "board6.png").write_bytes((image_folder / "last.png").read_bytes()[:60])
    source = open_source(camera_config(f"folder:{image_folder}"))
    good, problems = read_with_problems(source)
    assert good == 3
    assert problems == [
        f"board3.jpg: jpeg of {len(whole) // 2} bytes is cut short",
        "board4.png: not a picture that OpenCV can read, or damaged (7 bytes)",
        "board5.bmp: not a picture that OpenCV can read, or damaged (0 bytes)",
        "board6.png: not a picture that OpenCV can read, or damaged (60 bytes)",
    ]


def test_a_missing_or_empty_folder_is_one_clear_error(camera_config, tmp_path) -> None:
    with pytest.raises(SourceError, match="no such folder"):
        open_source(camera_config(f"folder:{tmp_path}/nowhere"))
    with pytest.raises(SourceError, match=r"expected images .*found none"):
        open_source(camera_config(f"folder:{tmp_path}"))


def test_a_folder_without_one_good_image_does_not_loop_for_ever(camera_config, tmp_path) -> None:
    (tmp_path / "a.png").write_bytes(b"rubbish")
    source = open_source(camera_config(f"folder:{tmp_path}", loop=True))
    with pytest.raises(FrameError):
        source.read(1.0)
    with pytest.raises(SourceError, match="none of the folder's 1 images"):
        source.read(1.0)


def test_recorded_stamps_of_a_folder_are_its_files_times(camera_config, image_folder) -> None:
    for second, path in enumerate(sorted(image_folder.glob("*.png")), start=1):
        os.utime(path, ns=(0, second * 10**9))
    config = camera_config(f"folder:{image_folder}", stamps="recorded", loop=True)
    stamps = [frame.key.stamp_ns for frame in read_all(open_source(config), most=6)]
    # By name board10 is the first, but board2 is read first; and the clock never goes back.
    assert stamps[:3] == [2 * 10**9, 2 * 10**9 + 1, 3 * 10**9]
    assert stamps == sorted(set(stamps))


def test_recorded_stamps_of_a_video_are_its_presentation_times(camera_config, video_file) -> None:
    source = open_source(camera_config(f"file:{video_file}", stamps="recorded"))
    frames = read_all(source)
    assert source.rate_hz == 25
    assert [round(frame.image.mean() / 20) for frame in frames] == list(range(12))
    stamps = [frame.key.stamp_ns for frame in frames]
    assert stamps == [max(1, n * 40_000_000) for n in range(12)]


def test_a_video_in_a_loop_goes_on_one_step_after_its_last_stamp(camera_config, video_file) -> None:
    config = camera_config(f"file:{video_file}", stamps="recorded", loop=True)
    stamps = [frame.key.stamp_ns for frame in read_all(open_source(config), most=36)]
    assert np.diff(stamps).tolist()[1:] == [40_000_000] * 34


def test_own_stamps_come_from_the_clock_given_and_never_stand_still(camera_config) -> None:
    clock = iter([5, 5, 3, 9])
    stamper = Stamper("own", lambda: next(clock))
    source = open_source(camera_config("synthetic:pcb?width=64&height=64"), stamper=stamper)
    assert [source.read(1.0).key.stamp_ns for _ in range(4)] == [5, 6, 7, 9]
    source.close()


@pytest.mark.parametrize(
    ("content", "says"),
    [(None, "no such file"), (b"", "cannot be opened"), (b"not a video" * 100, "cannot be opened")],
)
def test_what_is_no_video_is_one_clear_error(camera_config, tmp_path, content, says) -> None:
    path = tmp_path / "clip.mp4"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SourceError, match=says):
        open_source(camera_config(f"file:{path}"))


def test_a_damaged_video_gives_errors_and_whatever_can_be_read(
    camera_config, video_file, tmp_path
) -> None:
    data = bytearray(video_file.read_bytes())
    begin = data.index(b"mdat") + 4
    rng = np.random.default_rng(1)
    for at in range(begin + 200, begin + 600):
        data[at] = int(rng.integers(0, 256))
    path = tmp_path / "damaged.mp4"
    path.write_bytes(data)
    source = open_source(camera_config(f"file:{path}"))
    good, problems = read_with_problems(source)
    assert good + len(problems) <= 13


def test_a_video_without_pyav_says_how_to_install_it(
    camera_config, video_file, monkeypatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    with pytest.raises(DependencyError, match="pip install av"):
        open_source(camera_config(f"file:{video_file}"))
    assert container_module


def test_nobody_listening_is_one_clear_error(camera_config) -> None:
    with pytest.raises(SourceError, match="Connection refused"):
        open_source(camera_config("http://127.0.0.1:9/stream", stall_timeout_s=2.0))


def test_a_silent_camera_stalls(camera_config, mjpeg_camera) -> None:
    source = open_source(camera_config(mjpeg_camera.url))
    source.read(20.0)
    mjpeg_camera.silent.set()
    with pytest.raises(SourceStalled, match=r"no frame for 0.1 s"):
        read_all(source, wait_s=0.1)
    source.close()


def test_a_camera_that_hangs_up_is_an_error(camera_config, mjpeg_camera) -> None:
    source = open_source(camera_config(mjpeg_camera.url))
    source.read(20.0)
    mjpeg_camera.hang_up.set()
    with pytest.raises(SourceError):
        read_on(source)
    source.close()


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("/dev/nowhere", "No such file"),
        ("/tmp", "expected a video device"),
        ("/dev/null", "camera"),
    ],
)
def test_what_is_no_camera_is_one_clear_error(camera_config, target: str, says: str) -> None:
    with pytest.raises(SourceError, match=says):
        open_source(camera_config(f"v4l2:{target}"))


class Script:
    """A capture that grabs what the test puts, one after the other."""

    name = "script"
    rate_hz = None

    def __init__(self, steps) -> None:
        self._steps = iter(steps)
        self.released = False

    def grab(self) -> Picture:
        step = next(self._steps)
        if isinstance(step, Exception):
            raise step
        return step

    def release(self) -> None:
        self.released = True


def picture(value: int) -> Picture:
    return Picture(np.full((4, 4), value, np.uint8), "mono8", None)


def test_of_a_live_source_the_newest_frame_wins_and_a_bad_one_hides_none(
    camera_config, until
) -> None:
    end = SourceEnded("over")
    capture = Script([picture(1), picture(2), FrameError("rubbish"), picture(3), end])
    source = LiveSource(capture, camera_config(), "main", Stamper())
    until(lambda: capture.released)
    assert source.read(1.0).image[0, 0] == 3
    assert source.overtaken == 2
    with pytest.raises(SourceEnded, match="over"):
        source.read(1.0)


def test_a_live_source_reports_a_bad_frame_where_no_good_one_waits(camera_config, until) -> None:
    odd = Picture(np.zeros((4, 4, 2), np.uint8), "bgr8", None)
    for step in (FrameError("does not fit"), odd):
        capture = Script([step, SourceEnded("over")])
        source = LiveSource(capture, camera_config(), "main", Stamper())
        until(lambda capture=capture: capture.released)
        with pytest.raises(FrameError, match="does not fit"):
            source.read(1.0)


def test_a_real_video_gives_every_frame(camera_config, data_folder) -> None:
    path = data_folder / "videos" / "car-detection.mp4"
    source = open_source(camera_config(f"file:{path}", stamps="recorded"))
    frames, stamps = 0, []
    try:
        while True:
            frame = source.read(1.0)
            frames += 1
            stamps.append(frame.key.stamp_ns)
            assert (frame.width_px, frame.height_px, frame.encoding) == (768, 432, "bgr8")
    except SourceEnded:
        pass
    assert frames == 377
    assert source.rate_hz == pytest.approx(12.5, rel=0.01)
    assert np.median(np.diff(stamps)) == pytest.approx(80e6, rel=0.01)
