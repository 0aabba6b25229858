"""Frames of a set through kills of both sides and cuts of the link, see records.py."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from bench.set_teller import SET
from bench.tiny_model import write_tiny_bundle
from mastra_ros.emulation import ShapingProxy, parse_faults
from mastra_ros.gateway.embedded import EmbeddedGateway
from mastra_ros.gateway.sets import SqliteSetStore
from mastra_ros.protocol import decode
from mastra_ros.protocol.keys import add_device, init_keys
from mastra_ros.protocol.messages import FrameMessage

CUT_EVERY_S, CUT_S, LONGEST_S = 5, 0.5, 3600
LINK = "rate=20mbit@0s,delay=5ms@0s"
SILENT_S = 120.0
"""After so long without a frame more the part has failed."""


def cuts(every_s: float = CUT_EVERY_S, cut_s: float = CUT_S) -> str:
    """A cut now and then, as faults of the proxy."""
    times = range(1, int(LONGEST_S / every_s))
    return "".join(
        f",down@{int(n * every_s * 1000)}ms..{int((n * every_s + cut_s) * 1000)}ms" for n in times
    )


def sets(frames: int, times: int) -> dict[str, Any]:
    """Kill device and gateway in turn, so often in all, while so many frames go up."""
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as text, ExitStack() as stack:
        folder = Path(text)
        keys, state = folder / "keys", folder / "state"
        init_keys(keys)
        add_device(keys, "bench")
        bundle = write_tiny_bundle(folder)
        gateway = stack.enter_context(EmbeddedGateway(keys, [str(bundle)], state_dir=state))
        proxy = stack.enter_context(ShapingProxy("127.0.0.1", gateway.port))
        proxy.set_faults(parse_faults(LINK + cuts()))
        command = [sys.executable, "-m", "bench.set_teller", f"wss://127.0.0.1:{proxy.port}"]
        command += [str(keys), str(folder / "device"), str(frames), "bench"]
        device = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            for number in range(times):
                _await_committed(state, (number + 1) * frames // (times + 1))
                if number % 2:
                    gateway.restart()
                else:
                    device.kill()
                    device.wait()
                    device = subprocess.Popen(command, stdout=subprocess.DEVNULL)
            _await_committed(state, frames + 1)
        finally:
            device.kill()
            device.wait()
        took_s = time.perf_counter() - started
        gateway.stop()
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


def _await_committed(state: Path, count: int) -> None:
    held, changed_s = -1, time.monotonic()
    while held < count:
        before = held
        try:
            with closing(sqlite3.connect(state / "sets.sqlite3")) as db:
                (held,) = db.execute("SELECT count(*) FROM frame").fetchone()
        except sqlite3.OperationalError:
            held = max(0, held)
        if held != before:
            changed_s = time.monotonic()
        if time.monotonic() - changed_s > SILENT_S:
            raise RuntimeError(f"{held} of {count} frames, and no more within {SILENT_S:g} s")
        time.sleep(0.02)
