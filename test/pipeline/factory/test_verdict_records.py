"""Each verdict is a record that the gateway can read."""

from __future__ import annotations

import numpy as np

from mastra_ros.pipeline.factory import Verdict, VerdictRecords
from mastra_ros.pipeline.factory.records import FOUND_MAX
from mastra_ros.records import unpack_body
from mastra_ros.types import Detections, FrameKey


def verdict(board: int = 1, defects: int = 2) -> Verdict:
    boxes = np.tile(np.array([[1, 2, 3, 4]], np.float32), (defects, 1))
    scores = np.linspace(0.5, 0.9, defects, dtype=np.float32)
    found = Detections(boxes, scores, np.zeros(defects, np.int32), ("short",))
    return Verdict(
        board, "reject", "2 short", FrameKey("main", 70, "r-1"), 50, 4, found, Detections.empty()
    )


def test_a_verdict_becomes_a_record() -> None:
    record = VerdictRecords().of(verdict(board=7))
    body = unpack_body(record.packed())
    assert (record.kind, record.stamp_ns) == ("verdict", 70)
    assert (body["board"], body["verdict"], body["defects_count"]) == (7, "reject", 2)
    assert [one["score"] for one in body["defects"]] == [0.9, 0.5]
    assert body["doubtful"] == []


def test_boards_of_two_runs_have_different_ids() -> None:
    one, two = VerdictRecords(), VerdictRecords()
    ids = {one.of(verdict(1)).id, one.of(verdict(2)).id, two.of(verdict(1)).id}
    assert len(ids) == 3
    assert one.of(verdict(1)).id in ids, "told twice it is one"


def test_a_board_with_very_many_defects_is_told_all_the_same() -> None:
    body = VerdictRecords().of(verdict(defects=5000)).body
    assert body["defects_count"] == 5000
    assert len(body["defects"]) == FOUND_MAX
