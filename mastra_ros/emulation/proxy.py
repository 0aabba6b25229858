"""A TCP relay on loopback that plays a schedule of faults; it needs no privileges."""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from ..errors import ConfigError
from .connection import Connection, listen
from .faults import Fault, LinkShape, link_at, next_change_s, resets_between
from .lane import Serialiser

LOOPBACK = "127.0.0.1"


class ShapingProxy:
    """Relays connections from a loopback port to `upstream`, in a thread of its own.

    The clock of the faults starts with `start()`, and again with `restart_clock()`. Use it as a
    context manager, or call `stop()`. seed: of the dice for jitter and loss.
    """

    def __init__(
        self,
        upstream_host: str,
        upstream_port: int,
        faults: Sequence[Fault] = (),
        *,
        listen_port: int = 0,
        seed: int = 0,
    ) -> None:
        self._seed = seed
        self._upstream = (upstream_host, upstream_port)
        self._faults = tuple(faults)
        self._listen_port = listen_port
        self._thread: threading.Thread | None = None
        self._relay: _Relay | None = None

    @property
    def port(self) -> int:
        """The port that clients connect to."""
        return self._running().port

    @property
    def shape(self) -> LinkShape:
        """The link as it is now."""
        return self._running().shape()

    @property
    def carried_bytes(self) -> tuple[int, int]:
        """Bytes delivered so far, up and down."""
        return self._running().carried_bytes()

    def start(self) -> ShapingProxy:
        """Listen; ConfigError when the port is taken."""
        started: Future[_Relay] = Future()
        self._thread = threading.Thread(
            target=asyncio.run, args=(self._main(started),), name="shaping-proxy", daemon=True
        )
        self._thread.start()
        self._relay = started.result()
        return self

    def stop(self) -> None:
        """Close everything; a second call does nothing."""
        if self._relay is not None and self._thread is not None:
            self._relay.call(self._relay.finish)
            self._thread.join()
        self._relay = None

    def set_faults(self, faults: Sequence[Fault]) -> None:
        """Play other faults from now on, on the running clock."""
        relay = self._running()
        relay.call(lambda: relay.replace(tuple(faults)))

    def restart_clock(self) -> None:
        """Make now the moment 0 s of the faults."""
        relay = self._running()
        relay.call(relay.restart)

    def __enter__(self) -> ShapingProxy:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _running(self) -> _Relay:
        if self._relay is None:
            raise RuntimeError("the proxy is not running")
        return self._relay

    async def _main(self, started: Future[_Relay]) -> None:
        try:
            relay = _Relay(self._upstream, self._faults, self._listen_port, self._seed)
        except (OSError, OverflowError) as error:
            started.set_exception(
                ConfigError(f"proxy: cannot listen on port {self._listen_port}: {error}")
            )
            return
        except BaseException as error:
            started.set_exception(error)  # or start() would wait for ever
            raise
        started.set_result(relay)
        await relay.run()


class _Relay:
    """The relay inside its event loop."""

    def __init__(
        self, upstream: tuple[str, int], faults: tuple[Fault, ...], listen_port: int, seed: int
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._upstream = upstream
        self._faults = faults
        self._alive: set[Connection] = set()
        self._lost: set[Connection] = set()
        self._burials: set[asyncio.Task[None]] = set()
        self._finished_bytes = (0, 0)
        self._serialisers = (Serialiser(self._now_s), Serialiser(self._now_s))
        self._moving = (asyncio.Event(), asyncio.Event())  # up, down
        self._rng = random.Random(seed)
        self._wake = asyncio.Event()
        self._done = False
        self._listener = listen(LOOPBACK, listen_port)
        self.port = int(self._listener.getsockname()[1])
        self._start_s = self._loop.time()
        self._applied_s = -math.inf

    def call(self, function: Callable[[], None]) -> None:
        """Run `function` in the loop, from any other thread, and wait for it."""
        done: Future[None] = Future()

        def run() -> None:
            try:
                function()
            except BaseException as error:
                done.set_exception(error)
                raise
            done.set_result(None)

        self._loop.call_soon_threadsafe(run)
        done.result()

    def shape(self) -> LinkShape:
        return link_at(self._faults, self._now_s())

    def carried_bytes(self) -> tuple[int, int]:
        up, down = self._finished_bytes
        for connection in list(self._alive):
            up += connection.carried_bytes[0]
            down += connection.carried_bytes[1]
        return up, down

    def replace(self, faults: tuple[Fault, ...]) -> None:
        self._faults = faults
        self._applied_s = self._now_s()
        self._wake.set()

    def restart(self) -> None:
        self._start_s = self._loop.time()
        self._applied_s = -math.inf
        self._wake.set()

    def finish(self) -> None:
        self._done = True
        self._wake.set()

    async def run(self) -> None:
        """Accept and play the faults until `finish()`."""
        accepting = asyncio.ensure_future(self._accept())
        try:
            while not self._done:
                self._wake.clear()
                self._apply()
                pause_s = next_change_s(self._faults, self._now_s()) - self._now_s()
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(
                        self._wake.wait(), None if math.isinf(pause_s) else max(pause_s, 0.0)
                    )
        finally:
            accepting.cancel()
            await asyncio.gather(accepting, return_exceptions=True)
            self._listener.close()
            self._lose_all()
            self._bury_lost()
            await asyncio.gather(*self._burials)

    def _now_s(self) -> float:
        return self._loop.time() - self._start_s

    def _apply(self) -> None:
        """Make the connections what the shape of this moment wants."""
        now_s = self._now_s()
        shape = link_at(self._faults, now_s)
        if shape.cut or resets_between(self._faults, self._applied_s, now_s):
            self._lose_all()
        if not shape.cut:
            # Who waited for an answer over a dead link learns of it when the link is back.
            self._bury_lost()
        self._applied_s = now_s
        for moving, way in zip(self._moving, (shape.up, shape.down), strict=True):
            if way.stalled:
                moving.clear()
            else:
                moving.set()

    def _lose_all(self) -> None:
        for connection in list(self._alive):
            connection.lose()
            self._lost.add(connection)
            self._retire(connection)

    def _bury_lost(self) -> None:
        for connection in self._lost:
            burial = asyncio.ensure_future(connection.bury())
            self._burials.add(burial)
            burial.add_done_callback(self._burials.discard)
        self._lost.clear()

    def _retire(self, connection: Connection) -> None:
        if connection in self._alive:
            self._alive.remove(connection)
            up, down = self._finished_bytes
            more_up, more_down = connection.carried_bytes
            self._finished_bytes = (up + more_up, down + more_down)

    async def _accept(self) -> None:
        while True:
            client, _ = await self._loop.sock_accept(self._listener)
            connection = Connection(
                client, self._upstream, self._serialisers, self.shape, self._moving, self._rng
            )
            if self.shape().cut:
                self._lost.add(connection)
            else:
                self._alive.add(connection)
                connection.start(self._retire)
