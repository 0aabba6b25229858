"""What is told of a sweep comes back bit for bit, and nonsense is refused."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import msgpack
import pytest

from mastra_ros.errors import RecordError
from mastra_ros.pipeline.ultrasound.region import Fan, Region
from mastra_ros.pipeline.ultrasound.sweep import (
    SweepBegin,
    SweepEnd,
    SweepFeedback,
    TrackedFrame,
    sweep_event,
)

POSE = (0.1, 1 / 3, 0.0, 12.5, 0.0, 0.2, 0.1, -3.0, 0.0, 0.0, 0.08, 7.0, 0.0, 0.0, 0.0, 1.0)
FAN = Fan((380.0, 20.0), -45.0, 45.0, 120.0, 360.0)
FRAME = TrackedFrame(
    "s1", 7, 10**18 + 1, POSE, "0123456789abcdef", (0.08, 0.09), Region((192, 16, 420, 580), FAN)
)


def over_the_wire(told: Any) -> Any:
    return msgpack.unpackb(msgpack.packb(told))


@pytest.mark.parametrize("region", [FRAME.region, Region((0, 0, 820, 616))])
def test_a_tracked_frame_comes_back_bit_for_bit(region: Region) -> None:
    frame = replace(FRAME, region=region)
    assert TrackedFrame.from_map(over_the_wire(frame.to_map())) == frame


def test_begin_and_end_come_back_from_their_records() -> None:
    begin = SweepBegin("s1", 5, 820, 616, FRAME.calibration, (0.08, 0.09), FRAME.region, -64.8)
    end = SweepEnd("s1", 9, 240, "source ended", {"stale pose": 3})
    for told in (begin, end):
        record = told.record()
        assert sweep_event(record.stamp_ns, over_the_wire(record.body)) == told
    assert begin.record().id != end.record().id


def test_feedback_comes_back_and_says_what_is_wrong() -> None:
    told = SweepFeedback("s1", 30, 41.2, True, ((3, 4, 5.5), (8, 9, 2.0)), 2, 0.75)
    assert SweepFeedback.from_bytes(told.artefact().data) == told
    assert told.words == "TOO FAST: 41 mm/s  2 GAPS, widest 5.5 mm"
    assert SweepFeedback("s1", 30, 8.0).words == ""


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("sweep", "a/b", "expected a name"),
        ("sweep", 3, "expected a name"),
        ("sequence", 0, "1 to 1000000, got 0"),
        ("sequence", True, "whole number"),
        ("stamp_ns", "now", "expected a stamp"),
        ("pose", [1.0] * 15, "expected 16 numbers"),
        ("pose", [math.nan, *POSE[1:]], "finite"),
        ("pose", [10**400, *POSE[1:]], "finite"),
        ("pose", [*POSE[:15], 2.0], "last row 0 0 0 1"),
        ("pose", [1e9, *POSE[1:]], "within 100000 mm"),
        ("pose", [0.0] * 15 + [1.0], "span a plane"),
        ("calibration", "xyz", "digest"),
        ("spacing_mm", [0.0, 0.1], "0.0001 to 100 mm"),
        ("region", {"clip_px": [0, 0, 0, 5]}, "sides of 1 to"),
        ("region", {"clip_px": [0.5, 0, 5, 5]}, "whole px"),
        ("region", {"clip_px": [0, 0, 5, 5], "fan": [0, 0, 45, -45, 0, 5]}, "start < stop"),
        ("region", {"clip_px": [0, 0, 5, 5], "fan": [0, 0, -45, 45, 5, 5]}, "radii"),
        ("region", None, "expected a map"),
    ],
)
def test_a_frame_that_makes_no_sense_is_refused_in_words(
    name: str, value: object, words: str
) -> None:
    with pytest.raises(RecordError, match=words):
        TrackedFrame.from_map({**FRAME.to_map(), name: value})


@pytest.mark.parametrize("name", sorted(FRAME.to_map()))
def test_a_frame_that_lacks_something_is_refused(name: str) -> None:
    told = FRAME.to_map()
    del told[name]
    with pytest.raises(RecordError):
        TrackedFrame.from_map(told)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"event": "pause"},
        {"event": "begin"},
        {"event": "end", "sweep": "s", "frames": -1},
        {"event": "end", "sweep": "s", "frames": 1, "refused": {"x": -1}},
        {"event": "end", "sweep": "s", "frames": 1, "refused": 7},
        {"event": "end", "sweep": "s", "frames": 1, "reason": 7},
    ],
)
def test_an_event_that_makes_no_sense_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(RecordError):
        sweep_event(0, body)


@pytest.mark.parametrize(
    "data", [b"", b"\xc1", b"\x93\1\2\3", msgpack.packb({"sweep": "s"}), b"\x81"]
)
def test_feedback_that_makes_no_sense_is_refused(data: bytes) -> None:
    with pytest.raises(RecordError):
        SweepFeedback.from_bytes(data)


def test_the_mask_is_the_clip_and_the_fan() -> None:
    whole = Region((2, 1, 3, 2)).mask(8, 6)
    assert whole.shape == (6, 8)
    assert whole.sum() == 6
    assert whole[1:3, 2:5].all()
    fan = Region((0, 0, 100, 100), Fan((50.0, 0.0), -45.0, 45.0, 10.0, 40.0)).mask(100, 100)
    rows, columns = [10, 40, 20, 20, 30], [50, 50, 30, 70, 50]  # rays and arcs are inside
    assert fan[rows, columns].all()
    rows, columns = [9, 41, 20, 20], [50, 50, 29, 71]
    assert not fan[rows, columns].any()
