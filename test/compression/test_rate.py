"""Quality comes down so that frames are in time, goes up again, and does not oscillate."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mastra_ros.compression import StreamEncoder
from mastra_ros.compression.codecs import open_encoder
from mastra_ros.compression.rate import STEP_SHARE, RateControl, Room
from mastra_ros.config.compression import VIDEO_QUALITY

RATE_HZ = 15.0
DEADLINE_MS = 150.0
WANTED = 50


def drive(
    control: RateControl,
    capacity_bps: list[float],
    *,
    frame_bytes: float = 12_000.0,
    rtt_ms: float = 40.0,
    share: float = STEP_SHARE,
) -> list[tuple[int, bool]]:
    """Steps and whether it was in time, of each frame on a link of so much a frame.

    A step leaves `share` of the bytes; the goodput is what the bridge measures.
    """
    told, goodput_bps = [], math.nan
    for number, capacity in enumerate(capacity_bps):
        control.decide(Room.of(goodput_bps, DEADLINE_MS), WANTED, number / RATE_HZ)
        size = frame_bytes * share**control.steps
        control.sent(round(size))
        took_ms = rtt_ms + size * 8e3 / capacity
        bps = size * 8e3 / took_ms
        goodput_bps = bps if math.isnan(goodput_bps) else goodput_bps + 0.3 * (bps - goodput_bps)
        told.append((control.steps, took_ms <= DEADLINE_MS))
    return told


def changes(told: list[tuple[int, bool]]) -> int:
    steps = [step for step, _ in told]
    return sum(a != b for a, b in itertools.pairwise(steps))


def test_a_link_that_carries_what_is_wanted_changes_nothing() -> None:
    assert drive(RateControl(), [5e6] * 300)[-1] == (0, True)
    assert changes(drive(RateControl(), [5e6] * 300)) == 0


def test_frames_are_in_time_two_seconds_after_the_link_has_grown_narrow() -> None:
    told = drive(RateControl(), [5e6] * 60 + [0.4e6] * 300)
    assert all(in_time for _, in_time in told[60 + 30 :][:30])
    late = sum(not in_time for _, in_time in told)
    assert late <= 30 + 0.05 * len(told)


def test_the_wanted_quality_is_back_when_the_link_is() -> None:
    told = drive(RateControl(), [5e6] * 30 + [0.4e6] * 100 + [5e6] * 1200)
    assert told[-1] == (0, True)


@pytest.mark.parametrize("capacity_bps", [4.5e5, 6e5, 7.5e5, 9e5, 1.2e6])
@pytest.mark.parametrize("share", [0.6, STEP_SHARE, 0.85])
def test_a_steady_link_between_two_steps_makes_it_settle(capacity_bps: float, share: float) -> None:
    """Whatever a step really saves on this scene."""
    told = drive(RateControl(), [capacity_bps] * 6000, share=share)
    settled = told[1500:]
    assert changes(settled) <= 12  # in five minutes
    assert sum(not in_time for _, in_time in settled) <= 0.02 * len(settled)


def test_a_deadline_that_no_size_keeps_ends_at_the_lowest_quality_and_stays() -> None:
    control = RateControl()
    told = drive(control, [5e6] * 600, rtt_ms=400.0)
    assert control.quality(WANTED) == 4
    assert changes(told[60:]) == 0


@given(
    st.lists(
        st.tuples(st.floats(0, 1e9), st.floats(0, 1e4), st.integers(0, 10**6), st.floats(0, 5)),
        max_size=200,
    ),
    st.integers(1, 100),
)
def test_the_quality_stays_in_its_range_whatever_the_link_says(rows, wanted: int) -> None:
    control, now_s = RateControl(), 0.0
    for goodput_bps, left_ms, size, waited_s in rows:
        now_s += waited_s
        control.decide(Room.of(goodput_bps, left_ms), wanted, now_s)
        control.sent(size)
        assert min(wanted, 4) <= control.quality(wanted) <= wanted


def test_nothing_known_of_the_link_changes_nothing() -> None:
    control = RateControl()
    control.sent(10_000)
    for room in (Room.of(math.nan, 150.0), Room.of(1.0, 0.0)):
        control.decide(room, WANTED, 1.0)
    assert control.quality(WANTED) == WANTED


def test_x264_takes_another_quality_without_a_key_frame() -> None:
    encoder = open_encoder("x264-veryfast")
    rng = np.random.default_rng(0)
    scene = rng.integers(0, 255, (30, 40, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    sizes: dict[int, list[int]] = {}
    for number in range(60):
        quality = (60, 20, 80)[number // 20]
        image = np.ascontiguousarray(np.roll(scene, (3 * number, 5 * number), (0, 1)))
        image += rng.integers(0, 12, image.shape, dtype=np.uint8)
        coded = encoder.encode(image, "bgr8", key=number == 0, quality=quality)
        assert coded.key == (number == 0)
        sizes.setdefault(quality, []).append(len(coded.data))
    means = {quality: np.mean(values[5:]) for quality, values in sizes.items()}
    assert 1.5 * means[20] < means[60] < means[80] / 1.5


def test_a_stream_on_a_narrow_link_takes_fewer_bytes_without_a_key_frame(
    config_of, frame_of
) -> None:
    encoder = StreamEncoder(config_of(codec="x264"), run=lambda _: None)
    rng = np.random.default_rng(0)
    scene = rng.integers(0, 255, (30, 40, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    sizes, keys = [], 0
    for number in range(1, 61):
        told = {"session": 1, "codecs": ("h264",), "acknowledged": (0, "")}
        told |= {"key_frame_needed": False, "key_frames_asked": 0}
        encoder.follow(**told, goodput_bps=5e7 if number <= 30 else 1e5)
        encoder.fit(150.0, number / RATE_HZ)
        image = np.ascontiguousarray(np.roll(scene, (3 * number, 5 * number), (0, 1)))
        image += rng.integers(0, 12, image.shape, dtype=np.uint8)
        packet = encoder.encode(frame_of(image, number))
        sizes.append(len(packet.payload))
        keys += packet.stands_alone
    assert keys == 1
    assert np.mean(sizes[40:]) < 0.5 * np.mean(sizes[10:30])
    assert encoder.in_force != f"x264-superfast quality {VIDEO_QUALITY}"
