"""`/v1/stream`, the session of one device: what is done with what it says, and when it ends.

`incoming.py` makes events of what comes, `outgoing.py` writes what is said here.

Three tasks serve a connection besides the calls that come with its bytes. The reader takes in what
had to wait, the writer sends what could not be sent at once, the clock notices a device that has
gone silent. Whichever ends first ends the session. Nothing that is done here takes long, so that
heartbeats are answered at once whatever else goes on.

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
from typing import Any

from starlette.websockets import WebSocket

from ..compression.chain import SCALED
from ..compression.codecs import readable_formats
from ..compression.stills import readable_stills
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
    PrivacyReport,
    Refused,
    Renewal,
    Role,
    Send,
    Session,
    Settings,
    Silent,
    State,
)
from .auth import Permit
from .cargo import CARGO, Cargo, CargoDesks
from .door.logs import Sparing
from .door.websocket import MEMORY
from .endings import CLOSE_CODES, FAILED, NORMAL, TOO_BIG, End
from .frames import Answer, Frames
from .incoming import Incoming
from .memory import Memory
from .metrics import Metrics
from .outgoing import Outgoing
from .sessions import Sessions
from .sets.desk import Budget
from .store import Record

logger = logging.getLogger(__name__)

CLOCK_S = 0.1
"""The clock is looked at this often, for the device's Hello asks for heartbeats from then on."""
FAREWELL_S = 1.0
"""How long a device may take to hear our goodbye."""
EARLY_S = 2.0
"""So long before its permit ends a session that has no frame in work is closed."""
DRAIN_S = 1.0
"""So long after it ended, frames in work are still answered; new ones are refused."""
RENEWALS_PAUSE_S = 1.0
"""A device may renew its permit this often."""


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
            codecs=(
                *((*readable_formats(), SCALED) if config.video else ()),
                *readable_stills(),
            ),
        )
        self._outgoing = Outgoing(websocket, self._memory, metrics, self._gone)
        self._incoming = Incoming(
            websocket,
            self._protocol,
            self._memory,
            metrics,
            bytes_max=config.message_bytes_max,
            handle=self._handle,
            refuse=self._refuse,
            on_error=self._broke_protocol,
            on_fault=self._failed,
            on_gone=self._gone,
        )
        self._in_work = 0
        self.cargo: Cargo | None = None
        if cargo is not None:
            budget = Budget(self._memory.take, self._memory.give)
            self.cargo = Cargo(cargo, device, self._say, self._notice_fault, budget)
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
            self.tell_hearing()
            if self.cargo is not None:
                self.cargo.close()
            self._sessions.disconnect(self)
            at = (self._protocol.device, self._protocol.stream)
            self._metrics.forget_privacy(*at, self._protocol.session)
            self._metrics.sessions.dec()

    def tell_hearing(self) -> None:
        """Say when the device was heard last."""
        if self.cargo is not None:
            silent_s = (time.monotonic_ns() - self._protocol.last_heard_ns) / 1e9
            self.cargo.heard(silent_s, self._protocol.heartbeat_interval_ns / 1e9)

    async def _serve(self) -> None:
        self._websocket.scope[MEMORY] = self._memory
        await self._websocket.accept()
        self._incoming.start()
        reader = asyncio.ensure_future(self._incoming.run())
        writer = asyncio.ensure_future(self._outgoing.run())
        clock = asyncio.ensure_future(self._watch_clock())
        for task in (reader, writer, clock):
            task.add_done_callback(self._notice_fault)
        try:
            end = await self._ended
            logger.info("%s: session ended (%s): %s", self.name, end.code, end.text)
            self._metrics.session_ends.labels(end.code).inc()
            self._incoming.stop()
            # The socket can be closed only when nobody reads from it.
            await _cancel(reader, clock)
            await self._hang_up(end, writer)
        finally:
            self._incoming.stop()
            cargo = () if self.cargo is None else self.cargo.tasks
            await _cancel(reader, writer, clock, *cargo)
            self._outgoing.drop()

    def end(self, code: str, text: str) -> None:
        """Say goodbye for the reason `code` and hang up."""
        if self._protocol.state is State.CLOSED:
            goodbye = None
        else:
            goodbye = self._protocol.send(Goodbye(code, text), time.monotonic_ns())
        self._end(End(code, text, CLOSE_CODES[code], goodbye))

    def ask(self, values: Mapping[str, Any]) -> bool:
        """Ask the device to set these parameters; False while it has not greeted, or has left.

        What is asked before its greeting is in the welcome instead.
        """
        self._settings = {**self._settings, **values}
        if self._protocol.state is not State.OPEN or self._ended.done():
            return False
        if values:
            self._say(Settings(values))
        return True

    def wish_for_pictures(self, lease_ms: int) -> None:
        """Somebody looks at this device."""
        if self.cargo is not None:
            self.cargo.wish_for_pictures(lease_ms)

    def _end(self, end: End) -> None:
        if not self._ended.done():
            self._ended.set_result(end)

    def _notice_fault(self, task: asyncio.Task[None]) -> None:
        """A fault of ours ends the session at once; without this its device would wait in vain."""
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._failed(error)

    def _failed(self, error: BaseException) -> None:
        logger.error("%s: failed", self.name, exc_info=error)
        self._end(End("failed", type(error).__name__, FAILED, b""))

    def _gone(self, text: str) -> None:
        self._end(End("disconnected", text))

    def _broke_protocol(self, error: ProtocolError) -> None:
        farewell = self._protocol.farewell(error)
        self._end(End("protocol", str(error), CLOSE_CODES["protocol"], farewell))

    def _refuse(self, fault: str) -> None:
        """What came was refused before it was complete; the connection takes in no more."""
        if not fault:
            self.end("overloaded", "no memory for what this device sends")
            return
        farewell = self._protocol.farewell(ProtocolError(fault))
        code = TOO_BIG if "expected at most" in fault else CLOSE_CODES["protocol"]
        self._end(End("protocol", fault, code, farewell))

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
        elif isinstance(event, PrivacyReport):
            at = (self._protocol.device, self._protocol.stream)
            self._metrics.on_privacy(*at, event, self._protocol.session)
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
        if self._in_work >= self._config.in_flight_max:
            text = f"{self._in_work} frames of this device are in work"
        elif time.monotonic() >= self.permit.until_s:
            text = "the token has expired, this session ends"
        elif not self._memory.take(len(message.payload)):
            text = "no memory for another frame of this device"
        if text:
            lane = "late" if message.late else "live"
            self._metrics.frames.labels(message.kind, lane, "overloaded").inc()
            self._say(Nack(message.stream, message.stamp_ns, "overloaded", text, message.id))
            return
        self._in_work += 1

        def reply(answer: Answer) -> None:
            self._in_work -= 1
            self._memory.give(len(message.payload))
            self._answer(message, answer)

        self._frames.take(self._protocol.device, message, now_ns, reply)

    def _answer(self, message: FrameMessage, answer: Answer) -> None:
        for part in answer.parts:
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

    def _say(self, message: Message | Record) -> None:
        if self._protocol.state is not State.OPEN or self._ended.done():
            return
        if isinstance(message, Record):
            self._put(self._protocol.send_result(message.data))
        else:
            self._put(self._protocol.send(message, time.monotonic_ns()))

    def _put(self, data: bytes) -> None:
        if not self._outgoing.put(data):
            waiting = len(self._outgoing)
            self.end("overloaded", f"the device does not take in {waiting} messages")

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
        quiet = not self._in_work and not self._outgoing
        if left_s <= -DRAIN_S or (quiet and left_s <= EARLY_S and self._nearly_over(left_s)):
            self.end("closing", "the token has expired, please connect again")

    def _nearly_over(self, left_s: float) -> bool:
        """Not before the end where the device may still renew, nor while it has not greeted."""
        return left_s <= 0 or (self._protocol.state is State.OPEN and not self._protocol.renews)

    async def _hang_up(self, end: End, writer: asyncio.Task[None]) -> None:
        """Send what is left, the goodbye and the close frame, as far as the device takes them."""
        try:
            if end.goodbye is not None:
                await asyncio.wait_for(self._outgoing.written(), FAREWELL_S)
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
