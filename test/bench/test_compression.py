"""How ours is held against the best codec, and what follows from its sizes."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from bench.compression_clock import QUALITIES, Replay
from bench.compression_compare import P50_MS, P99_MS, compared
from bench.compression_sizes import entered
from bench.compression_unseen import (
    HEIGHT_PX,
    PHOTOGRAPH_FRAMES,
    UNSEEN,
    WIDTH_PX,
    _held,
    _zoom,
)
from bench.curves import ratio_over
from mastra_ros.compression.changes import changed_tiles
from mastra_ros.compression.first import PROCESSOR, first_of

JPEG = {"curve": "JPEG", "quality": "q85", "plain": True, "bytes": 20_000.0, "f": 0.96}


def rows(curve: str, factor: float, *, plain: bool = True, noise: float = 0.0, **more: float):
    rng = np.random.default_rng(1)
    return [
        {
            "curve": curve,
            "quality": f"q{size}",
            "plain": plain,
            "bytes": factor * size,
            "f": 0.84 + 0.03 * math.log2(size / 200) + float(rng.normal(0, noise)),
            **more,
        }
        for size in (200, 400, 800, 1600, 3200)
    ]


def test_a_curve_of_half_the_bytes_has_the_ratio_of_a_half_whatever_the_value() -> None:
    one = [(row["bytes"], row["f"]) for row in rows("a", 1.0)]
    half = [(row["bytes"], row["f"]) for row in rows("b", 0.5)]
    assert ratio_over(half, one, [0.86, 0.9, 0.93]) == pytest.approx(0.5)
    assert ratio_over(half, one, [0.5, 0.9, 0.999]) == pytest.approx(0.5)  # only what both reach
    assert math.isnan(ratio_over(half, one, [0.5]))


def test_the_best_codec_is_the_worst_for_ours_of_those_in_time() -> None:
    slow = {"vga_p50_ms": P50_MS + 0.1, "vga_p99_ms": P99_MS}
    fast = {"vga_p50_ms": P50_MS, "vga_p99_ms": P99_MS}
    ours = rows("auto", 0.8, plain=False, **slow)
    told = compared(
        [JPEG, *rows("x", 1.0, **fast), *rows("y", 0.9, **fast), *rows("z", 0.5, **slow), *ours],
        detector=True,
        less=0.03,
    )
    assert told["at"] == pytest.approx(0.93)
    assert told["best"] == "y"
    assert told["ratio"] == pytest.approx(0.8 / 0.9, abs=0.002)
    assert told["too_slow"] == ["z"]
    assert told["ratio_royalty_free"] is None


def test_curves_that_share_nothing_near_the_bar_are_compared_where_they_do() -> None:
    high = {**JPEG, "f": 0.999}
    told = compared(
        [high, *rows("x", 1.0)[:3], *rows("auto", 0.7, plain=False)[:3]], detector=True, less=0.0
    )
    assert told["ratio"] == pytest.approx(0.7, abs=0.002)


def test_chance_in_each_point_moves_the_ratio_less_than_it_moves_one_value() -> None:
    told = compared(
        [JPEG, *rows("x", 1.0, noise=0.008), *rows("auto", 1.0, plain=False)],
        detector=True,
        less=0.03,
    )
    assert told["ratio"] == pytest.approx(1.0, abs=0.25)


def test_times_that_were_taken_before_are_told_again() -> None:
    table = {
        "x264-veryfast": {"spends_ms": 9.0, "scene_ms": [1.0, 2.0, 4.0]},
        "x264-superfast": {"spends_ms": 1.0, "scene_ms": [0.5, 1.0, 2.0]},
    }
    clock = Replay(table, QUALITIES[1])
    assert first_of(list(table), 3.0, clock) == "x264-superfast"
    for name, expected_ms in (("x264-veryfast", 2.0), ("x264-superfast", 1.0)):
        began = clock.spent_s(name)
        assert 1e3 * (clock.spent_s(name) - began) == pytest.approx(expected_ms)
    between = Replay(table, (QUALITIES[1] + QUALITIES[2]) // 2)
    began = between.spent_s("x264-veryfast")
    assert 2.0 < 1e3 * (between.spent_s("x264-veryfast") - began) < 4.0
    assert Replay({}, 60).spends_ms("x264-ultrafast") == PROCESSOR.spends_ms("x264-ultrafast")


def test_sizes_are_entered_and_what_is_said_of_them_stays() -> None:
    text = "# about\na_bytes: 926.0\nupload:\n  per_px: 0.0023  # each rests on another\n"
    made = entered(text, {"a_bytes": 12.5, "per_px": 0.01})
    assert made == "# about\na_bytes: 12.5\nupload:\n  per_px: 0.01  # each rests on another\n"
    with pytest.raises(ValueError, match="expected one line 'b_bytes', got 0"):
        entered(text, {"b_bytes": 1.0})


def test_every_frame_of_the_held_out_videos_is_looked_at() -> None:
    """Every second or fourth would be those that a codec with layers codes finer."""
    videos = [scene for scene in UNSEEN if scene.detector == "yolox"]
    assert len(videos) >= 4
    assert {scene.step for scene in videos} == {1}


def test_a_camera_that_zooms_or_is_held_in_a_hand_never_rests_and_is_the_same_again() -> None:
    rng = np.random.default_rng(4)
    photograph = np.clip(rng.normal(128, 60, (60, 110, 3)), 0, 255).astype(np.uint8)
    photograph = photograph.repeat(8, axis=0).repeat(8, axis=1)
    for made in (lambda: _zoom([photograph]), lambda: _held([photograph] * PHOTOGRAPH_FRAMES)):
        pictures = list(made())
        assert len(pictures) == PHOTOGRAPH_FRAMES
        assert {picture.shape for picture in pictures} == {(HEIGHT_PX, WIDTH_PX, 3)}
        for before, picture in pairwise(pictures):
            assert changed_tiles(picture, before, 16, 8.0).mean() > 0.05
        assert all(np.array_equal(a, b) for a, b in zip(pictures, made(), strict=True))
