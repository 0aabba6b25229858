"""A file that was cut short says what its header promised, and a whole one is never blamed."""

from __future__ import annotations

import pytest

pytest.importorskip("av", reason="PyAV is not installed")

from mastra_ros.camera import open_source
from mastra_ros.camera.extent import Extent
from mastra_ros.errors import FrameError, SourceEnded, SourceError


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


KINDS = {
    "fast.mp4": {"movflags": "faststart"},
    "fragments.mp4": {"movflags": "frag_keyframe+empty_moov"},
    "clip.mkv": {},
    "clip.avi": {"codec": "mpeg4"},
    "motion.avi": {"codec": "mjpeg", "pixels": "yuvj420p"},
    "clip.webm": {"codec": "libvpx"},
}


@pytest.mark.parametrize("name", KINDS)
def test_a_whole_file_ends_as_it_should(camera_config, write_video, tmp_path, name: str) -> None:
    path = write_video(tmp_path / name, **KINDS[name])
    good, problems, end = drain(open_source(camera_config(f"file:{path}")))
    assert (good, problems) == (40, [])
    assert isinstance(end, SourceEnded)


@pytest.mark.parametrize("share", [0.4, 0.6, 0.8])
@pytest.mark.parametrize("name", KINDS)
def test_a_file_cut_short_says_what_it_promised_and_what_came(
    camera_config, write_video, tmp_path, name: str, share: float
) -> None:
    data = write_video(tmp_path / name, noise=True, **KINDS[name]).read_bytes()
    (tmp_path / name).write_bytes(data[: int(share * len(data))])
    source = open_source(camera_config(f"file:{tmp_path / name}"))
    good, _, end = drain(source)
    assert 0 < good < 40
    assert not isinstance(end, SourceEnded)
    expected = r"the video is cut short: expected (40 frames|2.0\d s).*, got "
    with pytest.raises(SourceError, match=expected):
        raise end
    _, _, after = drain(source)
    assert isinstance(after, SourceEnded)


def test_a_file_of_which_no_frame_came_is_cut_short_too(
    camera_config, write_video, tmp_path
) -> None:
    data = write_video(tmp_path / "clip.mkv", noise=True).read_bytes()
    (tmp_path / "clip.mkv").write_bytes(data[: data.index(b"\x1f\x43\xb6\x75") + 30])
    for loop in (False, True):
        source = open_source(camera_config(f"file:{tmp_path}/clip.mkv", loop=loop))
        good, _, end = drain(source)
        assert good == 0
        with pytest.raises(SourceError, match=r"expected 2.00 s, got 0.00 s \(0 frames\)"):
            raise end


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mov"])
def test_a_file_whose_index_at_the_end_is_missing_is_said_to_be_cut_short(
    camera_config, write_video, tmp_path, name: str
) -> None:
    path = write_video(tmp_path / name, noise=True)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    says = r"cannot be opened: .*; it is cut short: its index.* did not come, \d+ bytes and more"
    with pytest.raises(SourceError, match=says):
        open_source(camera_config(f"file:{path}"))
    path.write_bytes(data[:40] + bytes(200))
    with pytest.raises(SourceError, match="cannot be opened"):
        open_source(camera_config(f"file:{path}"))


def test_a_file_cut_short_in_a_loop_is_told_once(camera_config, write_video, tmp_path) -> None:
    data = write_video(tmp_path / "clip.mkv", noise=True).read_bytes()
    (tmp_path / "clip.mkv").write_bytes(data[: len(data) // 2])
    source = open_source(camera_config(f"file:{tmp_path}/clip.mkv", loop=True))
    good, problems = 0, []
    while good < 100:
        try:
            source.read(1.0)
            good += 1
        except FrameError as error:  # noqa: PERF203 - each frame may be damaged
            problems.append(str(error))
    assert len(problems) == 1
    assert "cut short" in problems[0]
    source.close()


SOUNDS = {
    "clip.mp4": ("libx264", "aac"),
    "clip.mkv": ("libx264", "aac"),
    "clip.flv": ("flv1", "mp3"),
}


@pytest.mark.parametrize("seconds", [0.4, 5.0])
@pytest.mark.parametrize("first", [0, 25])
@pytest.mark.parametrize("name", SOUNDS)
def test_neither_longer_sound_nor_a_late_beginning_is_a_cut(
    camera_config, write_with_sound, tmp_path, name: str, seconds: float, first: int
) -> None:
    path = write_with_sound(tmp_path / name, *SOUNDS[name], seconds, first)
    good, problems, end = drain(open_source(camera_config(f"file:{path}")))
    assert (good, problems) == (40, [])
    assert isinstance(end, SourceEnded)


@pytest.mark.parametrize("name", ["clip.mkv", "clip.flv"])
def test_a_file_with_sound_that_is_cut_short_is_found(
    camera_config, write_with_sound, tmp_path, name: str
) -> None:
    path = write_with_sound(tmp_path / name, *SOUNDS[name], 2.0)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    _, _, end = drain(open_source(camera_config(f"file:{path}")))
    with pytest.raises(SourceError, match=r"cut short: expected 2.\d\d s, got "):
        raise end


def test_a_duration_of_all_streams_counts_the_others_too() -> None:
    header = Extent(duration_s=20, shared=True, came=300, first_s=0.0, end_s=10.0)
    assert header.missing() == "expected 20.00 s, got 10.00 s (300 frames)"
    header.others_end_s = 19.9
    assert header.missing() == ""


def test_without_any_promise_nothing_is_missing() -> None:
    assert Extent(came=5, first_s=0.0, end_s=0.2).missing() == ""
