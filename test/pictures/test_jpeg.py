"""A JPEG of which a part is missing is refused, whatever stands at its end."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from mastra_ros.errors import FrameError
from mastra_ros.pictures import decode_still_file, jpeg
from mastra_ros.pictures.jpeg import END, read_layout

KINDS: dict[str, list[int]] = {
    "baseline": [],
    "optimised": [cv2.IMWRITE_JPEG_OPTIMIZE, 1],
    "progressive": [cv2.IMWRITE_JPEG_PROGRESSIVE, 1],
    "restarts": [cv2.IMWRITE_JPEG_RST_INTERVAL, 3],
    "4:4:4": [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444],
}
SCENES = ("busy", "smooth", "flat")


def scene(name: str, gray: bool, height: int = 150, width: int = 203) -> np.ndarray:
    rng = np.random.default_rng(5)
    noise = rng.integers(0, 256, (height, width) if gray else (height, width, 3), np.uint8)
    if name == "flat":
        return np.full_like(noise, 90)
    return noise if name == "busy" else cv2.GaussianBlur(noise, (0, 0), 6)


def coded(name: str, kind: str, gray: bool = False) -> bytes:
    return cv2.imencode(".jpg", scene(name, gray), KINDS[kind])[1].tobytes()


def plain(data: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_ANYCOLOR)


def cut(data: bytes, share: float) -> bytes:
    """The picture without the last part of its data, but with its end mark."""
    start = data.index(b"\xff\xda") + 14
    kept = data[: start + int((len(data) - 2 - start) * share)]
    return (kept[:-1] if kept.endswith(b"\xff") else kept) + END


@pytest.fixture(params=[True, False], ids=["this OpenCV", "an older OpenCV"])
def way(request, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways of finding out: by rows that fail, and by comparing."""
    if not request.param:
        monkeypatch.setattr(jpeg, "_missing_rows_fail", lambda: False)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("gray", [False, True])
@pytest.mark.parametrize("name", SCENES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_whole_picture_is_what_opencv_makes_of_it(kind: str, name: str, gray: bool) -> None:
    data = coded(name, kind, gray)
    assert np.array_equal(decode_still_file(data), plain(data))
    assert np.array_equal(decode_still_file(data + b"\0" * 9), plain(data))  # padded by a driver
    filled = data[:-2] + b"\xff\xff" + END
    assert np.array_equal(decode_still_file(filled), plain(data))
    behind = data + coded("busy", "baseline")  # as phones keep a second picture
    assert np.array_equal(decode_still_file(behind), plain(data))


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.9])
@pytest.mark.parametrize("name", ["busy", "smooth"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_cut_short_is_refused_though_it_has_an_end_mark(
    kind: str, name: str, share: float
) -> None:
    with pytest.raises(FrameError, match="cut short"):
        decode_still_file(cut(coded(name, kind), share))


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_flat_picture_cut_short_is_refused_too(share: float) -> None:
    with pytest.raises(FrameError, match="cut short"):
        decode_still_file(cut(coded("flat", "baseline"), share))


@pytest.mark.parametrize("kind", KINDS)
def test_without_end_mark_or_with_the_next_picture_behind_it_is_refused(kind: str) -> None:
    data = coded("busy", kind)
    for part in (data[: len(data) // 2], data[: len(data) // 2] + data, data[:-2]):
        with pytest.raises(FrameError, match="cut short"):
            decode_still_file(part)


def test_a_progressive_picture_that_lacks_its_last_scan_is_refused() -> None:
    data = coded("busy", "progressive")
    last = data.rindex(b"\xff\xda")
    assert plain(data[:last] + END) is not None
    with pytest.raises(FrameError, match="it ends before its last scan"):
        decode_still_file(data[:last] + END)


def test_the_layout_is_read_without_decoding() -> None:
    assert read_layout(coded("busy", "baseline")).one_scan
    layout = read_layout(coded("busy", "progressive"))
    assert (layout.width_px, layout.height_px, layout.one_scan) == (203, 150, False)


@pytest.mark.parametrize("at", range(2, 640, 7))
def test_a_picture_cut_anywhere_is_a_frame_error(at: int) -> None:
    for kind in ("baseline", "progressive"):
        for end in (b"", END, b"\xff"):
            with pytest.raises(FrameError):
                decode_still_file(coded("busy", kind)[:at] + end)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("gray", [True, False])
def test_a_head_that_was_seen_before_changes_nothing_of_what_is_read(
    kind: str, gray: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = coded("busy", kind, gray)
    variants = [whole, whole + b"more", whole[:-2], whole[:-1], cut(whole, 0.5), whole[:400]]

    def read(data: bytes) -> object:
        try:
            return read_layout(data)
        except FrameError as error:
            return str(error)

    fresh = []
    for data in variants:
        monkeypatch.setattr(jpeg, "_heads", ())
        fresh.append(read(data))
    monkeypatch.setattr(jpeg, "_heads", ())
    read_layout(whole)
    assert bool(jpeg._heads) == (kind != "progressive")
    assert [read(data) for data in variants] == fresh


def test_heads_are_kept_within_bounds() -> None:
    for side in range(8, 8 + 3 * jpeg.HEADS_MAX):
        read_layout(cv2.imencode(".jpg", np.zeros((side, side), np.uint8))[1].tobytes())
    assert len(jpeg._heads) == jpeg.HEADS_MAX
