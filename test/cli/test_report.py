"""What a run reports of itself."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np

from mastra_ros.cli.report import RunReport
from mastra_ros.types import Detections, FrameKey, LinkSample, Result, Route


def result(stamp_ns: int, origin: Route = Route.LOCAL, **more: object) -> Result:
    more.setdefault("age_ms", 10.0)
    found = Detections(
        np.array([[1, 2, 3, 4]], np.float32), np.ones(1, np.float32), np.zeros(1, np.int32), ("a",)
    )
    return Result(FrameKey("main", stamp_ns), origin, found, **more)  # type: ignore[arg-type]


def test_every_frame_with_one_final_result_leaves_nothing_missing() -> None:
    report = RunReport()
    for stamp_ns in (1, 2, 3):
        report.on_frame(FrameKey("main", stamp_ns))
        report.on_result(result(stamp_ns, Route.CLOUD if stamp_ns == 3 else Route.LOCAL))
    told = report.to_dict()
    assert (told["frames"], told["results"], told["missing"], told["duplicates"]) == (3, 3, 0, 0)
    assert told["by_origin"] == {"cloud": 1, "local": 2}
    json.dumps(told)


def test_codec_quality_in_force_and_bytes_by_kind_are_told() -> None:
    report = RunReport()
    assert "encoded with" not in report.summary()  # nothing was sent
    report.compression = {
        "coding": "x264-veryfast quality 44",
        "packets": {"key": (1, 10_593), "video": (80, 61_200)},
    }
    told = " ".join(report.summary().split())
    assert "encoded with x264-veryfast quality 44" in told
    assert "key 1 (10,593), video 80 (61,200)" in told
    assert json.loads(json.dumps(report.to_dict()))["compression"]["packets"]["key"] == [1, 10_593]


def test_a_frame_without_a_final_result_is_missing_although_a_provisional_one_came() -> None:
    report = RunReport()
    report.on_frame(FrameKey("main", 1))
    report.on_result(result(1, final=False))
    assert report.missing == 1
    assert report.to_dict()["provisional"] == 1


def test_a_second_final_result_is_a_duplicate_and_counts_once() -> None:
    report = RunReport()
    report.on_frame(FrameKey("main", 1))
    report.on_result(result(1))
    report.on_result(result(1, Route.CLOUD))
    told = report.to_dict()
    assert (told["duplicates"], told["results"], told["by_origin"]) == (1, 1, {"local": 1})


def test_a_result_with_an_error_counts_as_missing_and_says_why() -> None:
    report = RunReport()
    report.on_frame(FrameKey("main", 1))
    report.on_result(result(1, error="no answer"))
    told = report.to_dict()
    assert (told["missing"], told["results"], told["failed"]) == (1, 0, {"no answer": 1})


def test_the_summary_names_the_most_frequent_failures_and_counts_the_others() -> None:
    report = RunReport()
    for stamp_ns in range(1, 12):
        report.on_frame(FrameKey("main", stamp_ns))
        report.on_result(result(stamp_ns, error="no answer" if stamp_ns > 5 else f"odd {stamp_ns}"))
    lines = [line for line in report.summary().splitlines() if "failed:" in line]
    assert lines[0].endswith("6 x no answer")
    assert lines[-1].endswith("failed: 1 for 1 other reasons")
    assert len(report.to_dict()["failed"]) == 6


def test_frames_superseded_under_overload_are_told_apart_from_missing_ones() -> None:
    report = RunReport()
    report.on_frame(FrameKey("main", 1))
    report.on_frame(FrameKey("main", 2))
    report.on_result(result(2))
    report.superseded = 1
    assert report.missing == 0
    assert report.to_dict()["superseded"] == 1


def test_ages_that_are_unknown_stay_out_of_the_percentiles() -> None:
    report = RunReport()
    for stamp_ns, age_ms in ((1, 10.0), (2, math.nan), (3, 30.0)):
        report.on_frame(FrameKey("main", stamp_ns))
        report.on_result(result(stamp_ns, age_ms=age_ms))
    assert report.to_dict()["age_ms"] == {"p50": 20.0, "p99": 29.8, "max": 30.0}


def test_verdicts_are_compared_with_the_truth_where_it_is_known() -> None:
    report = RunReport()
    for board, verdict in enumerate(("reject", "reject", "pass", "pass", "review"), start=1):
        report.on_verdict(board, verdict, 0)
    report.compare(lambda board: board in (1, 3, 5))
    told = report.to_dict()
    assert told["against_truth"] == {"false_reject": 1, "missed": 1, "review": 1, "right": 2}
    assert told["verdicts"] == {"pass": 2, "reject": 2, "review": 1}
    assert "false_reject 1" in report.summary()


def test_the_live_line_and_the_summary_say_what_a_person_asks() -> None:
    report = RunReport()
    assert "frames     0" in report.live_line(0.0)
    report.on_frame(FrameKey("main", 1))
    report.on_result(result(1))
    report.on_link(LinkSample(1, True, rtt_ms=2.5), {"uploaded_bytes": 1234, "spooled": 2})
    report.on_verdict(1, "reject", 1)
    report.switches = [
        {"t_s": 1.0, "from": "cloud", "to": "local", "reason": "link lost", "latency_ms": None}
    ]
    line = report.live_line(3.0)
    for part in ("route local", "link up 2.5 ms, 2 spooled", "defects 1"):
        assert part in line
    summary = report.summary()
    for part in ("missing", "1,234", "reject 1", "cloud -> local", "link lost"):
        assert part in summary


def test_two_frames_under_one_stamp_are_two() -> None:
    report = RunReport()
    for frame_id in ("a-1", "a-2"):
        report.on_frame(FrameKey("main", 5, frame_id))
    report.on_result(dataclasses.replace(result(5), key=FrameKey("main", 5, "a-1")))
    told = report.to_dict()
    assert (told["frames"], told["results"], told["missing"], told["duplicates"]) == (2, 1, 1, 0)
