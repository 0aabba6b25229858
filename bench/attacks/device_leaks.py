"""Rows of what killed processes leave behind: the next start clears it away."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from mastra_ros.leftovers import SHARED_MEMORY

from .row import MEBIBYTE, Record, row
from .site import Sites, wait_until

ITEM = "9 leaks"
OLD = (1.0, 1.0)
"""What is younger than a minute is left alone: these times make it old."""
NODE = "from mastra_ros.nodes.compression import main; main()"


@contextlib.contextmanager
def _process(*command: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is killed at the end, if it was not before."""
    process = subprocess.Popen(
        [sys.executable, *command],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **environment},
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _segments(pid: int) -> set[Path]:
    """Segments in shared memory whose locks a process holds."""
    found = set()
    with contextlib.suppress(OSError):
        for link in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                held = re.fullmatch(r"(/dev/shm/fastrtps_[0-9a-z]{16})_el", str(link.readlink()))
                if held:
                    found.add(Path(held[1]))
    return found


def _lock_of(segment: Path) -> Path:
    return segment.with_name(f"{segment.name}_el")


def _kill_with_segments(process: subprocess.Popen[bytes]) -> set[Path]:
    """Kill it once it has segments; they look old afterwards."""
    wait_until(lambda: bool(_segments(process.pid)))
    left = _segments(process.pid)
    process.send_signal(signal.SIGKILL)
    process.wait()
    for segment in left:
        os.utime(_lock_of(segment), OLD)
    return left


def _shared_memory() -> bool:
    return os.access(SHARED_MEMORY, os.W_OK)


@row(ITEM, "shared memory of nodes that were killed", alone=True)
def shared_memory(sites: Sites, record: Record) -> None:
    """However many, each start frees what the one before has left."""
    if not _shared_memory():
        return
    left: set[Path] = set()
    most = 0
    for _ in range(sites.over_runs(3, 10)):
        with _process("-c", NODE) as process:
            wait_until(lambda process=process: bool(_segments(process.pid)))  # type: ignore[misc]
            wait_until(lambda left=left: not any(path.exists() for path in left))  # type: ignore[misc]
            left = _kill_with_segments(process)
            most = max(most, sum(path.stat().st_size for path in left if path.exists()))
        record.attempts += 1
    with _process("-c", NODE):
        wait_until(lambda: not any(path.exists() for path in left))
    record.memory_most = most
    record.memory_allowed = 256 * MEBIBYTE


@row(ITEM, "shared memory of nodes that live", alone=True)
def in_use(sites: Sites, record: Record) -> None:
    """It stays, however old it looks."""
    if not _shared_memory():
        return
    with _process("-c", NODE) as living, _process("-c", NODE) as dying:
        wait_until(lambda: bool(_segments(living.pid)))
        used = _segments(living.pid)
        left = _kill_with_segments(dying)
        for segment in used:
            os.utime(_lock_of(segment), OLD)
        for _ in range(sites.over_runs(1, 5)):
            with _process("-c", NODE) as next_one:
                wait_until(lambda one=next_one: bool(_segments(one.pid)))  # type: ignore[misc]
                record.attempts += 1
        record.expect(not any(path.exists() for path in left), "what was left is still there")
        record.expect(all(path.exists() for path in used), "what is in use is gone")
        record.expect(living.poll() is None, "a living node has ended")


@row(ITEM, "temporary folders of runs that were killed", alone=True)
def folders(sites: Sites, record: Record) -> None:
    """With keys, spool and results in them; those of others stay."""
    parent = sites.folder(f"temporary-{os.getpid()}-{id(record)}")
    stranger = parent / "mastra-not-ours"
    stranger.mkdir()
    command = ("-m", "mastra_ros.cli.main", "run", "factory_inspection", "--frames", "1")
    before: set[Path] = set()
    for _ in range(sites.over_runs(2, 8)):
        with _process(*command, TMPDIR=str(parent)) as process:
            before = _folder_of(process, parent, before)
        record.attempts += 1
        record.expect(len(before) == 1, f"{len(before)} folders were made")
        for folder in before:
            os.utime(folder, OLD)
            os.utime(folder / ".lock", OLD)
    record.expect(stranger.exists(), "a folder of somebody else is gone")


def _folder_of(process: subprocess.Popen[bytes], parent: Path, before: set[Path]) -> set[Path]:
    """What a run has made that is killed as soon as what was there before is gone."""

    def made() -> set[Path]:
        return {path.parent for path in parent.glob("mastra-*/.lock")}

    wait_until(lambda: bool(made() - before))
    wait_until(lambda: not made() & before)
    new = made() - before
    process.send_signal(signal.SIGKILL)
    process.wait()
    return new
