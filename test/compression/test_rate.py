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
from mastra_ros.compression.rate import (
    EVERY,
    QUALITY_MIN,
    SCALE_POWER,
    SCALES,
    STEP_QUALITY,
    STEP_SHARE,
    RateControl,
    Room,
    ladder,
)
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
    power: float = SCALE_POWER,
    scaled: bool = False,
) -> list[tuple[int, bool]]:
    """Steps and whether it was in time, of each frame on a link of so much a frame.

    A step of quality leaves `share` of the bytes, a side the share of its `power`; a frame waits
    for those before it, and the goodput is what the bridge measures.
    """
    told, goodput_bps, free_s = [], math.nan, 0.0
    control.takes(scaled=scaled)
    for number, capacity in enumerate(capacity_bps):
        now_s = number / RATE_HZ
        control.decide(Room.of(goodput_bps, DEADLINE_MS), WANTED, now_s)
        if not control.due(WANTED):
            continue
        setting = control.setting(WANTED)
        coarser = (WANTED - setting.quality) / STEP_QUALITY
        size = frame_bytes * share**coarser * setting.scale**power
        control.sent(round(size))
        if free_s - now_s > DEADLINE_MS / 1e3:  # its time passes before the link takes it
            told.append((control.steps, False))
            continue
        free_s = max(free_s, now_s) + size * 8 / capacity
        took_ms = rtt_ms + (free_s - now_s) * 1e3
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


def test_frames_are_in_time_three_seconds_after_the_link_has_grown_narrow() -> None:
    told = drive(RateControl(), [5e6] * 60 + [0.4e6] * 300)
    assert all(in_time for _, in_time in told[60 + 45 :][:30])
    late = sum(not in_time for _, in_time in told)
    assert late <= 45


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
    assert control.setting(WANTED) == ladder(WANTED, scaled=False)[-1]
    assert control.quality(WANTED) == QUALITY_MIN
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
        assert min(wanted, QUALITY_MIN) <= control.quality(wanted) <= wanted


def test_quality_comes_down_first_then_the_picture_then_the_rate_of_frames() -> None:
    steps = ladder(60, scaled=True)
    places = [(-step.quality, -step.scale, step.every) for step in steps]
    assert places == sorted(places)
    assert [step.quality for step in steps[:6]] == [60, 52, 44, 36, 28, 20]
    assert [step.scale for step in steps[6:8]] == list(SCALES[1:])
    assert [step.every for step in steps[-2:]] == list(EVERY[1:])
    shares = [step.share for step in steps]
    assert shares == sorted(shares, reverse=True)
    assert all(step.scale == 1 for step in ladder(60, scaled=False))
    assert [step.quality for step in ladder(10, scaled=False)] == [10, 4, 4, 4]


@pytest.mark.parametrize("capacity_bps", [8e4, 1.2e5, 1.6e5])
def test_where_quality_alone_does_not_fit_a_smaller_picture_does(capacity_bps: float) -> None:
    control = RateControl()
    told = drive(control, [5e6] * 30 + [capacity_bps] * 900, frame_bytes=6_000.0, scaled=True)
    assert control.setting(WANTED).scale < 1
    settled = told[-300:]
    assert sum(not in_time for _, in_time in settled) <= 0.02 * len(settled)
    assert changes(settled) <= 4


def test_where_no_size_fits_fewer_frames_go_and_those_are_in_time() -> None:
    """Each frame alone would be there in time; fifteen a second are more than the link carries."""
    control = RateControl()
    told = drive(
        control,
        [1.8e5] * 3000,
        frame_bytes=4_500.0,
        power=0.8,
        share=0.95,
        rtt_ms=20.0,
        scaled=True,
    )
    assert len(told) < 0.8 * 3000
    assert changes(told[len(told) // 4 :]) <= 12
    assert sum(not in_time for _, in_time in told) <= 0.1 * len(told)


@pytest.mark.parametrize("capacity_bps", [3e4, 6e4, 9e4, 1.3e5, 2e5, 3e5])
def test_it_does_not_swing_between_sizes_and_rates_either(capacity_bps: float) -> None:
    told = drive(RateControl(), [capacity_bps] * 6000, frame_bytes=5_000.0, scaled=True)
    settled = told[len(told) // 4 :]
    assert changes(settled) <= 12


def test_all_comes_back_when_the_link_does() -> None:
    control = RateControl()
    capacity = [5e6] * 30 + [4e4] * 300 + [5e6] * 3000
    told = drive(control, capacity, frame_bytes=6_000.0, scaled=True)
    assert max(steps for steps, _ in told) >= len(ladder(WANTED, scaled=True)) - 3
    assert told[-1] == (0, True)
    assert control.setting(WANTED) == ladder(WANTED, scaled=True)[0]


def test_a_key_frame_that_would_not_fit_is_made_coarser_and_the_next_ones_bring_the_rest() -> None:
    control = RateControl()
    control.sent(20_000, key=True, quality=60)
    for _ in range(20):
        control.sent(1_000)
    control.decide(Room(5_000.0), 60, 1.0)
    assert control.steps == 0  # frames that rest on others fit
    key = control.next_quality(60, key=True)
    assert 20_000 * STEP_SHARE ** ((60 - key) / STEP_QUALITY) <= 5_000
    after = [control.next_quality(60, key=False) for _ in range(8)]
    assert after == [min(60, key + STEP_QUALITY * n) for n in range(1, 9)]
    control.decide(Room(50_000.0), 60, 2.0)
    assert control.next_quality(60, key=True) == 60


def test_nothing_known_of_the_link_changes_nothing() -> None:
    control = RateControl()
    control.sent(10_000)
    for room in (Room.of(math.nan, 150.0), Room.of(1.0, 0.0)):
        control.decide(room, WANTED, 1.0)
    assert control.quality(WANTED) == WANTED


@pytest.mark.parametrize("name", ["x264-veryfast", "vp9-8-natural"])
def test_another_quality_is_taken_without_a_key_frame(name: str) -> None:
    encoder = open_encoder(name)
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
    assert 1.4 * means[20] < means[60] < means[80] / 1.4


@pytest.mark.parametrize(("codec", "bitstream"), [("x264", "h264"), ("vp9", "vp9")])
def test_a_stream_on_a_narrow_link_takes_fewer_bytes_without_a_key_frame(
    config_of, frame_of, codec, bitstream
) -> None:
    encoder = StreamEncoder(config_of(codec=codec), run=lambda _: None)
    rng = np.random.default_rng(0)
    scene = rng.integers(0, 255, (30, 40, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    sizes, keys = [], 0
    for number in range(1, 61):
        told = {"session": 1, "codecs": (bitstream,), "acknowledged": (0, "")}
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
    assert not encoder.in_force.endswith(f"quality {VIDEO_QUALITY}")
