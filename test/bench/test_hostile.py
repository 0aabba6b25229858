"""The long form of the matrix of attacks: it goes on after an interruption, with every kind."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bench import hostile
from bench.attacks.row import Record, Row
from bench.attacks.site import Sites


@pytest.fixture
def make_sites(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Sites]]:
    """Sites that serve nothing, for no row here wants a gateway."""
    monkeypatch.setattr("bench.attacks.site.write_tiny_bundle", lambda folder: folder)
    made: list[Sites] = []

    def make(**options: Any) -> Sites:
        made.append(Sites(**options))
        return made[-1]

    yield make
    for sites in made:
        sites.close()


@pytest.mark.usefixtures("make_sites")
def test_a_run_goes_on_where_it_was_interrupted_and_keeps_what_it_has(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ran: list[str] = []

    def attack(name: str) -> Callable[[Sites, Record], None]:
        return lambda sites, record: ran.append(f"{name} {sites.run}")

    rows = [
        Row("a", "1 one", attack("a")),
        Row("b", "2 two", attack("b"), alone=True),
        Row("c", "10 ten", attack("c")),
    ]
    monkeypatch.setattr(hostile, "all_rows", lambda: rows)
    out = tmp_path / "hostile.json"

    def run(*options: str) -> list[str]:
        ran.clear()
        command = ["hostile", "--runs", "2", "--out", str(out), *options]
        monkeypatch.setattr(sys, "argv", command)
        assert hostile.main() == 0
        return list(ran)

    def names() -> list[str]:
        return [one["row"] for one in json.loads(out.read_text())["rows"]]

    assert run("--item", "1", "--item", "2") == ["a 0", "a 1", "b 0"]
    assert run("--resume") == ["c 0", "c 1"]
    assert names() == ["a", "b", "c"]
    assert run("--resume", "--runs", "3", "--only", "c") == ["c 0", "c 1", "c 2"]
    assert names() == ["a", "b", "c"]
    monkeypatch.setattr(hostile, "code_state", lambda: "another")
    assert run("--resume", "--item", "10") == ["c 0", "c 1"]
    told = {one["row"]: one["code"] for one in json.loads(out.read_text())["rows"]}
    assert told["c"] == "another" != told["a"]
    assert run("--only", "a") == ["a 0", "a 1"]
    assert names() == ["a"]


@pytest.mark.parametrize("count", range(1, 14))
def test_all_runs_together_have_had_every_kind(
    make_sites: Callable[..., Sites], count: int
) -> None:
    kinds = list(range(count))
    for runs in (1, 3, 5):
        sites = make_sites(short=False, runs=runs)
        had = []
        for sites.run in range(runs):
            had += sites.some(kinds, 1)
        assert set(had) == set(kinds)
    assert len(make_sites(short=True).some(kinds, min(3, count))) == min(3, count)


def test_what_a_row_no_longer_uses_is_ended(make_sites: Callable[..., Sites]) -> None:
    sites, ended = make_sites(short=False), []

    @contextlib.contextmanager
    def thing(name: str) -> Iterator[str]:
        yield name
        ended.append(name)

    sites.shared("a", lambda: thing("a"))
    sites.shared("b", lambda: thing("b"))
    sites.tidy()
    assert sites.shared("b", lambda: thing("another")) == "b"
    assert not ended
    sites.tidy()
    assert ended == ["a"]
    sites.close()
    assert ended == ["a", "b"]
