"""One session over one WebSocket, from Hello to its end: reader, writer, clock and backlog."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Iterator
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from ..config import BridgeConfig
from ..errors import AuthenticationError, ConfigError, LinkError, ProtocolError
from ..protocol import (
    Ack,
    Event,
    FrameMessage,
    Goodbye,
    KeyFrameRequest,
    Nack,
    Opened,
    PrivacyReport,
    Renewal,
    ResultMessage,
    Role,
    Send,
    Session,
    Settings,
    Silent,
    State,
    decode,
)
from ..protocol.checks import printable
from ..types import Packet
from .cargo import BridgeCargo
from .clearing import SpoolGate
from .connection import fresh_token
from .delivery import Delivery, Listener, Tally
from .flight import Entry, Goodput
from .outbox import Outbox
from .scavenger import Scavenger
from .session_cargo import SessionCargo, extensions_of
from .settings import Trickle
from .spool_thread import SpoolThread

log = logging.getLogger(__name__)

TICK_MAX_S = 0.05
"""The clock is looked at this often, for deadlines."""
SETTINGS_PER_S, SETTINGS_BURST, SETTINGS_FLOOD = 10.0, 20, 500
"""Settings that are listened to; so many more within a second end the session."""
CHUNK_BYTES = 16_384
"""Larger messages are sent in fragments of this size."""

LARGE_BYTES = 262_144
"""Larger messages are decoded off the event loop."""
REPORT_S = 1.0
"""What the gate of privacy does is told at most so often."""
REST_S = 1.0
"""Where all that is left in the spool has to stay there, it is looked at again after so long."""
RENEW_SHARE = 0.6
"""After this share of a token's life it is renewed."""


class GatewayClosing(LinkError):  # noqa: N818 - named for what the gateway does
    """The gateway ends this session in order, and may be asked again at once."""


