"""Artefacts and snapshots on disk: bounded, whole, and there after a restart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mastra_ros.artefacts import Artefact
from mastra_ros.errors import RecordError, StoreError
from mastra_ros.gateway.applications.keeping import Keeping


def artefact(data: bytes = b"data", **changes: Any) -> Artefact:
    values = {"kind": "plan", "name": "one", "device": "cam", "stream": "main", **changes}
    return Artefact(data=data, **values)


def test_the_newest_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    keeping = Keeping(tmp_path)
    assert keeping.put("app", artefact(b"1"), 5, 0)
    assert keeping.put("app", artefact(b"2"), 7, 0)
    assert not keeping.put("app", artefact(b"1"), 5, 0), "an older one told again"
    assert keeping.put("app", artefact(b"3", name="two"), 5, 0)
    data = [keeping.data(kept).read_bytes() for kept in keeping.artefacts()]
    assert data == [b"2", b"3"]
    assert len(list((tmp_path / "artefacts").iterdir())) == 2, "the file of the first is gone"
    keeping.close()


def test_all_of_them_stand_beside_each_other_each_once(tmp_path: Path) -> None:
    keeping = Keeping(tmp_path)
    for number in (0, 1, 1):
        keeping.put("app", artefact(b"same", keep="all"), 5, number)
    assert len(keeping.artefacts()) == 2
    keeping.close()
    again = Keeping(tmp_path)
    (one, two) = again.artefacts()
    assert again.data(one) == again.data(two)
    assert one.sha256 == artefact(b"same").sha256
    assert [kept.id for kept in again.artefacts(after_id=one.id)] == [two.id]
    again.close()


def test_beyond_the_bytes_allowed_the_oldest_go(tmp_path: Path) -> None:
    keeping = Keeping(tmp_path, bytes_max=2500)
    for number in range(4):
        keeping.put("app", artefact(bytes([number]) * 1000, keep="all"), number, 0)
    left = [keeping.data(kept).read_bytes()[0] for kept in keeping.artefacts()]
    assert left == [2, 3]
    assert len(list((tmp_path / "artefacts").iterdir())) == 2
    keeping.close()


def test_a_snapshot_is_there_after_a_restart(tmp_path: Path) -> None:
    keeping = Keeping(tmp_path)
    assert keeping.snapshot("app") == (0, b"")
    keeping.pass_over("app", 4)
    keeping.pass_over("app", 9)
    keeping.save_snapshot("app", 6, b"state")
    keeping.close()
    again = Keeping(tmp_path)
    assert again.snapshot("app") == (6, b"state")
    assert again.passed_over("app") == {9}
    again.close()


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    keeping = Keeping(tmp_path)
    keeping._db.execute("PRAGMA user_version = 5")
    keeping.close()
    with pytest.raises(StoreError, match="expected schema 1, got 5"):
        Keeping(tmp_path)


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "../x"},
        {"name": ""},
        {"version": "é"},
        {"media_type": "a\nb"},
        {"keep": "some"},
        {"expires_s": -1.0},
        {"expires_s": float("nan")},
        {"data": "text"},
        {"device": "a/b"},
    ],
)
def test_an_artefact_that_makes_no_sense_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(RecordError, match="artefact"):
        artefact(**changes)
