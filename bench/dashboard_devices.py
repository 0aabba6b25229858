"""Devices that tell statuses and send no frames: many of them in one process.

    python -m bench.dashboard_devices PORT KEYS LIVE TOLD PAST_S

LIVE devices (live-0, …) keep a session, with a status and a heartbeat each second, and tell the
last PAST_S seconds of themselves first; TOLD others (told-0, …) tell one status and go. Prints
`ready` when all have told, and ends when its standard input does.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from pathlib import Path

from websockets.exceptions import ConnectionClosed, InvalidHandshake

from bench.attacks.healthy import open_websocket
from bench.dashboard_scene import status
from mastra_ros.protocol import Heartbeat, Hello, Welcome, decode, encode
from mastra_ros.protocol.statuses import EXTENSION, StatusReport
from mastra_ros.statuses import pack_status

PERIOD_S = 1.0
TRIES = 5
AT_ONCE = 8
PAST_PER_S = 11
"""Of the past, beside the one of now; the gateway listens to twelve a second."""


class Teller:
    """One device."""

    def __init__(self, port: int, keys: Path, name: str, place: int) -> None:
        self._port, self._keys, self._name, self._place = port, keys, name, place
        self._number = 0

    async def once(self) -> None:
        """Tell one status, and go when it was heard; the gateway may be short of sessions."""
        for _ in range(TRIES):
            with contextlib.suppress(OSError, InvalidHandshake, ConnectionClosed):
                await self._once()
                return
            await asyncio.sleep(1.0)
        await self._once()

    async def _once(self) -> None:
        async with open_websocket(self._port, self._keys, self._name) as socket:
            await self._greet(socket)
            await self._tell(socket, 0.0)
            await socket.send(encode(Heartbeat(1, 0)))
            await socket.recv()

    async def live(self, past_s: float, ready: asyncio.Semaphore) -> None:
        """Tell for ever, of the past first; `ready` is let go of when that is told."""
        async with open_websocket(self._port, self._keys, self._name, life_s=3600.0) as socket:
            await self._greet(socket)
            listening = asyncio.ensure_future(_listen(socket))
            left_s = past_s
            began = time.perf_counter()
            try:
                for beat in range(10**9):
                    await self._tell(socket, 0.0)
                    for _ in range(PAST_PER_S):
                        if left_s > 0:
                            await self._tell(socket, left_s)
                            left_s -= PERIOD_S
                    if left_s <= 0 and past_s >= 0:
                        past_s = -1.0
                        ready.release()
                    await socket.send(encode(Heartbeat(beat, 0)))
                    await asyncio.sleep(
                        max(0.0, began + (beat + 1) * PERIOD_S - time.perf_counter())
                    )
            finally:
                listening.cancel()

    async def _greet(self, socket: object) -> None:
        hello = Hello(1, self._name, "main", extensions=(EXTENSION,))
        await socket.send(encode(hello))  # type: ignore[attr-defined]
        answer = decode(await socket.recv())  # type: ignore[attr-defined]
        if not isinstance(answer, Welcome):
            raise RuntimeError(f"expected Welcome, got {answer}")

    async def _tell(self, socket: object, ago_s: float) -> None:
        self._number += 1
        told = pack_status(status(time.time() - ago_s, self._place))
        report = StatusReport(1, self._number, told, int(ago_s * 1e3))
        await socket.send(encode(report))  # type: ignore[attr-defined]


async def _listen(socket: object) -> None:
    async for _ in socket:  # type: ignore[attr-defined]
        pass


async def work(port: int, keys: Path, live: int, told: int, past_s: float) -> None:
    """Tell until the standard input ends."""
    bound = asyncio.Semaphore(AT_ONCE)

    async def tell_once(n: int) -> None:
        async with bound:
            await Teller(port, keys, f"told-{n}", n).once()

    await asyncio.gather(*(tell_once(n) for n in range(told)))
    ready = asyncio.Semaphore(0)
    tasks = [
        asyncio.ensure_future(Teller(port, keys, f"live-{n}", n).live(past_s, ready))
        for n in range(live)
    ]
    waiting = asyncio.ensure_future(_all(ready, live))
    await asyncio.wait({waiting, *tasks}, return_when=asyncio.FIRST_COMPLETED)
    print("ready", flush=True)
    gone = asyncio.ensure_future(asyncio.to_thread(sys.stdin.read))
    done, _ = await asyncio.wait({gone, *tasks}, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        if task in done:
            task.result()
        task.cancel()


async def _all(ready: asyncio.Semaphore, count: int) -> None:
    for _ in range(count):
        await ready.acquire()


def main() -> None:
    """Tell."""
    port, keys, live, told, past_s = sys.argv[1:]
    asyncio.run(work(int(port), Path(keys), int(live), int(told), float(past_s)))


if __name__ == "__main__":
    main()
