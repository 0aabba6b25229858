"""`/v1/stream`: one WebSocket with the session of a device inside.

Three tasks serve a connection. The reader takes in messages and starts the work on frames, so
that heartbeats are answered at once whatever else goes on; the writer sends what the others
have to say, in order; the clock notices a device that has gone silent. Whichever ends first
ends the session.

Granian takes frames of at most 16 MiB and messages of at most 64 MiB, and drops a connection that
sends more; what is larger than `message_bytes_max` is refused here, once it is there.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.websockets import WebSocket

from ..config import GatewayConfig
from ..errors import ProtocolError
from ..protocol import (
    Event,
    FrameMessage,
    Goodbye,
    Hello,
    KeyFrameRequest,
    Message,
    Nack,
    Refused,
    Role,
    Send,
    Session,
    Silent,
    State,
)
from .frames import Frames
from .metrics import Metrics
from .sessions import Sessions

logger = logging.getLogger(__name__)

OUTGOING_MAX = 1024
"""Messages that wait for a slow device before it is dropped."""
CLOCK_S = 0.1
"""The clock is looked at this often, for the device's Hello asks for heartbeats from then on."""
FAREWELL_S = 1.0
"""How long a device may take to hear our goodbye."""

CLOSE_CODES = {
    "closing": 1001,
    "protocol": 1002,
    "version": 1002,
    "forbidden": 1008,
    "overloaded": 1013,
    "silent": 1001,
    "replaced": 1001,
}
"""Codes of RFC 6455 for the codes of Goodbye."""
TOO_BIG = 1009
NORMAL = 1000
FAILED = 1011


@dataclass(frozen=True)
class End:
    """Why and how a session ends; without a goodbye (None) the device has gone already."""

    code: str
    text: str
    close_code: int = NORMAL
    goodbye: bytes | None = None


