"""Artefacts on the device: whole or not there, gone on with, bounded."""

from __future__ import annotations

import hashlib
import stat
from pathlib import Path
from typing import Any

import pytest

from mastra_ros.bridge.artefacts import ArtefactFolder
from mastra_ros.errors import SpoolError
from mastra_ros.protocol.artefacts import ArtefactOffer


def offer(data: bytes, **changes: Any) -> ArtefactOffer:
    digest = hashlib.sha256(data).hexdigest()
    values = {"id": 1, "kind": "plan", "name": "one", "size": len(data), "sha256": digest}
    return ArtefactOffer(**{**values, **changes})


def store(folder: ArtefactFolder, data: bytes, **changes: Any) -> Path:
    made = offer(data, **changes)
    at = folder.begin(made)
    folder.write(made, at, data[at:])
    received = folder.finish(made)
    assert received is not None
    return received.path


def test_what_came_whole_has_its_digest_for_a_name(tmp_path: Path) -> None:
    path = store(ArtefactFolder(tmp_path / "a"), b"hello")
    assert path == tmp_path / "a" / "plan" / "one" / hashlib.sha256(b"hello").hexdigest()
    assert path.read_bytes() == b"hello"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_nothing_at_all_is_an_artefact_too(tmp_path: Path) -> None:
    folder = ArtefactFolder(tmp_path)
    assert folder.begin(offer(b"")) == 0
    received = folder.finish(offer(b""))
    assert received is not None
    assert received.path.read_bytes() == b""


def test_after_a_cut_it_goes_on_from_where_it_was(tmp_path: Path) -> None:
    made = offer(b"0123456789")
    folder = ArtefactFolder(tmp_path)
    assert folder.begin(made) == 0
    folder.write(made, 0, b"0123")
    again = ArtefactFolder(tmp_path)
    assert again.begin(made) == 4
    again.write(made, 4, b"456789")
    received = again.finish(made)
    assert received is not None
    assert again.begin(made) == 10, "it is here: nothing more need come"


def test_what_came_wrong_is_thrown_away(tmp_path: Path) -> None:
    made = offer(b"0123456789")
    folder = ArtefactFolder(tmp_path)
    folder.begin(made)
    folder.write(made, 0, b"012345678X")
    assert folder.finish(made) is None
    assert folder.begin(made) == 0


def test_of_the_newest_one_stays_and_of_all_each(tmp_path: Path) -> None:
    folder = ArtefactFolder(tmp_path)
    first = store(folder, b"1")
    second = store(folder, b"2")
    assert not first.exists()
    third = store(folder, b"3", name="two", keep="all")
    fourth = store(folder, b"4", name="two", keep="all")
    assert second.exists()
    assert third.exists()
    assert fourth.exists()


def test_beyond_the_bytes_allowed_the_oldest_go(tmp_path: Path) -> None:
    folder = ArtefactFolder(tmp_path, bytes_max=2500)
    paths = [store(folder, bytes([n]) * 1000, keep="all") for n in range(4)]
    assert [path.exists() for path in paths] == [False, False, True, True]
    with pytest.raises(SpoolError, match="2501 bytes, and 2500 are allowed"):
        folder.begin(offer(bytes(2501)))


def test_what_is_offered_no_longer_leaves_nothing_behind(tmp_path: Path) -> None:
    made = offer(b"0123456789")
    folder = ArtefactFolder(tmp_path)
    folder.begin(made)
    folder.write(made, 0, b"0123")
    folder.forget(made)
    assert folder.begin(made) == 0


def test_artefacts_of_no_bytes_are_bounded_too(tmp_path: Path) -> None:
    folder = ArtefactFolder(tmp_path, files_max=8)
    paths = [store(folder, b"", kind=f"kind-{n}", name=f"name-{n}") for n in range(20)]
    assert [path.exists() for path in paths] == [False] * 12 + [True] * 8
    assert len(list(tmp_path.rglob("*"))) == 3 * 8, "no empty folder is left"


def test_those_of_one_name_make_room_for_each_other(tmp_path: Path) -> None:
    folder = ArtefactFolder(tmp_path, bytes_max=10)
    for n in range(3):
        path = store(folder, bytes([n]) * 10, keep="all")
    assert [one for one in tmp_path.rglob("*") if one.is_file()] == [path]


def test_what_never_comes_whole_leaves_no_folder(tmp_path: Path) -> None:
    folder = ArtefactFolder(tmp_path)
    for n in range(3):
        wrong = offer(b"", kind=f"kind-{n}", sha256="0" * 64)
        folder.begin(wrong)
        assert folder.finish(wrong) is None
        given_up = offer(b"1234", kind=f"other-{n}")
        folder.begin(given_up)
        folder.write(given_up, 0, b"12")
        folder.forget(given_up)
    assert list(tmp_path.rglob("*")) == []
