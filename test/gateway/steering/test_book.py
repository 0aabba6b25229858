"""The book of settings and of who changed them, in a real file."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from mastra_ros.errors import StoreError
from mastra_ros.gateway.steering import SteeringBook

BY = {"who": "ada", "role": "operator", "now_s": 5.0}


def test_what_is_wanted_and_who_wanted_it_survive_a_restart(tmp_path: Path) -> None:
    book = SteeringBook(tmp_path)
    book.change("cam-1", {"scheduling.load_high": 0.7, "compression.quality": 60}, **BY)
    book.change("cam-2", {"compression.quality": 50}, **BY)
    kept = book.change("cam-1", {"scheduling.load_high": 0.6, "compression.quality": None}, **BY)
    book.close()
    assert kept == {"scheduling.load_high": 0.6}
    again = SteeringBook(tmp_path)
    assert again.all_wanted() == {
        "cam-1": {"scheduling.load_high": 0.6},
        "cam-2": {"compression.quality": 50},
    }
    told = [(row.name, row.old, row.new) for row in again.audit("cam-1", 0, 10)]
    assert told == [
        ("compression.quality", 60, None),
        ("scheduling.load_high", 0.7, 0.6),
        ("compression.quality", None, 60),
        ("scheduling.load_high", None, 0.7),
    ]
    newest = again.audit("", 0, 1)[0]
    assert (newest.who, newest.role, newest.at_s, newest.device) == (
        "ada",
        "operator",
        5.0,
        "cam-1",
    )
    assert [row.id for row in again.audit("", newest.id, 2)] == [newest.id - 1, newest.id - 2]
    again.close()


def test_the_audit_forgets_its_oldest_rows_alone(tmp_path: Path) -> None:
    book = SteeringBook(tmp_path, audit_max=3)
    for value in range(10):
        book.change("cam-1", {"compression.quality": value}, **BY)
    assert [row.new for row in book.audit("", 0, 100)] == [9, 8, 7]
    book.close()


def test_a_file_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    SteeringBook(tmp_path).close()
    path = tmp_path / "steering.sqlite3"
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 9")
    db.close()
    with pytest.raises(StoreError, match="newer version"):
        SteeringBook(tmp_path)


def test_a_file_that_is_no_database_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "steering.sqlite3").write_bytes(b"not a database" * 100)
    with pytest.raises(StoreError, match="cannot be used"):
        SteeringBook(tmp_path)


def test_nothing_is_changed_without_its_row_in_the_audit(tmp_path: Path) -> None:
    book = SteeringBook(tmp_path)
    with sqlite3.connect(tmp_path / "steering.sqlite3") as other:
        other.execute("DROP TABLE audit")
    other.close()
    with pytest.raises(StoreError, match="cannot be written"):
        book.change("cam-1", {"compression.quality": 1}, **BY)
    assert book.all_wanted() == {}
    book.close()
