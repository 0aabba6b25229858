"""Frames of a set through kills of both sides and cuts of the link, see records.py."""

from __future__ import annotations

import time
from contextlib import closing
from typing import Any

from bench.killed import killed_in_turn
from bench.set_teller import SET, tell
from mastra_ros.gateway.sets import SqliteSetStore
from mastra_ros.gateway.sets.rows import FILE_NAME
from mastra_ros.protocol import decode
from mastra_ros.protocol.messages import FrameMessage

CUT_EVERY_S, CUT_S, LONGEST_S = 5, 0.5, 3600
LINK = "rate=20mbit@0s,delay=5ms@0s"


def cuts(every_s: float = CUT_EVERY_S, cut_s: float = CUT_S) -> str:
    """A cut now and then, as faults of the proxy."""
    times = range(1, int(LONGEST_S / every_s))
    return "".join(
        f",down@{int(n * every_s * 1000)}ms..{int((n * every_s + cut_s) * 1000)}ms" for n in times
    )


def sets(frames: int, times: int) -> dict[str, Any]:
    """Kill device and gateway in turn, so often in all, while so many frames go up."""
    started = time.perf_counter()
    rows = (FILE_NAME, "frame", frames + 1)
    with killed_in_turn(tell, frames, times, LINK + cuts(), rows) as state:
        took_s = time.perf_counter() - started
        with closing(SqliteSetStore(state)) as store:
            kept = store.frames("bench", "told", SET, frames_max=10 * frames)
            order = [one.sequence for one in store.committed(0, 10 * frames)]
    numbers = [_number(one.data) for one in kept if one.data]
    return {
        "frames": frames,
        "kills": times,
        "link": f"{LINK}, cut for {CUT_S:g} s each {CUT_EVERY_S:g} s",
        "bytes": sum(len(one.data) for one in kept),
        "took_s": round(took_s, 1),
        "lost": len(set(range(frames)) - set(numbers)),
        "counted_twice": len(numbers) - len(set(numbers)),
        "in_order": order == sorted(order) and numbers == sorted(numbers),
        "ended": any(not one.data for one in kept),
    }


def _number(data: bytes) -> int:
    message = decode(data)
    assert isinstance(message, FrameMessage)
    return int(message.meta["sequence"])
