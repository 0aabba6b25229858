"""What `mastra run` says of a mistake: one line, a status, and nothing left running."""

from __future__ import annotations

import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

Start = Callable[..., Any]
SHORT = ("--frames", "5", "--gateway", "none")


@pytest.mark.parametrize(
    ("options", "status", "complaint"),
    [
        (("--set", "camera.rate=3"), 2, "camera.rate: unknown parameter, known are"),
        (("--set", "camera.rate_hz=-3"), 2, "camera.rate_hz: expected 0 to 1000 Hz, got -3.0"),
        (("--set", "cam.rate_hz=3"), 2, "cam: unknown stage"),
        (("--gateway", "embedded", "--fault", "down@x"), 2, "fault at position"),
        (("--gateway", "none", "--fault", "down@1s"), 2, "--fault: works on the link to the emb"),
        (("--source", "bogus:1"), 1, "source: expected synthetic:pcb"),
        (("--source", "folder:/nonexistent"), 1, "/nonexistent"),
        (("--set", "inference.bundle=/nonexistent"), 1, "/nonexistent"),
        (("--params-file", "/nonexistent.yaml"), 2, "/nonexistent.yaml"),
        (("--gateway", "ws://localhost"), 2, "gateway: expected wss://host:port"),
    ],
)
def test_a_mistake_is_one_line_that_names_what_was_expected(
    start: Start, options: tuple[str, ...], status: int, complaint: str
) -> None:
    run = start("--frames", "5", *([] if "--gateway" in options else SHORT[2:]), *options)
    assert run.wait() == status, run.output
    (line,) = [text for text in run.output.splitlines() if text.startswith("mastra: ")]
    assert complaint in line
    assert "Traceback" not in run.output


def test_rubbish_among_the_pictures_costs_only_itself(start: Start, tmp_path: Path) -> None:
    cv2 = pytest.importorskip("cv2")
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for number in range(4):
        cv2.imwrite(str(pictures / f"{number}.png"), np.full((64, 64), number, np.uint8))
    (pictures / "2.png").write_bytes(b"not a picture")
    run = start("--gateway", "none", "--rate", "10", "--source", f"folder:{pictures}")
    report = run.finish()
    assert report["frames"] == 3
    assert "2.png" in run.output


def test_a_damaged_spool_is_moved_aside_and_costs_nothing_else(
    start: Start, tmp_path: Path
) -> None:
    spool = tmp_path / "spool.sqlite"
    spool.write_bytes(b"SQLite format 3\x00" + bytes(range(256)) * 64)
    report = start(
        *("--frames", "20", "--rate", "8", "--set", f"bridge.spool_path={spool}"),
        *("--set", "scheduling.policy=fixed", "--set", "scheduling.route=cloud"),
        *("--set", "scheduling.deadline_ms=5000.0", "--fault", "down@0s..1s"),
    ).finish()
    assert report["spooled"] > 0, "a fresh one was begun"
    assert report["spooled_left"] == 0
    (aside,) = tmp_path.glob("spool.sqlite.damaged-*")
    assert aside.stat().st_size > 16_000


def test_a_file_of_somebody_else_is_no_spool_and_stays_as_it_is(
    start: Start, tmp_path: Path
) -> None:
    notes = tmp_path / "notes.sqlite"
    with closing(sqlite3.connect(notes)) as database, database:
        database.execute("CREATE TABLE note (text)")
    before = notes.read_bytes()
    run = start(
        *("--frames", "20", "--rate", "8", "--set", f"bridge.spool_path={notes}"),
        *("--set", "scheduling.deadline_ms=5000.0"),
    )
    run.finish()
    assert "a database of something else, not a spool" in run.output
    assert notes.read_bytes() == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_run_in_order_with_its_report(
    start: Start, wait_until: Callable[..., None], number: signal.Signals
) -> None:
    run = start("--gateway", "none", "--rate", "10")
    wait_until(lambda: "frames/s" in run.output, "the camera to start")
    wait_until(lambda: run.process.poll() is None, "the run to go on")
    run.process.send_signal(number)
    assert run.wait() in (0, 1), run.output  # 1 when not a single frame had come yet
    assert "frames in" in run.output
    assert run.report()["missing"] == 0
