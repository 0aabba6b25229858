"""A session on a WebSocket that behaves as no real client of ours does: sockets are faked here."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from starlette.websockets import WebSocket

from mastra_ros.config import GatewayConfig
from mastra_ros.gateway import stream
from mastra_ros.gateway.frames import Answer
from mastra_ros.gateway.metrics import Metrics
from mastra_ros.gateway.outgoing import OUTGOING_MAX
from mastra_ros.gateway.sessions import Sessions
from mastra_ros.gateway.stream import StreamSession
from mastra_ros.protocol import (
    FrameMessage,
    Goodbye,
    Heartbeat,
    HeartbeatAck,
    Hello,
    Nack,
    ResultMessage,
    Welcome,
    decode,
    encode,
)

DEADLINE_S = 20.0


class Peer:
    """The other end: what it says stands in `incoming`; it takes in messages while `reading`."""

    def __init__(self) -> None:
        self.incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.incoming.put_nowait({"type": "websocket.connect"})
        self.outgoing: list[dict[str, Any]] = []
        self.reading = asyncio.Event()
        self.reading.set()
        self.gone = False

    def say(self, *messages: Any) -> None:
        for message in messages:
            data = {"type": "websocket.receive", "bytes": encode(message)}
            self.incoming.put_nowait(data)

    async def receive(self) -> dict[str, Any]:
        return await self.incoming.get()

    async def send(self, message: dict[str, Any]) -> None:
        if self.gone and message["type"] == "websocket.send":
            raise RuntimeError("Transport not initialized or closed")
        await self.reading.wait()
        self.outgoing.append(message)

    def heard(self) -> list[Any]:
        return [decode(m["bytes"]) for m in self.outgoing if m["type"] == "websocket.send"]

    def close_codes(self) -> list[int]:
        return [m["code"] for m in self.outgoing if m["type"] == "websocket.close"]


class Setup:
    """A session and its peer."""

    def __init__(self, **config: Any) -> None:
        self.peer = Peer()
        self.answers: list[Any] = []  # to each frame
        self.metrics = Metrics()
        self.sessions = Sessions(8)
        scope = {"type": "websocket", "path": "/v1/stream", "headers": []}
        self.session = StreamSession(
            WebSocket(scope, self.peer.receive, self.peer.send),  # type: ignore[arg-type]
            "cam",
            config=GatewayConfig(**config),
            frames=self,  # type: ignore[arg-type]
            sessions=self.sessions,
            metrics=self.metrics,
            software="test",
            settings={"compression.quality": 60},
        )

    def take(self, _: str, __: object, ___: int, reply: Callable[[Answer], None]) -> None:
        reply(Answer(self.answers, "committed"))

    async def until(self, condition: Callable[[], bool]) -> None:
        deadline_s = time.monotonic() + DEADLINE_S
        while not condition():
            assert time.monotonic() < deadline_s
            await asyncio.sleep(0.001)


def run(test: Callable[[Setup], Coroutine[Any, Any, None]], **config: Any) -> None:
    async def main() -> None:
        setup = Setup(**config)
        serving = asyncio.ensure_future(setup.session.run())
        await asyncio.wait_for(test(setup), DEADLINE_S)
        await asyncio.wait_for(serving, DEADLINE_S)
        assert len(setup.sessions) == 0

    asyncio.run(main())


def test_a_device_that_takes_in_nothing_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "FAREWELL_S", 0.05)

    async def test(setup: Setup) -> None:
        setup.peer.say(Hello(1, "cam", "main"))
        await setup.until(lambda: bool(setup.peer.heard()))
        setup.peer.reading.clear()
        setup.peer.say(*(Heartbeat(i, i) for i in range(OUTGOING_MAX + 10)))
        await setup.until(lambda: len(setup.sessions) == 0)
        text = setup.metrics.text().decode()
        assert 'session_ends_total{code="overloaded"} 1.0' in text

    run(test)


def test_a_connection_that_breaks_while_we_write_ends_the_session() -> None:
    async def test(setup: Setup) -> None:
        setup.peer.say(Hello(1, "cam", "main"))
        await setup.until(lambda: bool(setup.peer.heard()))
        setup.peer.gone = True
        setup.peer.say(Heartbeat(1, 1))
        await setup.until(lambda: len(setup.sessions) == 0)
        assert 'session_ends_total{code="disconnected"} 1.0' in setup.metrics.text().decode()

    run(test)


@pytest.mark.parametrize("event", [{"type": "websocket.receive", "bytes": 7}, {}])
def test_a_fault_of_ours_ends_the_session_at_once_and_is_logged(
    event: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    async def test(setup: Setup) -> None:
        setup.peer.say(Hello(1, "cam", "main"))
        await setup.until(lambda: bool(setup.peer.heard()))
        setup.peer.incoming.put_nowait(event)
        await setup.until(lambda: len(setup.sessions) == 0)
        assert 'session_ends_total{code="failed"} 1.0' in setup.metrics.text().decode()
        assert "Traceback" in caplog.text
        assert setup.peer.close_codes() == [1011]

    run(test)


def test_an_answer_that_no_message_can_carry_is_refused_and_the_session_goes_on() -> None:
    async def test(setup: Setup) -> None:
        setup.answers = [ResultMessage("main", 7, "cloud", bytes(16_000), bytes(4_000))]
        setup.peer.say(Hello(1, "cam", "main"), FrameMessage("main", 7, "key", 8, 8, "bgr8", b""))
        await setup.until(lambda: any(isinstance(m, Nack) for m in setup.peer.heard()))
        (nack,) = [m for m in setup.peer.heard() if isinstance(m, Nack)]
        assert (nack.stamp_ns, nack.code) == (7, "failed")
        assert "cannot be sent" in nack.text
        setup.peer.say(Heartbeat(1, 1))
        await setup.until(lambda: isinstance(setup.peer.heard()[-1], HeartbeatAck))
        setup.session.end("closing", "enough")

    run(test, message_bytes_max=4096)


def test_what_was_said_before_the_goodbye_arrives_before_it() -> None:
    async def test(setup: Setup) -> None:
        setup.peer.say(Hello(1, "cam", "main"), *(Heartbeat(i, i) for i in range(100)))
        await setup.until(lambda: setup.peer.incoming.empty())
        setup.session.end("closing", "enough")
        await setup.until(lambda: len(setup.sessions) == 0)
        kinds = [type(message) for message in setup.peer.heard()]
        assert kinds == [Welcome, *[HeartbeatAck] * 100, Goodbye]
        assert setup.peer.close_codes() == [1001]

    run(test)


def test_the_welcome_says_what_the_device_shall_change() -> None:
    async def test(setup: Setup) -> None:
        setup.peer.say(Hello(1, "cam", "main"))
        await setup.until(lambda: bool(setup.peer.heard()))
        (welcome,) = setup.peer.heard()
        assert welcome.settings == {"compression.quality": 60}
        setup.session.end("closing", "enough")

    run(test)


def test_ending_twice_is_harmless() -> None:
    async def test(setup: Setup) -> None:
        setup.peer.say(Hello(1, "cam", "main"))
        await setup.until(lambda: bool(setup.peer.heard()))
        setup.session.end("closing", "once")
        setup.session.end("replaced", "twice")
        await setup.until(lambda: len(setup.sessions) == 0)
        assert [m.code for m in setup.peer.heard() if isinstance(m, Goodbye)] == ["closing"]

    run(test)


def test_sessions_that_do_not_end_are_not_waited_for_for_ever() -> None:
    class Stuck:
        def end(self, code: str, text: str) -> None:
            """Never ends."""

    async def main() -> None:
        sessions = Sessions(1)
        stuck = Stuck()
        assert sessions.refuses("cam") == ""
        sessions.connect(stuck, "cam")
        assert sessions.refuses("cam") == "1 sessions are open"
        await asyncio.wait_for(sessions.close(0.01), DEADLINE_S)
        sessions.disconnect(stuck)
        await asyncio.wait_for(sessions.close(DEADLINE_S), DEADLINE_S)

    asyncio.run(main())