class StreamSession:
    """The session of one device on one WebSocket."""

    def __init__(
        self,
        websocket: WebSocket,
        device: str,
        *,
        config: GatewayConfig,
        frames: Frames,
        sessions: Sessions,
        metrics: Metrics,
        software: str,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        """`settings` are asked of the device in the welcome."""
        self._websocket = websocket
        self._config = config
        self._frames = frames
        self._sessions = sessions
        self._settings = settings or {}
        self._metrics = metrics
        self._protocol = Session(
            Role.GATEWAY,
            device=device,
            now_ns=time.monotonic_ns(),
            software=software,
            silence_timeout_ns=int(config.heartbeat_timeout_ms * 1e6),
            bytes_max=config.message_bytes_max,
        )
        self._outgoing: asyncio.Queue[bytes] = asyncio.Queue(OUTGOING_MAX)
        self._in_work: set[asyncio.Task[None]] = set()
        self._ended: asyncio.Future[End] = asyncio.get_running_loop().create_future()

    @property
    def name(self) -> str:
        """Device and stream, for the log."""
        return f"{self._protocol.device}/{self._protocol.stream or '?'}"

    async def run(self) -> None:
        """Serve until one side ends the session."""
        await self._websocket.accept()
        self._sessions.connect(self)
        self._metrics.sessions.inc()
        reader = asyncio.ensure_future(self._read())
        writer = asyncio.ensure_future(self._write())
        clock = asyncio.ensure_future(self._watch_clock())
        for task in (reader, writer, clock):
            task.add_done_callback(self._notice_fault)
        try:
            end = await self._ended
            logger.info("%s: session ended (%s): %s", self.name, end.code, end.text)
            self._metrics.session_ends.labels(end.code).inc()
            # The socket can be closed only when nobody reads from it.
            await _cancel(reader, clock)
            await self._hang_up(end, writer)
        finally:
            await _cancel(reader, writer, clock, *self._in_work)
            self._sessions.disconnect(self)
            self._metrics.sessions.dec()

    def end(self, code: str, text: str) -> None:
        """Say goodbye for the reason `code` and hang up."""
        if self._protocol.state is State.CLOSED:
            goodbye = None
        else:
            goodbye = self._protocol.send(Goodbye(code, text), time.monotonic_ns())
        self._end(End(code, text, CLOSE_CODES[code], goodbye))

    def _end(self, end: End) -> None:
        if not self._ended.done():
            self._ended.set_result(end)

    def _notice_fault(self, task: asyncio.Task[None]) -> None:
        """A fault of ours ends the session at once; without this its device would wait in vain."""
        error = None if task.cancelled() else task.exception()
        if error is not None:
            logger.error("%s: failed", self.name, exc_info=error)
            self._end(End("failed", type(error).__name__, FAILED, b""))

    async def _read(self) -> None:
        while True:
            incoming = await self._websocket.receive()
            if incoming["type"] == "websocket.disconnect":
                self._end(End("disconnected", f"code {incoming.get('code', 1005)}"))
                return
            data = incoming.get("bytes")
            try:
                if data is None:
                    raise ProtocolError("expected binary messages, got text")
                self._metrics.received_bytes.inc(len(data))
                for event in self._protocol.receive(data, time.monotonic_ns()):
                    self._handle(event)
            except ProtocolError as error:
                too_big = data is not None and len(data) > self._config.message_bytes_max
                code = TOO_BIG if too_big else CLOSE_CODES["protocol"]
                farewell = self._protocol.farewell(error)
                self._end(End("protocol", str(error), code, farewell))
                return

    def _handle(self, event: Event) -> None:
        now_ns = time.monotonic_ns()
        if isinstance(event, Send):
            self._put(event.data)
        elif isinstance(event, FrameMessage):
            self._take(event, now_ns)
        elif isinstance(event, Hello):
            self._sessions.claim(self._protocol.device, event.stream, self)
            self._put(self._protocol.welcome(now_ns, self._settings))
            logger.info("%s: session %s opened", self.name, self._protocol.session)
        elif isinstance(event, Refused):
            logger.warning("%s: %s", self.name, event.nack.text)
            if isinstance(event.message, FrameMessage):
                lane = "late" if event.message.late else "live"
                self._metrics.frames.labels(event.message.kind, lane, event.nack.code).inc()
        elif isinstance(event, Goodbye):
            self._end(End("goodbye", f"{event.code} {event.text}", NORMAL, b""))

    def _take(self, message: FrameMessage, now_ns: int) -> None:
        if len(self._in_work) >= self._config.in_flight_max:
            text = f"{len(self._in_work)} frames of this device are in work"
            lane = "late" if message.late else "live"
            self._metrics.frames.labels(message.kind, lane, "overloaded").inc()
            self._say(Nack(message.stream, message.stamp_ns, "overloaded", text, message.id))
            return
        task = asyncio.ensure_future(self._answer(message, now_ns))
        self._in_work.add(task)
        task.add_done_callback(self._in_work.discard)
        task.add_done_callback(self._notice_fault)

    async def _answer(self, message: FrameMessage, received_ns: int) -> None:
        answer = await self._frames.answer(self._protocol.device, message, received_ns)
        for part in answer.messages:
            if isinstance(part, KeyFrameRequest):
                self._metrics.key_frame_requests.inc()
            elif isinstance(part, Nack):
                logger.info(
                    "%s: %d refused (%s): %s", self.name, part.stamp_ns, part.code, part.text
                )
            try:
                self._say(part)
            except ProtocolError as error:  # larger than a message may be
                text = f"the answer cannot be sent: {error}"
                logger.error("%s: %d: %s", self.name, message.stamp_ns, text)
                nack = Nack(message.stream, message.stamp_ns, "failed", text[:1024], message.id)
                self._say(nack)
                return

    def _say(self, message: Message) -> None:
        if self._protocol.state is State.OPEN:
            self._put(self._protocol.send(message, time.monotonic_ns()))

    def _put(self, data: bytes) -> None:
        try:
            self._outgoing.put_nowait(data)
        except asyncio.QueueFull:
            self.end("overloaded", f"the device does not take in {OUTGOING_MAX} messages")

    async def _write(self) -> None:
        while True:
            data = await self._outgoing.get()
            try:
                await self._websocket.send_bytes(data)
            except RuntimeError as error:  # the server's word for a connection that is gone
                self._end(End("disconnected", str(error)))
                return
            self._metrics.sent_bytes.inc(len(data))
            self._outgoing.task_done()

    async def _watch_clock(self) -> None:
        while (due_ns := self._protocol.next_timeout_ns) is not None:
            wait_s = (due_ns - time.monotonic_ns()) / 1e9
            await asyncio.sleep(min(max(0.0, wait_s), CLOCK_S))
            for event in self._protocol.tick(time.monotonic_ns()):
                if isinstance(event, Silent):
                    text = f"nothing heard for {event.silence_ns / 1e9:.1f} s"
                    self._end(End("silent", text, CLOSE_CODES["silent"], b""))
                elif isinstance(event, Send):
                    self._put(event.data)

    async def _hang_up(self, end: End, writer: asyncio.Task[None]) -> None:
        """Send what is left, the goodbye and the close frame, as far as the device takes them."""
        try:
            if end.goodbye is not None:
                await asyncio.wait_for(self._outgoing.join(), FAREWELL_S)
            await _cancel(writer)
            if end.goodbye:
                await asyncio.wait_for(self._websocket.send_bytes(end.goodbye), FAREWELL_S)
        except (asyncio.TimeoutError, RuntimeError) as error:
            logger.debug("%s: goodbye not heard: %s", self.name, error)
        await _cancel(writer)
        # Closing drops the connection also when the device takes in nothing any more.
        with contextlib.suppress(asyncio.TimeoutError, RuntimeError):
            await asyncio.wait_for(
                self._websocket.close(end.close_code, end.text[:100]), FAREWELL_S
            )


async def _cancel(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
