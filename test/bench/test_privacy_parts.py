"""A part of the privacy benchmark that is run again takes the place of the one before it."""

from __future__ import annotations

from typing import Any

import pytest

from bench.privacy_parts import entered, missing
from bench.privacy_table import tables

RUN = {"on": "2026-12-01", "plates_and_heads": "abc", "engine": "openvino"}


def rows(*widths: int, recall: float) -> list[dict[str, Any]]:
    return [{"width_px": width, "default": recall} for width in widths]


@pytest.fixture
def document() -> dict[str, Any]:
    return {
        "finders": {"default": ["own"], "all": ["own", "other"]},
        "faces": rows(8, 12, recall=0.5),
        "cost": {"vga": 50},
        "runs": {"faces": {"on": "2026-11-28"}, "cost": {"on": "2026-11-28"}},
        "notes": {"cost": "beside other work", "faces": "in two goes"},
    }


def test_a_note_goes_with_the_part_that_it_is_about_and_the_others_stay(
    document: dict[str, Any],
) -> None:
    made = entered(document, "cost", {"vga": 40}, RUN, whole=True)
    assert made["cost"] == {"vga": 40}
    assert made["notes"] == {"faces": "in two goes"}
    assert made["runs"] == {"faces": {"on": "2026-11-28"}, "cost": RUN}
    made = entered(made, "faces", rows(8, 12, recall=0.9), RUN, whole=True)
    assert made["notes"] == {}
    assert len(document["notes"]) == 2


def test_some_widths_alone_leave_the_other_rows_and_the_note(document: dict[str, Any]) -> None:
    made = entered(document, "faces", rows(12, 16, recall=0.9), RUN, whole=False)
    assert [(row["width_px"], row["default"]) for row in made["faces"]] == [
        (8, 0.5),
        (12, 0.9),
        (16, 0.9),
    ]
    assert made["notes"] == document["notes"]


def test_all_widths_leave_no_row_of_before(document: dict[str, Any]) -> None:
    made = entered(document, "faces", rows(12, recall=0.9), RUN, whole=True)
    assert made["faces"] == rows(12, recall=0.9)


def test_finders_that_are_not_here_are_missed_where_all_of_them_are_measured(
    document: dict[str, Any],
) -> None:
    assert missing(document, ["own"], ["faces"]) == ["other"]
    assert missing(document, ["own"], ["video", "bands"]) == []
    assert missing(document, ["own", "other"], ["faces", "cost"]) == []
    assert missing({}, ["own"], ["faces"]) == []


def test_the_page_shows_each_note() -> None:
    page = tables({"notes": {"cost": "beside other work", "faces": "in two goes"}, "bars": []})
    assert "Note: beside other work." in page
    assert "Note: in two goes." in page
