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
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from bench.tiny_model import write_tiny_bundle
from mastra_ros.config import GatewayConfig
from mastra_ros.emulation import ShapingProxy, parse_faults
from mastra_ros.protocol.keys import add_device, init_keys

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


@contextmanager
def killed_in_turn(
    tell: Callable[..., Any], count: int, times: int, faults: str, rows: tuple[str, str, int]
) -> Iterator[Path]:
    """Kill device and gateway in turn, so often in all, while `tell` tells of `count`.

    faults: of the link. rows: the file of the gateway, its table, and how many rows that has in
    the end. Gives the gateway's state, whole and with nobody at work in it.
    """
    file_name, table, wanted = rows
    with tempfile.TemporaryDirectory() as text, ExitStack() as stack:
        folder = Path(text)
        keys, state = folder / "keys", folder / "state"
        init_keys(keys)
        add_device(keys, "bench")
        gateway = KilledGateway(keys, write_tiny_bundle(folder), state)
        stack.callback(gateway.kill)
        gateway.start()
        proxy = stack.enter_context(ShapingProxy("127.0.0.1", gateway.port))
        proxy.set_faults(parse_faults(faults))
        url = f"wss://127.0.0.1:{proxy.port}"
        device = Killed(tell, url, str(keys), str(folder / "device"), count, "bench")
        stack.callback(device.kill)
        device.start()
        for number in range(times):
            await_rows(state / file_name, table, (number + 1) * count // (times + 1))
            (gateway if number % 2 else device).restart()
        await_rows(state / file_name, table, wanted)
        device.kill()
        gateway.kill()
        yield state
