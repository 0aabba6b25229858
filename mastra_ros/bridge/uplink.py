"""One session with the gateway, from Hello to its end: reader, writer, clock and backlog."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from ..config import BridgeConfig
from ..errors import AuthenticationError, LinkError, ProtocolError
from ..protocol import (
    Ack,
    Event,
    FrameMessage,
    Goodbye,
    KeyFrameRequest,
    Nack,
    Opened,
    ResultMessage,
    Role,
    Send,
    Session,
    Settings,
    Silent,
    State,
)
from ..types import FrameKey, Packet, PacketKind, Result
from .flight import Entry, Flight, Goodput
from .outbox import Outbox
from .spool_thread import SpoolThread

log = logging.getLogger(__name__)

TICK_MAX_S = 0.05
"""The clock is looked at this often, for deadlines."""
CHUNK_BYTES = 16_384
"""Larger messages are sent in fragments of this size."""
OVERLOAD_PAUSE_S = 1.0
"""How long the backlog rests after the gateway said that it is overloaded."""
SPOOLED_CODES = frozenset({"overloaded"})
"""Refusals of live packets that may go well later."""


@dataclass
class Tally:
    """What is counted across sessions, and what the encoder must know of this one."""

    sessions: int = 0
    uploaded_bytes: int = 0
    delivered_late: int = 0
    last_heard_ns: int = 0
    acknowledged_ns: int = 0
    acknowledged_number: int = 0
    key_frame_needed: bool = False


class Listener(Protocol):
    """Whom an uplink tells; no call may block or raise."""

    def result(self, result: Result) -> None:
        """A result came."""

    def failed(self, key: FrameKey, reason: str) -> None:
        """A live packet will not be answered in time."""

    def settings(self, values: Mapping[str, Any]) -> None:
        """The gateway wants these parameters."""

    def changed(self) -> None:
        """Something that the status shows has changed."""


class Uplink:
    """One session over one open WebSocket. `greet` first, then `run` until the link ends."""

    def __init__(
        self,
        websocket: ClientConnection,
        config: BridgeConfig,
        spool: SpoolThread,
        tally: Tally,
        goodput: Goodput,
        listener: Listener,
    ) -> None:
        self.flight = Flight()
        self.session = Session(
            Role.DEVICE,
            device=config.device,
            stream=config.stream,
            software="mastra_ros",
            now_ns=time.monotonic_ns(),
            heartbeat_interval_ns=int(config.heartbeat_interval_ms * 1e6),
            silence_timeout_ns=int(config.heartbeat_timeout_ms * 1e6),
            bytes_max=config.message_bytes_max,
        )
        self._websocket = websocket
        self._config = config
        self._spool = spool
        self._tally = tally
        self._goodput = goodput
        self._listener = listener
        self._outbox = Outbox()
        self._backlog_wake = asyncio.Event()
        self._backlog_rest_until = 0.0
        self._stopping = asyncio.Event()
        self._ended = False

    # -- what the client does --------------------------------------------------------------

    async def greet(self) -> None:
        """Say hello and wait for the welcome."""
        await self._write(self.session.hello(time.monotonic_ns()))
        while self.session.state is not State.OPEN:
            await self._hear()

    async def run(self) -> None:
        """Serve until told to stop; LinkError, AuthenticationError or ProtocolError otherwise.

        Live packets in flight at the end have failed, and are in the spool.
        """
        tasks = [
            asyncio.ensure_future(job)
            for job in (self._read_on(), self._write_on(), self._tick_on(), self._backlog_on())
        ]
        stop = asyncio.ensure_future(self._stopping.wait())
        try:
            done, _ = await asyncio.wait({*tasks, stop}, return_when=asyncio.FIRST_COMPLETED)
            ended = next((task for task in tasks if task in done), None)
            reason = str(ended.exception()) if ended else "the bridge is stopping"
            for task in (*tasks, stop):
                task.cancel()
            # First of all tell the arbiter; only then be polite to the gateway.
            self._give_up_live(reason)
            await asyncio.wait({*tasks, stop})
            if ended is None or isinstance(ended.exception(), ProtocolError):
                await self._say_goodbye(ended.exception() if ended else None)
            if ended is not None:
                ended.result()
        finally:
            for task in (*tasks, stop):
                task.cancel()
            self._give_up_live("the link is closed")
            self._websocket.transport.abort()

    def stop(self) -> None:
        """Make `run` end politely."""
        self._stopping.set()

    def accept(self, packet: Packet, now_ns: int, deadline_ms: float) -> None:
        """Send a live packet, or fail it at once and spool it."""
        flight = self.flight
        if self._ended:
            self._fail(packet, "the link is being closed", spool=True)
            return
        if len(flight.live) >= self._config.in_flight_max and packet.key not in flight.live:
            self._fail(packet, f"{len(flight.live)} frames are in flight already", spool=True)
            return
        self._outbox.put_live(flight.add_live(packet, now_ns, deadline_ms))
        if packet.kind is PacketKind.KEY:
            self._tally.key_frame_needed = False

    def wake_backlog(self) -> None:
        """The spool may have something to send."""
        self._backlog_wake.set()

    # -- reading ---------------------------------------------------------------------------

    async def _read_on(self) -> None:
        while True:
            await self._hear()

    async def _hear(self) -> None:
        try:
            data = await self._websocket.recv(decode=False)
        except ConnectionClosed as error:
            raise LinkError(f"the connection was closed ({error})") from None
        now_ns = time.monotonic_ns()
        for event in self.session.receive(data, now_ns):
            self._react(event, now_ns)
        self._tally.last_heard_ns = now_ns

    def _react(self, event: Event, now_ns: int) -> None:
        if isinstance(event, Send):
            self._outbox.put_control(event.data)
        elif isinstance(event, Opened):
            if event.settings:
                self._listener.settings(event.settings)
        elif isinstance(event, Ack):
            self._acknowledged(event, now_ns)
        elif isinstance(event, ResultMessage):
            self._answered(event)
        elif isinstance(event, Nack):
            self._refused(event)
        elif isinstance(event, KeyFrameRequest):
            self._want_key_frame()
        elif isinstance(event, Settings):
            self._listener.settings(event.values)
        elif isinstance(event, Goodbye):
            text = f"the gateway said goodbye: {event.code} {event.text}".rstrip()
            raise (
                AuthenticationError(text)
                if event.code in ("forbidden", "replaced")
                else (LinkError(text))
            )

    def _acknowledged(self, ack: Ack, now_ns: int) -> None:
        entry, spooled = self.flight.remove(ack.key)
        if spooled:
            self._spool.acknowledge(ack.key)
            self._tally.delivered_late += 1
            self._backlog_wake.set()
        if entry is None:
            return
        idle = not (self.flight.live or self.flight.in_spool())
        self._goodput.acknowledged(entry.size, now_ns, idle)
        if not spooled:
            self.session.link.count(now_ns <= entry.deadline_ns)
            picture = entry.packet.kind is not PacketKind.FEATURES
            # A duplicate was committed before, and its picture may be forgotten.
            if picture and not ack.duplicate and entry.number > self._tally.acknowledged_number:
                self._tally.acknowledged_ns = ack.stamp_ns
                self._tally.acknowledged_number = entry.number
        self._listener.changed()

    def _answered(self, message: ResultMessage) -> None:
        result = message.to_result()
        entry = self.flight.live.get(result.key)
        if entry is not None:
            entry.answered = True
        elif result.key in self.flight.in_spool():
            result = dataclasses.replace(result, late=True)
        self._listener.result(result)

    def _refused(self, nack: Nack) -> None:
        entry, spooled = self.flight.remove(nack.key)
        self._backlog_wake.set()
        if entry is None:
            return
        reason = f"the gateway refused the frame: {nack.code} {nack.text}".rstrip()
        if nack.code == "overloaded":
            loop = asyncio.get_running_loop()
            self._backlog_rest_until = loop.time() + OVERLOAD_PAUSE_S
        if not spooled:
            self._fail(entry.packet, reason, spool=nack.code in SPOOLED_CODES)
            if nack.code == "reference_missing":
                if entry.packet.reference_ns >= self._tally.acknowledged_ns:
                    self._tally.acknowledged_ns = 0
                self._want_key_frame()
        elif nack.code not in SPOOLED_CODES:
            log.warning("spooled frame %d ns is given up: %s", nack.stamp_ns, reason)
            self._spool.drop(nack.key, nack.code)
        self._listener.changed()

    def _want_key_frame(self) -> None:
        under_way = (entry.packet.kind is PacketKind.KEY for entry in self.flight.live.values())
        if not any(under_way):  # else the one that is asked for is coming already
            self._tally.key_frame_needed = True
            self._listener.changed()

    # -- writing ---------------------------------------------------------------------------

    async def _write_on(self) -> None:
        while True:
            item = await self._outbox.get()
            if isinstance(item, bytes):
                await self._write(item)
                continue
            data = self._encode(item)
            if data is not None:
                item.size = len(data)
                self._goodput.sent(time.monotonic_ns())
                await self._write(data)
                if item.packet.late:
                    item.accepted_ns = time.monotonic_ns()
            if not self._outbox.live_waiting:
                self._backlog_wake.set()

    async def _write(self, data: bytes) -> None:
        try:
            await self._websocket.send(data if len(data) <= CHUNK_BYTES else self._chunks(data))
        except ConnectionClosed as error:
            raise LinkError(f"the connection was closed ({error})") from None
        if len(data) <= CHUNK_BYTES:
            self._tally.uploaded_bytes += len(data)

    def _chunks(self, data: bytes) -> Iterator[bytes]:
        """The fragments of a large message, each asked for when the socket took the one before.

        Given the whole at once, asyncio's TLS would buffer all of it and call it written.
        """
        for start in range(0, len(data), CHUNK_BYTES):
            chunk = data[start : start + CHUNK_BYTES]
            yield chunk
            self._tally.uploaded_bytes += len(chunk)
            self.session.wrote(time.monotonic_ns())

    def _encode(self, entry: Entry) -> bytes | None:
        """The message of a packet; None when there is no use in sending it."""
        packet, now_ns = entry.packet, time.monotonic_ns()
        if packet.late:
            entry.accepted_ns = now_ns
        elif now_ns >= entry.deadline_ns:
            self.flight.remove(packet.key)
            self._fail(packet, "its deadline passed before the link took it", spool=True)
            self.session.link.count(False)
            return None
        left_ms = max(0.0, (entry.deadline_ns - now_ns) / 1e6)
        try:
            return self.session.send(FrameMessage.from_packet(packet, left_ms), now_ns)
        except ProtocolError as error:  # ours alone: too large, or not to be expressed
            self.flight.remove(packet.key)
            if packet.late:
                log.warning("spooled frame %d ns is given up: %s", packet.key.stamp_ns, error)
                self._spool.drop(packet.key, "too_large")
            else:
                self._fail(packet, str(error), spool=False)
            return None

    async def _say_goodbye(self, error: BaseException | None) -> None:
        if isinstance(error, ProtocolError):
            data = self.session.farewell(error)
        elif self.session.state is State.OPEN:
            data = self.session.send(Goodbye(), time.monotonic_ns())
        else:
            return
        with contextlib.suppress(LinkError, asyncio.TimeoutError, TimeoutError):
            await asyncio.wait_for(self._write(data), 0.2)
            await asyncio.wait_for(self._websocket.close(), 0.5)

    # -- the clock -------------------------------------------------------------------------

    async def _tick_on(self) -> None:
        while True:
            now_ns = time.monotonic_ns()
            for event in self.session.tick(now_ns):
                if isinstance(event, Silent):
                    raise LinkError(f"the gateway is silent for {event.silence_ns / 1e6:.0f} ms")
                self._react(event, now_ns)
            for entry in self.flight.make_overdue(now_ns):
                self.session.link.count(False)
                self._spool.put(entry.packet)
                if self._outbox.withdraw(entry.packet.key):
                    del self.flight.overdue[entry.packet.key]
            self.flight.forget_unanswered(now_ns)
            due_ns = self.session.next_timeout_ns
            wait_s = TICK_MAX_S if due_ns is None else (due_ns - now_ns) / 1e9
            await asyncio.sleep(min(max(wait_s, 0.001), TICK_MAX_S))

    # -- the backlog -----------------------------------------------------------------------

    async def _backlog_on(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._backlog_wake.clear()
            room = self._config.backlog_in_flight - len(self.flight.backlog)
            exclude = self.flight.in_spool()
            if (
                room > 0
                and not self._outbox.live_waiting
                and loop.time() >= self._backlog_rest_until
                and self._spool.stats.records > len(exclude)
            ):
                future = self._spool.next_batch(room, exclude)
                for packet in await asyncio.wrap_future(future):
                    # While the disk was read, the packet may have gone live again.
                    if self.flight.find(packet.key) is None:
                        entry = self.flight.add_backlog(packet, time.monotonic_ns())
                        self._outbox.put_backlog(entry)
            with contextlib.suppress(asyncio.TimeoutError, TimeoutError):
                await asyncio.wait_for(self._backlog_wake.wait(), 0.25)

    # -- failing ---------------------------------------------------------------------------

    def _fail(self, packet: Packet, reason: str, *, spool: bool) -> None:
        self._listener.failed(packet.key, reason)
        if spool:
            self._spool.put(packet)

    def _give_up_live(self, reason: str) -> None:
        self._ended = True
        for entry in self.flight.lose():
            if not entry.answered:
                self._listener.failed(entry.packet.key, reason)
            self._spool.put(entry.packet)
