"""Pictures for who looks: when one is due, and what it is made of."""

from __future__ import annotations

import numpy as np
import pytest

from mastra_ros.compression import Decoder
from mastra_ros.compression.view import (
    LEASE_MAX_S,
    LIVE_S,
    SIDE_PX_MAX,
    VIEW_BYTES_MAX,
    ViewPace,
    encode_view,
)
from mastra_ros.privacy import ClearedFrame, hiding_nothing
from mastra_ros.types import Frame, FrameKey, PacketKind

GATE = hiding_nothing("drawn pictures")


def made_at(pace: ViewPace, until_s: float, step_s: float = 1 / 30) -> list[float]:
    """When pictures are made of a camera of 30 frames/s."""
    made = []
    for number in range(round(until_s / step_s)):
        now_s = number * step_s
        if pace.due(now_s):
            pace.made(now_s)
            made.append(now_s)
    return made


def test_nothing_is_due_until_somebody_looks_and_two_a_second_while_they_do() -> None:
    pace = ViewPace()
    assert made_at(pace, 5.0) == []
    pace.wish(4.0, 0.0)
    times_s = made_at(pace, 9.0)
    assert 7 <= len(times_s) <= 8
    assert times_s[-1] < 4.0
    assert min(np.diff(times_s)) >= 0.5


def test_who_looks_no_more_is_shown_nothing_more() -> None:
    pace = ViewPace()
    pace.wish(4.0, 0.0)
    assert pace.due(1.0)
    pace.wish(0.0, 1.0)
    assert not pace.due(1.0)


@pytest.mark.parametrize("lease_s", [1e9, float("nan"), float("inf"), -5.0])
def test_whatever_a_wish_says_it_ends(lease_s: float) -> None:
    pace = ViewPace()
    pace.wish(lease_s, 0.0)
    assert not pace.due(LEASE_MAX_S)


def test_live_frames_go_first_and_are_seen_by_the_gateway_anyway() -> None:
    pace = ViewPace()
    pace.wish(10.0, 0.0)
    pace.sent_live(1.0)
    assert not pace.due(1.0 + LIVE_S / 2)
    assert pace.due(1.0 + LIVE_S)


def test_what_was_found_is_waited_for_a_little() -> None:
    pace = ViewPace()
    pace.wish(10.0, 0.0)
    assert pace.due(0.0)
    assert not pace.due(0.2, plain=True), "nor at first"
    pace.made(1.0)
    assert pace.due(1.5)
    assert not pace.due(1.5, plain=True)
    assert pace.due(1.8, plain=True)


def picture(shape: tuple[int, ...], encoding: str = "bgr8") -> ClearedFrame:
    kind = np.uint16 if encoding.endswith("16") else np.uint8
    image = np.full(shape, 100, kind)
    return GATE.clear(Frame(FrameKey("main", 5, "a-1"), image, encoding))


@pytest.mark.parametrize(
    ("shape", "encoding"),
    [
        ((1080, 1920, 3), "bgr8"),
        ((48, 64), "mono8"),
        ((48, 64), "mono16"),
        ((2000, 3, 3), "rgb8"),
        ((4, 4, 3), "rgb16"),
    ],
)
def test_a_picture_is_small_whatever_the_frame_is(shape: tuple[int, ...], encoding: str) -> None:
    cleared = picture(shape, encoding)
    drawn: list[float] = []

    def draw(canvas: np.ndarray, scale: float) -> None:
        drawn.append(scale)
        canvas[0, 0] = (0, 0, 255)

    packet = encode_view(cleared, draw)
    assert max(packet.width_px, packet.height_px) == min(SIDE_PX_MAX, max(shape[:2]))
    assert (packet.kind, packet.late, packet.key) == (PacketKind.KEY, True, cleared.key)
    assert packet.clearance == cleared.clearance
    assert drawn == [pytest.approx(min(1.0, SIDE_PX_MAX / max(shape[:2])))]
    assert Decoder().decode(packet).encoding == "bgr8"
    assert int(cleared.image.min()) == int(cleared.image.max()), "the frame itself is not drawn on"


def test_a_picture_of_noise_has_the_bytes_of_any_other() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (640, 640, 3), np.uint8)
    packet = encode_view(GATE.clear(Frame(FrameKey("main", 5), noise, "bgr8")))
    assert len(packet.payload) <= VIEW_BYTES_MAX + 100


def test_only_what_the_gate_has_let_out_becomes_a_picture() -> None:
    frame = Frame(FrameKey("main", 5), np.zeros((4, 4, 3), np.uint8), "bgr8")
    with pytest.raises(AttributeError):
        encode_view(frame)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="only the gate"):
        ClearedFrame(frame, "off", 0)
