"""Gateway and device are killed and started again: nothing is lost or counted twice."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from mastra_ros.gateway.embedded import EmbeddedGateway
from mastra_ros.nodes.run.monitor import MonitorNode
from mastra_ros.protocol.keys import add_device, init_keys
from mastra_ros.types import FrameKey, LinkSample, Result, Route

Start = Callable[..., Any]
LINE = ("--rate", "4", "--source", "synthetic:pcb?seed=4&boards_per_minute=60")
PATIENT = ("--set", "scheduling.deadline_ms=5000.0")  # a busy machine is no bad link


class Witness:
    """Hears over DDS what the device publishes, from a process of its own."""

    def __init__(self) -> None:
        self.frames: set[FrameKey] = set()
        self.finals: list[Result] = []
        self.late: list[Result] = []
        self.link: LinkSample | None = None
        self.counters: dict[str, int] = {}

    def on_frame(self, key: FrameKey) -> None:
        self.frames.add(key)

    def on_result(self, result: Result) -> None:
        if result.final:
            self.finals.append(result)

    def on_late_result(self, result: Result) -> None:
        self.late.append(result)

    def on_gate(self, state: Any) -> None:
        pass

    def on_link(self, link: LinkSample, counters: dict[str, int]) -> None:
        self.link, self.counters = link, counters

    def on_verdict(self, board: int, verdict: str, defects: int) -> None:
        pass

    def answered_by_the_gateway(self) -> set[int]:
        """Stamps whose answer came from the gateway, so that it has acknowledged them."""
        answers = [*self.finals, *self.late]
        return {r.key.stamp_ns for r in answers if r.origin is Route.CLOUD and not r.error}


@pytest.fixture
def witness(spinning: Callable[..., Any]) -> Witness:
    made = Witness()
    spinning(lambda **options: MonitorNode(made, **options))
    return made


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    folder = tmp_path / "keys"
    init_keys(folder)
    add_device(folder, "camera-1")
    return folder


@pytest.fixture
def gateway(tmp_path: Path, keys: Path) -> Iterator[EmbeddedGateway]:
    with EmbeddedGateway(keys, state_dir=tmp_path / "state") as running:
        yield running


def device_options(keys: Path, spool: Path, url: str) -> tuple[str, ...]:
    sets = (f"bridge.keys_dir={keys}", f"bridge.spool_path={spool}")
    return (
        "--gateway",
        url.replace("https", "wss"),
        *(option for value in sets for option in ("--set", value)),
    )


def stored(tmp_path: Path) -> list[int]:
    """Stamps in the gateway's database, one for each row."""
    with closing(sqlite3.connect(tmp_path / "state" / "results.sqlite3")) as database:
        return [stamp for (stamp,) in database.execute("SELECT stamp_ns FROM results")]


def spooled(path: Path) -> list[int]:
    """Stamps on the device's disk."""
    if not path.exists():
        return []
    with closing(sqlite3.connect(path)) as database:
        return [stamp for (stamp,) in database.execute("SELECT stamp_ns FROM record")]


def test_a_gateway_killed_and_started_again_loses_nothing_it_acknowledged(
    start: Start,
    wait_until: Callable[..., None],
    gateway: EmbeddedGateway,
    witness: Witness,
    keys: Path,
    tmp_path: Path,
) -> None:
    spool = tmp_path / "spool.sqlite"
    run = start("--duration", "20", *LINE, *PATIENT, *device_options(keys, spool, gateway.url))
    wait_until(lambda: len(witness.answered_by_the_gateway()) >= 10, "answers of the gateway")
    gateway.kill()
    wait_until(lambda: witness.counters.get("spooled", 0) > 0, "frames in the spool")
    before = len(witness.answered_by_the_gateway())
    gateway.restart()
    wait_until(
        lambda: len(witness.answered_by_the_gateway()) > before + 5, "answers after the restart"
    )
    report = run.finish()
    rows = stored(tmp_path)
    assert len(rows) == len(set(rows)), "a frame was counted twice"
    assert witness.answered_by_the_gateway() <= set(rows), "an acknowledged frame was lost"
    assert report["spooled"] > 0
    assert report["delivered_late"] + report["dropped"] == report["spooled"]
    assert spooled(spool) == []


def test_a_device_killed_with_a_filled_spool_delivers_it_after_its_restart(
    start: Start,
    wait_until: Callable[..., None],
    witness: Witness,
    keys: Path,
    tmp_path: Path,
) -> None:
    spool = tmp_path / "spool.sqlite"
    with EmbeddedGateway(keys, state_dir=tmp_path / "state") as gateway:
        options = (*LINE, *PATIENT, *device_options(keys, spool, gateway.url))
        first = start("--duration", "60", *options)
        wait_until(lambda: len(witness.answered_by_the_gateway()) >= 5, "answers of the gateway")
        gateway.kill()
        wait_until(lambda: witness.counters.get("spooled", 0) >= 3, "frames in the spool")
        first.kill()
        waiting = set(spooled(spool))
        assert waiting

        gateway.restart()
        start("--duration", "3", *options).finish()
        rows = stored(tmp_path)
        assert waiting <= set(rows), "a spooled frame was lost"
        assert len(rows) == len(set(rows)), "a frame was counted twice"
        assert spooled(spool) == []


def test_what_a_run_spooled_while_its_gateway_was_down_is_delivered_by_the_next_run(
    start: Start, keys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With no spool named: the bridge's own is used, and it outlives the run."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "home"))
    spool = tmp_path / "home" / "mastra" / "spool-camera-1-main.sqlite"
    with EmbeddedGateway(keys, state_dir=tmp_path / "state") as gateway:
        options = device_options(keys, spool, gateway.url)
        sets = [value for value in options if "spool_path" not in value]
        del sets[-1]  # the --set of the spool
        gateway.kill()
        first = start("--frames", "20", *LINE, *PATIENT, *sets)
        told = first.finish()
        waiting = spooled(spool)
        assert told["spooled"] == told["spooled_left"] == len(waiting) > 0
        assert f"{len(waiting)} frames wait in {spool} for the next run" in first.output
        gateway.restart()
        second = start("--frames", "4", *LINE, *PATIENT, *sets).finish()
        assert second["delivered_late"] == len(waiting)
        assert set(waiting) <= set(stored(tmp_path))
    assert spooled(spool) == []


def test_the_embedded_gateways_spool_leaves_nothing_behind(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    start("--frames", "3", *LINE, *PATIENT, "--fault", "down@0s..1s").finish()
    assert not (tmp_path / "home").exists()
    assert list((tmp_path / "temporary").glob("mastra*")) == []


def test_a_spool_that_cannot_be_used_is_told_before_the_first_frame(
    start: Start, keys: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    options = device_options(keys, tmp_path / "file" / "spool.sqlite", "https://127.0.0.1:9")
    run = start("--frames", "3", *options)
    assert run.wait() == 1
    assert run.output.splitlines()[-1].startswith("mastra: ")
    assert "spool.sqlite" in run.output
    assert "capturing" not in run.output
    assert "Traceback" not in run.output
