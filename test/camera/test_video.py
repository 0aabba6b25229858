"""Videos as people have them: held upright, of variable rate, cut short, of more than 8 bits."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("av", reason="PyAV is not installed")

import av

from mastra_ros.camera import CaptureLoop, open_source
from mastra_ros.errors import FrameError, SourceError
from mastra_ros.types import Frame

HEIGHT, WIDTH, RATE_HZ = 64, 96, 20
MS = Fraction(1, 1000)
ONE = 1 << 16


def with_matrix(path: Path, a: int, b: int, c: int, d: int) -> Path:
    """The MP4 file with another matrix of its track (ISO/IEC 14496-12, 8.3.2)."""
    data = bytearray(path.read_bytes())
    box = data.index(b"tkhd")
    at = box + 4 + 4 + (32 if data[box + 4] else 20) + 16
    matrix = (a * ONE, b * ONE, 0, c * ONE, d * ONE, 0, 0, 0, 1 << 30)
    data[at : at + 36] = struct.pack(">9i", *matrix)
    path.write_bytes(data)
    return path


def bright_and_dark(frame: Frame) -> tuple[str, str]:
    """In which corners the white and the black patch are."""
    gray = frame.image[:, :, 0].astype(int)
    means = {
        "top left": gray[8:24, 8:24].mean(),
        "top right": gray[8:24, -24:-8].mean(),
        "bottom left": gray[-24:-8, 8:24].mean(),
        "bottom right": gray[-24:-8, -24:-8].mean(),
    }
    return max(means, key=means.__getitem__), min(means, key=means.__getitem__)


@pytest.mark.parametrize(
    ("matrix", "size", "expected"),
    [
        ((1, 0, 0, 1), (WIDTH, HEIGHT), ("top left", "top right")),
        ((0, 1, -1, 0), (HEIGHT, WIDTH), ("top right", "bottom right")),
        ((-1, 0, 0, -1), (WIDTH, HEIGHT), ("bottom right", "bottom left")),
        ((0, -1, 1, 0), (HEIGHT, WIDTH), ("bottom left", "top left")),
        ((-1, 0, 0, 1), (WIDTH, HEIGHT), ("top right", "top left")),
        ((1, 0, 0, -1), (WIDTH, HEIGHT), ("bottom left", "bottom right")),
        ((0, 1, 1, 0), (HEIGHT, WIDTH), ("top left", "bottom left")),
    ],
)
def test_a_phones_video_stands_upright(
    camera_config, write_video, tmp_path, matrix, size, expected
) -> None:
    path = with_matrix(write_video(tmp_path / "phone.mp4", 4), *matrix)
    source = open_source(camera_config(f"file:{path}"))
    for _ in range(4):
        frame = source.read(1.0)
        assert (frame.width_px, frame.height_px) == size
        assert bright_and_dark(frame) == expected
    source.close()


@pytest.mark.parametrize("name", ["cam:1.mp4", "12:30:05.mkv", "http:x.mp4", "a b%20#c?d.mp4"])
def test_a_file_may_have_any_name(
    camera_config, write_video, tmp_path, monkeypatch, name: str
) -> None:
    path = write_video(tmp_path / "plain.mkv", 3).rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    for given in (str(path), name):
        source = open_source(camera_config(f"file:{given}"))
        assert source.read(1.0).width_px == WIDTH
        source.close()


def drain(source) -> tuple[int, list[str], SourceError]:
    """Good frames, what was wrong with others, and how it ended."""
    good, problems = 0, []
    while True:
        try:
            source.read(1.0)
            good += 1
        except FrameError as error:  # noqa: PERF203 - each frame may be damaged
            problems.append(str(error))
        except SourceError as error:
            return good, problems, error


class Clock:
    """Time that passes only while the loop waits."""

    def __init__(self) -> None:
        self.now_ns = 10**12

    def __call__(self) -> int:
        return self.now_ns

    def wait(self, seconds: float) -> bool:
        self.now_ns += round(seconds * 1e9)
        return False


def played(config) -> tuple[list[float], list[str]]:
    """When each frame came, in ms after the first, and the kinds of events."""
    clock, times, kinds = Clock(), [], []
    loop = CaptureLoop(
        config,
        lambda _: times.append(clock.now_ns / 1e6),
        lambda event: kinds.append(event.kind),
        stamp_ns=clock,
        clock_ns=clock,
        wait_s=clock.wait,
    )
    loop.run()
    return [time - times[0] for time in times], kinds


UNEVEN_MS = (0, 33, 66, 500, 533, 1000, 1900, 1933, 2500, 3000)


@pytest.mark.parametrize("name", ["uneven.mkv", "uneven.mp4"])
def test_a_variable_rate_plays_at_the_times_of_its_frames(
    camera_config, write_video, tmp_path, name: str
) -> None:
    path = write_video(tmp_path / name, len(UNEVEN_MS), times_ms=UNEVEN_MS, rate_hz=1000)
    times, kinds = played(camera_config(f"file:{path}", rate_hz=0.0))
    assert times == pytest.approx(UNEVEN_MS, abs=1.01)
    assert kinds == ["opened", "ended"]


def test_a_header_that_claims_1000_frames_a_second_is_not_believed(
    camera_config, write_video, tmp_path
) -> None:
    steady = [40 * n for n in range(20)]
    path = write_video(tmp_path / "browser.mkv", 20, times_ms=steady, rate_hz=1000)
    with av.open(str(path)) as container:
        assert float(container.streams.video[0].average_rate) > 240  # it does claim it
    source = open_source(camera_config(f"file:{path}"))
    assert source.rate_hz is None
    source.close()
    times, _ = played(camera_config(f"file:{path}", rate_hz=0.0))
    assert times == pytest.approx(steady, abs=1.01)


def test_a_rate_asked_for_counts_more_than_the_times(camera_config, write_video, tmp_path) -> None:
    path = write_video(tmp_path / "uneven.mkv", len(UNEVEN_MS), times_ms=UNEVEN_MS, rate_hz=1000)
    times, _ = played(camera_config(f"file:{path}", rate_hz=10.0))
    assert times == pytest.approx([100 * n for n in range(10)], abs=1.01)


def test_in_a_loop_the_times_go_on(camera_config, write_video, tmp_path) -> None:
    path = write_video(tmp_path / "steady.mkv", 5)
    config = camera_config(f"file:{path}", rate_hz=0.0, loop=True, frame_limit=15)
    times, _ = played(config)
    assert times == pytest.approx([50 * n for n in range(15)], abs=1.01)


def test_frames_come_at_their_times_before_they_are_stamped(
    camera_config, write_video, tmp_path
) -> None:
    path = write_video(tmp_path / "uneven.mkv", len(UNEVEN_MS), times_ms=UNEVEN_MS, rate_hz=1000)
    clock, stamps = Clock(), []
    CaptureLoop(
        camera_config(f"file:{path}", rate_hz=0.0),
        lambda frame: stamps.append(frame.key.stamp_ns / 1e6),
        stamp_ns=clock,
        clock_ns=clock,
        wait_s=clock.wait,
    ).run()
    assert [stamp - stamps[0] for stamp in stamps] == pytest.approx(UNEVEN_MS, abs=1.01)


def deep_video(path: Path, values: np.ndarray, pixels: str) -> Path:
    """One frame without loss, its values as given."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=10)
        stream.height, stream.width = values.shape[:2]
        stream.pix_fmt = pixels
        frame = av.VideoFrame(stream.width, stream.height, pixels)
        line = frame.planes[0].line_size // 2
        padded = np.zeros((values.shape[0], line), np.uint16)
        flat = values.reshape(values.shape[0], -1)
        padded[:, : flat.shape[1]] = flat
        frame.planes[0].update(padded.tobytes())
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize(
    ("pixels", "white", "bit_depth"),
    [
        ("gray10le", 1023, 16),
        ("gray12le", 4095, 12),
        ("gray16le", 65535, 16),
        ("gray16le", 4095, 12),
    ],
)
def test_gray_of_more_than_8_bits_keeps_them_on_the_full_scale(
    camera_config, tmp_path, pixels: str, white: int, bit_depth: int
) -> None:
    values = np.linspace(0, white, 32 * 64).astype(np.uint16).reshape(32, 64)
    path = deep_video(tmp_path / "deep.mkv", values, pixels)
    source = open_source(camera_config(f"file:{path}", bit_depth=bit_depth))
    frame = source.read(1.0)
    source.close()
    assert frame.encoding == "mono16"
    assert np.abs(frame.image - values * (65535 / white)).max() <= 65535 / white
    assert frame.image.max() == 65535


def test_a_picture_of_motion_jpeg_that_is_cut_short_is_a_bad_frame(
    camera_config, write_video, tmp_path
) -> None:
    path = write_video(tmp_path / "motion.avi", 12, codec="mjpeg", pixels="yuvj420p")
    data = bytearray(path.read_bytes())
    starts = [at for at in range(len(data) - 1) if data[at : at + 3] == b"\xff\xd8\xff"]
    end = data.index(b"\xff\xd9", starts[5])
    scan = data.index(b"\xff\xda", starts[5]) + 14
    half = (scan + end) // 2
    data[half : end + 2] = b"\xff\xd9" + bytes(end - half)  # ended, and padded
    path.write_bytes(data)
    good, problems, _ = drain(open_source(camera_config(f"file:{path}")))
    assert good == 11
    assert len(problems) == 1
    assert "cannot be decoded" in problems[0]
