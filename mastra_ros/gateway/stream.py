"""`/v1/stream`: one WebSocket with the session of a device inside.

Three tasks serve a connection. The reader takes in messages and starts the work on frames, so
that heartbeats are answered at once whatever else goes on; the writer sends what the others
have to say, in order; the clock notices a device that has gone silent. Whichever ends first
ends the session.

A session lasts as long as its permit: the device renews that with a fresh token, or the session is
closed in a moment in which no frame of it is in work, and the device comes back with a new one.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.websockets import WebSocket

from ..config import GatewayConfig
from ..errors import AuthenticationError, ProtocolError
from ..protocol import (
    Event,
    FrameMessage,
    Goodbye,
    Hello,
    KeyFrameRequest,
    Message,
    Nack,
    Refused,
    Renewal,
    Role,
    Send,
    Session,
    Silent,
    State,
    decode,
)
from .auth import Permit
from .cargo import CARGO, Cargo, CargoDesks
from .door.logs import Sparing
from .door.websocket import FAULT, MEMORY
from .frames import Frames
from .memory import Memory
from .metrics import Metrics
from .sessions import Sessions

logger = logging.getLogger(__name__)

OUTGOING_MAX = 1024
"""Messages that wait for a slow device before it is dropped."""
CLOCK_S = 0.1
"""The clock is looked at this often, for the device's Hello asks for heartbeats from then on."""
FAREWELL_S = 1.0
"""How long a device may take to hear our goodbye."""
LARGE_BYTES = 262_144
"""Larger messages are decoded off the event loop."""
EARLY_S = 2.0
"""So long before its permit ends a session that has no frame in work is closed."""
DRAIN_S = 1.0
"""So long after it ended, frames in work are still answered; new ones are refused."""
RENEWALS_PAUSE_S = 1.0
"""A device may renew its permit this often."""

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
        permit: Permit | None = None,
        renew: Callable[[str, str], Permit] | None = None,
        memory: Memory | None = None,
        logs: Sparing | None = None,
        cargo: CargoDesks | None = None,
    ) -> None:
        """`settings` are asked of the device in the welcome; without a permit it has no end.

        `renew(device, token)` gives the permit of a fresh token, or raises AuthenticationError.
        """
        self._websocket = websocket
        self._config = config
        self._frames = frames
        self._sessions = sessions
        self._settings = settings or {}
        self._metrics = metrics
        self._renew = renew
        self._renewed_s = -RENEWALS_PAUSE_S
        self._memory = (memory or Memory(config.memory_bytes_max)).account(device)
        self._logs = logs or Sparing(logger)
        self.permit = permit or Permit(device, math.inf)
        self._protocol = Session(
            Role.GATEWAY,
            device=device,
            now_ns=time.monotonic_ns(),
            software=software,
            silence_timeout_ns=int(config.heartbeat_timeout_ms * 1e6),
            bytes_max=config.message_bytes_max,
            extensions=cargo.extensions if cargo is not None else (),
        )
        self._outgoing: asyncio.Queue[bytes] = asyncio.Queue(OUTGOING_MAX)
        self._in_work: set[asyncio.Task[None]] = set()
        self.cargo: Cargo | None = None
        if cargo is not None:
            self.cargo = Cargo(cargo, device, self._say, self._notice_fault)
        self._ended: asyncio.Future[End] = asyncio.get_running_loop().create_future()

    @property
    def name(self) -> str:
        """Device and stream, for the log."""
        return f"{self._protocol.device}/{self._protocol.stream or '?'}"

    async def run(self) -> None:
        """Serve until one side ends the session."""
        self._sessions.connect(self, self._protocol.device)
        self._metrics.sessions.inc()
        try:
            await self._serve()
        finally:
            self._sessions.disconnect(self)
            self._metrics.sessions.dec()

    async def _serve(self) -> None:
        self._websocket.scope[MEMORY] = self._memory
        await self._websocket.accept()
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
            cargo = () if self.cargo is None else self.cargo.tasks
            await _cancel(reader, writer, clock, *self._in_work, *cargo)
            while not self._outgoing.empty():
                self._memory.give(len(self._outgoing.get_nowait()))

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
                    self._refuse(incoming.get(FAULT, "expected binary messages, got text"))
                    return
                self._metrics.received_bytes.inc(len(data))
                for event in await self._events(data):
                    self._handle(event)
            except ProtocolError as error:
                farewell = self._protocol.farewell(error)
                self._end(End("protocol", str(error), CLOSE_CODES["protocol"], farewell))
                return

    def _refuse(self, fault: str) -> None:
        """What came was refused before it was complete; the connection takes in no more."""
        if not fault:
            self.end("overloaded", "no memory for what this device sends")
            return
        farewell = self._protocol.farewell(ProtocolError(fault))
        code = TOO_BIG if "expected at most" in fault else CLOSE_CODES["protocol"]
        self._end(End("protocol", fault, code, farewell))

    async def _events(self, data: bytes) -> list[Event]:
        """What one message leads to; a large one costs the others no time."""
        if len(data) < LARGE_BYTES or self._protocol.state is State.CLOSED:
            return self._protocol.receive(data, time.monotonic_ns())
        if not self._memory.take(len(data)):
            self._refuse("")
            return []
        try:
            message = await asyncio.to_thread(decode, data, self._config.message_bytes_max)
        finally:
            self._memory.give(len(data))
        return self._protocol.hear(message, time.monotonic_ns())

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
            if self.cargo is not None:
                self.cargo.opened(event.stream, self._protocol.extensions)
        elif isinstance(event, Refused):
            self._logs.warning("stream", "%s: %s", self.name, event.nack.text)
            if isinstance(event.message, FrameMessage):
                lane = "late" if event.message.late else "live"
                self._metrics.frames.labels(event.message.kind, lane, event.nack.code).inc()
        elif isinstance(event, Renewal):
            self._take_renewal(event)
        elif isinstance(event, CARGO) and self.cargo is not None:
            self.cargo.take(event)
        elif isinstance(event, Goodbye):
            self._end(End("goodbye", f"{event.code} {event.text}", NORMAL, b""))

    def _take_renewal(self, message: Renewal) -> None:
        """Go on with a fresh token; with one that is no good the session ends in time."""
        now_s = time.monotonic()
        if self._renew is None or now_s - self._renewed_s < RENEWALS_PAUSE_S:
            return
        self._renewed_s = now_s
        try:
            self.permit = self._renew(self._protocol.device, message.token)
        except AuthenticationError as error:
            self._logs.warning("renewal", "%s: not renewed: %s", self.name, str(error))

    def _take(self, message: FrameMessage, now_ns: int) -> None:
        text = ""
        if len(self._in_work) >= self._config.in_flight_max:
            text = f"{len(self._in_work)} frames of this device are in work"
        elif time.monotonic() >= self.permit.until_s:
            text = "the token has expired, this session ends"
        elif not self._memory.take(len(message.payload)):
            text = "no memory for another frame of this device"
        if text:
            lane = "late" if message.late else "live"
            self._metrics.frames.labels(message.kind, lane, "overloaded").inc()
            self._say(Nack(message.stream, message.stamp_ns, "overloaded", text, message.id))
            return
        task = asyncio.ensure_future(self._answer(message, now_ns))
        self._in_work.add(task)
        size = len(message.payload)
        task.add_done_callback(lambda _: self._memory.give(size))
        task.add_done_callback(self._in_work.discard)
        task.add_done_callback(self._notice_fault)

    async def _answer(self, message: FrameMessage, received_ns: int) -> None:
        answer = await self._frames.answer(self._protocol.device, message, received_ns)
        for part in answer.messages:
            if isinstance(part, KeyFrameRequest):
                self._metrics.key_frame_requests.inc()
            elif isinstance(part, Nack):
                self._logs.info(
                    f"frame refused: {part.code}",
                    "%s: %d refused (%s): %s",
                    *(self.name, part.stamp_ns, part.code, part.text),
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
        if self._outgoing.full() or not self._memory.take(len(data)):
            waiting = self._outgoing.qsize()
            self.end("overloaded", f"the device does not take in {waiting} messages")
        else:
            self._outgoing.put_nowait(data)

    async def _write(self) -> None:
        while True:
            data = await self._outgoing.get()
            try:
                await self._websocket.send_bytes(data)
            except RuntimeError as error:  # the server's word for a connection that is gone
                self._end(End("disconnected", str(error)))
                return
            finally:
                self._memory.give(len(data))
            self._metrics.sent_bytes.inc(len(data))
            self._outgoing.task_done()

    async def _watch_clock(self) -> None:
        while (due_ns := self._protocol.next_timeout_ns) is not None:
            wait_s = (due_ns - time.monotonic_ns()) / 1e9
            await asyncio.sleep(min(max(0.0, wait_s), CLOCK_S))
            self._look_at_permit()
            for event in self._protocol.tick(time.monotonic_ns()):
                if isinstance(event, Silent):
                    text = f"nothing heard for {event.silence_ns / 1e9:.1f} s"
                    self._end(End("silent", text, CLOSE_CODES["silent"], b""))
                elif isinstance(event, Send):
                    self._put(event.data)

    def _look_at_permit(self) -> None:
        """Close a session whose token ends, in a moment in which that costs no frame its answer."""
        left_s = self.permit.until_s - time.monotonic()
        quiet = not self._in_work and self._outgoing.empty()
        if left_s <= -DRAIN_S or (quiet and left_s <= EARLY_S and self._nearly_over(left_s)):
            self.end("closing", "the token has expired, please connect again")

    def _nearly_over(self, left_s: float) -> bool:
        """Not before the end where the device may still renew, nor while it has not greeted."""
        return left_s <= 0 or (self._protocol.state is State.OPEN and not self._protocol.renews)

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