async def end_tasks(*tasks: asyncio.Future[Any]) -> None:
    """Cancel tasks until they have ended.

    Once is not enough: before Python 3.12, `wait_for` loses a cancellation that comes at the
    moment when what it waits for is done.
    """
    pending = {task for task in tasks if not task.done()}
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=0.1)


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
        gate: SpoolGate,
        codecs: tuple[str, ...] = (),
        *,
        cargo: BridgeCargo,
    ) -> None:
        self.session = Session(
            Role.DEVICE,
            device=config.device,
            stream=config.stream,
            software="mastra_ros",
            now_ns=time.monotonic_ns(),
            heartbeat_interval_ns=int(config.heartbeat_interval_ms * 1e6),
            silence_timeout_ns=int(config.heartbeat_timeout_ms * 1e6),
            bytes_max=config.message_bytes_max,
            renews=True,
            extensions=extensions_of(cargo),
            privacy=True,
            codecs=codecs,
        )
        self._gate = gate
        self._reported: PrivacyReport | None = None
        self._report_s = 0.0
        self._rest_until_s = 0.0
        self._renew_s = time.monotonic() + RENEW_SHARE * config.token_lifetime_s
        self._delivery = Delivery(
            config.in_flight_max, self.session.link, spool, tally, goodput, listener
        )
        self.flight = self._delivery.flight
        self._websocket = websocket
        self._config = config
        self._spool = spool
        self._tally = tally
        self._goodput = goodput
        self._listener = listener
        self._outbox = Outbox()
        self._backlog_wake = asyncio.Event()
        self._scavenger = Scavenger(config.backlog_in_flight)
        self._settings = Trickle(SETTINGS_PER_S, SETTINGS_BURST, SETTINGS_FLOOD)
        self._stopping = asyncio.Event()
        self.cargo = SessionCargo(
            *(self.session, self._outbox, goodput, listener),
            *(cargo, gate, self.flight.any_unanswered),
        )

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
        tasks: list[asyncio.Future[Any]] = [
            asyncio.ensure_future(job)
            for job in (self._read_on(), self._write_on(), self._tick_on(), self._backlog_on())
        ]
        tasks += self.cargo.start()
        stop = asyncio.ensure_future(self._stopping.wait())
        try:
            done, _ = await asyncio.wait({*tasks, stop}, return_when=asyncio.FIRST_COMPLETED)
            ended = next((task for task in tasks if task in done), None)
            error = ended.exception() if ended else None
            # First of all tell the arbiter; only then be polite to the gateway.
            self._delivery.lose(str(error) if error else "the bridge is stopping")
            await end_tasks(*tasks, stop)
            await self._say_goodbye(error)
            if error is not None:
                raise error
        finally:
            for task in (*tasks, stop):
                task.cancel()
            self._delivery.lose("the link is closed")
            self._websocket.transport.abort()

    def stop(self) -> None:
        """Make `run` end politely."""
        self._stopping.set()

    def accept(self, packet: Packet, now_ns: int, deadline_ms: float) -> None:
        """Send a live packet, or fail it at once and spool it."""
        entry = self._delivery.accept(packet, now_ns, deadline_ms)
        if entry is not None:
            self._outbox.put_live(entry)
            self.cargo.live_sent(packet, now_ns)

    def wake_backlog(self) -> None:
        """The spool may have something to send, or there may be room for it."""
        self._backlog_wake.set()

    # -- reading ---------------------------------------------------------------------------

    async def _read_on(self) -> None:
        while True:
            await self._hear()

    async def _hear(self) -> None:
        try:
            data = await self._websocket.recv(decode=False)
        except ConnectionClosed as error:
            raise LinkError(f"the connection was closed ({printable(str(error))})") from None
        if len(data) < LARGE_BYTES:
            now_ns = time.monotonic_ns()
            events = self.session.receive(data, now_ns)
        else:
            message = await asyncio.to_thread(decode, data, self._config.message_bytes_max)
            now_ns = time.monotonic_ns()
            events = self.session.hear(message, now_ns)
        for event in events:
            self._react(event, now_ns)
        self._tally.last_heard_ns = now_ns

    def _react(self, event: Event, now_ns: int) -> None:
        if isinstance(event, Send):
            self._outbox.put_control(event.data)
        elif isinstance(event, Opened):
            if event.settings:
                self._listener.settings(event.settings)
        elif isinstance(event, Ack):
            self._delivery.acknowledged(event, now_ns)
            self._backlog_wake.set()
        elif isinstance(event, ResultMessage):
            entry = self._delivery.answered(event)
            if entry is not None:
                allowed_ns = entry.deadline_ns - entry.accepted_ns
                took_ns = now_ns - entry.accepted_ns
                self._scavenger.live_answered(took_ns, allowed_ns, now_ns)
                self.cargo.live_answered(took_ns, allowed_ns, now_ns)
        elif isinstance(event, Nack):
            if event.code == "overloaded":
                self._scavenger.overloaded(now_ns)
            self._delivery.refused(event)
            self._backlog_wake.set()
        elif isinstance(event, KeyFrameRequest):
            self._delivery.want_key_frame()
        elif isinstance(event, Settings):
            if self._settings.passes(now_ns):
                self._listener.settings(event.values)
            elif self._settings.flooded:
                raise ProtocolError("the gateway floods the device with settings")
        elif isinstance(event, Goodbye):
            text = f"the gateway said goodbye: {event.code} {event.text}".rstrip()
            if event.code in ("forbidden", "replaced"):
                raise AuthenticationError(text)
            raise GatewayClosing(text) if event.code == "closing" else LinkError(text)
        else:
            self.cargo.react(event)

    # -- writing ---------------------------------------------------------------------------

    async def _write_on(self) -> None:
        while True:
            item = await self._outbox.get()
            if isinstance(item, bytes):
                await self._write(item)
                self.cargo.wrote()
                continue
            data = self._encode(item)
            if data is not None:
                item.size = len(data)
                self._goodput.sent(time.monotonic_ns())
                await self._write(data)
                if item.packet.late:  # it may be sent once more so long after this
                    item.accepted_ns = time.monotonic_ns()
            if not self._outbox.live_waiting:
                self._backlog_wake.set()
                self.cargo.wrote()

    async def _write(self, data: bytes) -> None:
        try:
            await self._websocket.send(data if len(data) <= CHUNK_BYTES else self._chunks(data))
        except ConnectionClosed as error:
            raise LinkError(f"the connection was closed ({printable(str(error))})") from None
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
        now_ns = time.monotonic_ns()
        if not entry.packet.late and now_ns >= entry.deadline_ns:
            self._delivery.too_late(entry)
            return None
        left_ms = max(0.0, (entry.deadline_ns - now_ns) / 1e6)
        try:
            return self.session.send(FrameMessage.from_packet(entry.packet, left_ms), now_ns)
        except ProtocolError as error:
            if self.session.state is not State.OPEN:  # no fault of the packet, which is kept
                raise LinkError("the session has ended") from None
            self._delivery.unsendable(entry, str(error))
            return None

    async def _say_goodbye(self, error: BaseException | None) -> None:
        if isinstance(error, ProtocolError):
            data = self.session.farewell(error)
        elif error is None and self.session.state is State.OPEN:
            data = self.session.send(Goodbye(), time.monotonic_ns())
        else:
            return  # the link is gone, or the gateway itself has said goodbye
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
            for entry in self._delivery.look_at_clock(now_ns):
                if self._outbox.withdraw(entry.packet.key):  # then no answer will ever come
                    self.flight.overdue.pop(entry.packet.key, None)
                    self._delivery.not_sent(entry)
            self._renew_in_time()
            self._report_privacy()
            due_ns = self.session.next_timeout_ns
            wait_s = TICK_MAX_S if due_ns is None else (due_ns - now_ns) / 1e9
            await asyncio.sleep(min(max(wait_s, 0.001), TICK_MAX_S))

    def _renew_in_time(self) -> None:
        """Send a fresh token before the last one expires, where the gateway takes it."""
        if not self.session.renews or time.monotonic() < self._renew_s:
            return
        self._renew_s = time.monotonic() + RENEW_SHARE * self._config.token_lifetime_s
        try:
            token = fresh_token(self._config)
        except (AuthenticationError, ConfigError) as error:
            log.warning("bridge: the token is not renewed: %s", error)
            return
        self._outbox.put_control(self.session.send(Renewal(token), time.monotonic_ns()))

    def _report_privacy(self) -> None:
        """Tell what the gate does, where the gateway takes it and there is something new."""
        state, now_s = self._gate.state, time.monotonic()
        if not (self.session.privacy and state.mode) or now_s < self._report_s:
            return
        kept = len(self._gate.kept)
        report = PrivacyReport(state.mode, state.sent, state.masked, state.withheld, kept)
        if report != self._reported:
            self._reported, self._report_s = report, now_s + REPORT_S
            self._outbox.put_control(self.session.send(report, time.monotonic_ns()))

    # -- the backlog -----------------------------------------------------------------------

    async def _backlog_on(self) -> None:
        while True:
            self._backlog_wake.clear()
            room = self._backlog_room()
            if room > 0:
                exclude = {*self.flight.in_spool(), *self._gate.kept}
                packets = await asyncio.wrap_future(self._spool.next_batch(room, exclude))
                if not packets and self._gate.kept:
                    self._rest_until_s = time.monotonic() + REST_S
                for found in packets:
                    packet = await self._gate.of_spool(found)
                    if packet is None:
                        continue
                    entry = self._delivery.accept_backlog(packet, time.monotonic_ns())
                    if entry is not None:
                        self._scavenger.sent(entry.accepted_ns)
                        self._outbox.put_backlog(entry)
            with contextlib.suppress(asyncio.TimeoutError, TimeoutError):
                await asyncio.wait_for(self._backlog_wake.wait(), 0.25)

    def _backlog_room(self) -> int:
        """How many packets of the spool may be sent now, if it has any."""
        nothing = self._spool.stats.records <= len(self.flight.in_spool())
        if nothing or self._outbox.live_waiting or time.monotonic() < self._rest_until_s:
            return 0
        return self._scavenger.room(len(self.flight.backlog), time.monotonic_ns())
