"""The healthy device beside an attack: a process that sends frames and times the answers.

    python -m bench.attacks.healthy PORT KEYS DEVICE STREAM

For each line on its standard input it prints, as JSON, what it has seen since the last one.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
from websockets.asyncio.client import ClientConnection, connect

from bench.tiny_model import TINY_PX
from mastra_ros.compression import Encoder
from mastra_ros.config import CompressionConfig
from mastra_ros.privacy import hiding_nothing
from mastra_ros.protocol import Ack, FrameMessage, Nack, Role, Send, Session, encode
from mastra_ros.protocol.keys import audience_of, load_device_key
from mastra_ros.protocol.tls import client_context
from mastra_ros.protocol.tokens import sign_token
from mastra_ros.types import Frame, FrameKey

GATE = hiding_nothing("drawn pictures; nobody is on them")
ROOT = Path(__file__).resolve().parents[2]
PERIOD_S = 0.03
LOST_S = 30.0
"""A busy machine answers late; what is not answered by then never is."""


@dataclass
class Seen:
    """Of the frames since the last question: when each was answered, and how."""

    latencies_ms: list[float] = field(default_factory=list)
    sent: int = 0
    acknowledged: int = 0
    refused: int = 0
    lost: int = 0
    twice: int = 0
    sessions: int = 0
    connect_ms: float = 0.0  # the longest
    waiting_ms: float = 0.0  # so long the oldest frame has had no answer


def open_websocket(
    port: int, keys: Path, device: str, host: str = "127.0.0.1", life_s: float = 300.0
) -> connect:
    """A connection of `device` with a fresh token."""
    token = sign_token(device, load_device_key(keys, device), audience_of(keys), life_s)
    return connect(
        f"wss://{host}:{port}/v1/stream",
        ssl=tls_of(keys),
        additional_headers={"Authorization": f"Bearer {token}"},
        compression=None,
        proxy=None,
        ping_interval=None,
        open_timeout=20.0,
    )


def tls_of(keys: Path) -> ssl.SSLContext:
    """What a device trusts."""
    return client_context(keys / "ca.crt")


class Healthy:
    """Sends a frame each `PERIOD_S`, connects again when the session ends, and counts."""

    def __init__(self, port: int, keys: Path, device: str, stream: str) -> None:
        self._port, self._keys, self._device, self._stream = port, keys, device, stream
        self._seen = Seen()
        self._sent_at: dict[int, float] = {}
        self._stamp_ns = 0
        self._encoder = Encoder(CompressionConfig(codec="png"), stream)
        self._image = np.zeros((TINY_PX, TINY_PX), np.uint8)

    def take_seen(self) -> Seen:
        """What was seen since the last question."""
        now = time.perf_counter()
        for stamp_ns, sent in list(self._sent_at.items()):
            if now - sent > LOST_S:
                del self._sent_at[stamp_ns]
                self._seen.lost += 1
        oldest = min(self._sent_at.values(), default=now)
        self._seen.waiting_ms = (now - oldest) * 1e3
        seen, self._seen = self._seen, Seen()
        return seen

    async def run(self) -> None:
        """Go on for ever."""
        while True:
            started = time.perf_counter()
            with contextlib.suppress(Exception):
                async with open_websocket(self._port, self._keys, self._device) as websocket:
                    await self._session(websocket, started)
            # What was under way is lost with its session, and not for ever: a bridge spools it.
            self._sent_at.clear()
            await asyncio.sleep(0.02)

    async def _session(self, websocket: ClientConnection, started: float) -> None:
        session = Session(
            Role.DEVICE, device=self._device, stream=self._stream, now_ns=time.monotonic_ns()
        )
        await websocket.send(session.hello(time.monotonic_ns()))
        sender: asyncio.Task[None] | None = None
        try:
            async for data in websocket:
                assert isinstance(data, bytes)
                for event in session.receive(data, time.monotonic_ns()):
                    if isinstance(event, Send):
                        await websocket.send(event.data)
                    elif isinstance(event, (Ack, Nack)):
                        self._answered(event)
                if session.session and sender is None:
                    self._seen.sessions += 1
                    took_ms = (time.perf_counter() - started) * 1e3
                    self._seen.connect_ms = max(self._seen.connect_ms, took_ms)
                    sender = asyncio.ensure_future(self._send(websocket))
        finally:
            if sender is not None:
                sender.cancel()
                await asyncio.gather(sender, return_exceptions=True)

    async def _send(self, websocket: ClientConnection) -> None:
        due = time.perf_counter()
        while True:
            self._stamp_ns = time.time_ns()
            frame = Frame(FrameKey(self._stream, self._stamp_ns), self._image, "mono8")
            packet = replace(
                self._encoder.encode(GATE.clear(frame), late=True), late=False
            )  # a key frame
            self._sent_at[self._stamp_ns] = time.perf_counter()
            self._seen.sent += 1
            await websocket.send(encode(FrameMessage.from_packet(packet)))
            due = max(due + PERIOD_S, time.perf_counter())
            await asyncio.sleep(due - time.perf_counter())

    def _answered(self, answer: Ack | Nack) -> None:
        sent = self._sent_at.pop(answer.stamp_ns, None)
        if sent is None:
            return
        if isinstance(answer, Nack):
            self._seen.refused += 1
            return
        self._seen.acknowledged += 1
        self._seen.twice += answer.duplicate
        self._seen.latencies_ms.append((time.perf_counter() - sent) * 1e3)


class HealthyProcess:
    """The device in a process of its own."""

    def __init__(self, port: int, keys: Path, device: str, stream: str) -> None:
        command = [sys.executable, "-m", __name__, str(port), str(keys), device, stream]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
        )

    def seen(self) -> Seen:
        """What it has seen since the last question."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return Seen(**json.loads(self._process.stdout.readline()))

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()


async def _main() -> None:
    port, keys, device, stream = sys.argv[1:]
    healthy = Healthy(int(port), Path(keys), device, stream)
    running = asyncio.ensure_future(healthy.run())
    loop = asyncio.get_running_loop()
    while await loop.run_in_executor(None, sys.stdin.readline):
        print(json.dumps(asdict(healthy.take_seen())), flush=True)
    running.cancel()


if __name__ == "__main__":
    asyncio.run(_main())
