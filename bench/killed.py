"""A gateway and a device that are killed and started again, thousands of times if need be.

Both are forked from a server that has imported everything, so that a start takes a tenth of a
second and not two. What is killed (SIGKILL) is a process of its own all the same.
"""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from mastra_ros.config import GatewayConfig

IMPORTED = ("bench.record_teller", "bench.set_teller", "mastra_ros.gateway.server")
START_S = 120.0
SILENT_S = 120.0
"""After so long without anything more committed the part has failed."""
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload([*IMPORTED, "mastra_ros.compression", "onnxruntime"])


class Killed:
    """Runs `work(*arguments)` in a process, again after each `kill`."""

    def __init__(self, work: Callable[..., Any], *arguments: Any) -> None:
        self._work = work
        self._arguments = arguments
        self._process: BaseProcess | None = None

    def start(self) -> None:
        """Begin, from what it has on disk."""
        self._process = CONTEXT.Process(target=self._work, args=self._arguments, daemon=True)
        self._process.start()

    def kill(self) -> None:
        """End it at once; nothing happens where it does not run."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.join()

    def restart(self) -> None:
        """Kill it, and begin again."""
        self.kill()
        self.start()


class KilledGateway(Killed):
    """A gateway; after the first start on the same port."""

    def __init__(self, keys: Path, bundle: Path, state: Path) -> None:
        self.config = GatewayConfig(
            host="127.0.0.1",
            port=0,
            keys_dir=str(keys),
            bundles=(str(bundle),),
            state_dir=str(state),
            applications=(),
        )
        super().__init__(_serve)

    @property
    def port(self) -> int:
        """That it listens on, once it was started."""
        return self.config.port

    def start(self) -> None:
        """Begin, and wait until devices may connect."""
        ours, theirs = CONTEXT.Pipe(duplex=False)
        self._arguments = (self.config, theirs)
        super().start()
        theirs.close()
        with ours:
            if not ours.poll(START_S):
                raise RuntimeError(f"the gateway was not ready within {START_S:g} s")
            url = ours.recv()  # EOFError where it has ended
        self.config = replace(self.config, port=int(url.rsplit(":", 1)[1]))


def _serve(config: GatewayConfig, ready: Connection) -> None:
    from mastra_ros.gateway.server import serve

    logging.disable(logging.WARNING)
    asyncio.run(serve(config, ready.send, parent_pid=os.getppid()))


def await_rows(path: Path, table: str, count: int) -> None:
    """Wait until a table of a database has so many rows. RuntimeError where none comes any more."""
    held, changed_s = -1, time.monotonic()
    while held < count:
        before = held
        try:
            with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
                (held,) = db.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608
        except sqlite3.OperationalError:
            held = max(0, held)
        if held != before:
            changed_s = time.monotonic()
        if time.monotonic() - changed_s > SILENT_S:
            raise RuntimeError(f"{table}: {held} of {count} rows, and no more in {SILENT_S:g} s")
        time.sleep(0.005)


def kill_in_turn(gateway: Killed, device: Killed, times: int, wait: Callable[[int], None]) -> None:
    """Kill the device, then the gateway, and so on; `wait(n)` before the kill of this number."""
    for number in range(times):
        wait(number)
        (gateway if number % 2 else device).restart()
