"""Measures the link to a gateway with a session of our own: bounded in bytes and time.

The session is one of the stream `probe`, so that it disturbs no camera's. Frames are not sent and
nothing is stored. Heartbeats give the round trip, on an idle link first and then while bytes flow
one way; probes (an extension of the protocol) give the goodput: padding acknowledged up, padding
received down, over the time from the first byte to the last answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from ..config import BridgeConfig
from ..errors import AuthenticationError, LinkError
from ..protocol import (
    Goodbye,
    HeartbeatAck,
    Opened,
    Probe,
    ProbeAck,
    Role,
    Send,
    Session,
    Silent,
    State,
)
from ..protocol.tls import client_context
from ..types import LinkSample
from .connection import Address, check_config, keys_folder, open_socket, open_tcp

STREAM = "probe"
BEAT_S = 0.025
PROBE_BYTES = 32_768
UNANSWERED_MAX = 8
"""Probes under way at once: 256 KiB, which fill links of up to 20 Mbit/s at 100 ms."""
ANSWER_S = 5.0
"""How long the last answers may take."""


@dataclass(frozen=True)
class Limits:
    """How much a probe may cost the link."""

    idle_s: float = 2.0  # of heartbeats alone
    busy_s: float = 3.0  # of padding, each way
    bytes_max: int = 4_194_304  # of padding, each way


@dataclass
class ProbeReport:
    """What was measured. Times in ms, rates in bits a second, NaN where nothing is known."""

    gateway: str
    tcp_ms: float = math.nan
    tls_ms: float = math.nan
    hello_ms: float = math.nan  # WebSocket, token, hello and welcome: a second connection's excess
    tls: str = ""
    rtt_ms: list[float] = field(default_factory=list)  # idle, in order
    busy_up_rtt_ms: list[float] = field(default_factory=list)
    busy_down_rtt_ms: list[float] = field(default_factory=list)
    loss: float = 0.0  # share of heartbeats not answered in time; the time-out is RFC 6298's
    goodput_up_bps: float = math.nan
    goodput_down_bps: float = math.nan
    bytes_up: int = 0
    bytes_down: int = 0
    srtt_ms: float = math.nan
    rttvar_ms: float = math.nan

    @property
    def jitter_ms(self) -> float:
        """Mean difference of consecutive round trips on the idle link."""
        steps = [abs(b - a) for a, b in zip(self.rtt_ms, self.rtt_ms[1:], strict=False)]
        return sum(steps) / len(steps) if steps else math.nan

    def link(self) -> LinkSample:
        """The link as the bridge would report it now."""
        now_ns = time.monotonic_ns()
        return LinkSample(
            at_ns=now_ns,
            connected=True,
            rtt_ms=self.srtt_ms,
            rtt_var_ms=self.rttvar_ms,
            loss=self.loss,
            goodput_bps=self.goodput_up_bps,
            last_heard_ns=now_ns,
        )


async def probe_link(config: BridgeConfig, limits: Limits | None = None) -> ProbeReport:
    """Measure the link to `config.gateway`; LinkError or AuthenticationError when there is none."""
    config = replace(config, stream=STREAM)
    check_config(config)
    limits = limits or Limits()
    report = ProbeReport(config.gateway)
    try:
        await asyncio.wait_for(_time_setup(config, report), config.connect_timeout_s)
    except (TimeoutError, asyncio.TimeoutError):
        limit_s = config.connect_timeout_s
        raise LinkError(f"{config.gateway}: no TLS session within {limit_s:g} s") from None
    began_s = time.monotonic()
    websocket = await open_socket(config)
    probing = _Probing(websocket, config, report)
    try:
        await probing.greet()
        report.hello_ms = (time.monotonic() - began_s) * 1e3 - report.tcp_ms - report.tls_ms
        await probing.measure(limits)
        await probing.farewell()
    finally:
        websocket.transport.abort()
    return report


async def _time_setup(config: BridgeConfig, report: ProbeReport) -> None:
    """TCP and TLS, each timed, over a connection that is closed again."""
    address = Address.parse(config.gateway)
    context = client_context(keys_folder(config) / "ca.crt")
    loop = asyncio.get_running_loop()
    began_s = time.monotonic()
    tunnel = await open_tcp(config, address)
    try:
        if tunnel is None:
            found = await loop.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
            family, kind, number, _, where = found[0]
            raw = socket.socket(family, kind, number)
            raw.setblocking(False)
        else:
            raw = tunnel
        try:
            if tunnel is None:
                began_s = time.monotonic()
                await loop.sock_connect(raw, where)
            connected_s = time.monotonic()
            _, writer = await asyncio.open_connection(
                sock=raw, ssl=context, server_hostname=address.host
            )
        except BaseException:
            raw.close()
            raise
    except ssl.SSLCertVerificationError as error:
        raise AuthenticationError(
            f"{address.uri}: its certificate is not trusted ({error.verify_message})"
        ) from None
    except OSError as error:
        raise LinkError(f"{address.uri}: {error.strerror or error}") from None
    report.tcp_ms = (connected_s - began_s) * 1e3
    report.tls_ms = (time.monotonic() - connected_s) * 1e3
    session = writer.get_extra_info("ssl_object")
    report.tls = f"{session.version()} {session.cipher()[0]}"
    writer.transport.abort()


class _Probing:
    """One session, its reader and its clock."""

    def __init__(
        self, websocket: ClientConnection, config: BridgeConfig, report: ProbeReport
    ) -> None:
        self._websocket = websocket
        self._report = report
        self._timeout_s = config.connect_timeout_s
        self._session = Session(
            Role.DEVICE,
            device=config.device,
            stream=config.stream,
            software="mastra probe",
            now_ns=time.monotonic_ns(),
            heartbeat_interval_ns=int(BEAT_S * 1e9),
            silence_timeout_ns=10_000_000_000,
            bytes_max=config.message_bytes_max,
        )
        self._rtt_ms = report.rtt_ms  # where round trips go at the moment
        self._answered: dict[int, tuple[float, int]] = {}  # seq: when, bytes up or down
        self._seq = 0
        self._news = asyncio.Event()
        self._writing = asyncio.Lock()

    async def greet(self) -> None:
        await self._websocket.send(self._session.hello(time.monotonic_ns()))
        try:
            await asyncio.wait_for(self._hear_until(State.OPEN), self._timeout_s)
        except (TimeoutError, asyncio.TimeoutError):
            raise LinkError(f"{self._report.gateway}: no welcome") from None

    async def measure(self, limits: Limits) -> None:
        jobs = [asyncio.ensure_future(job) for job in (self._read(), self._beat())]
        work = asyncio.ensure_future(self._work(limits))
        try:
            await asyncio.wait({work, *jobs}, return_when=asyncio.FIRST_COMPLETED)
            for done in (*jobs, work):
                if done.done():
                    done.result()
        finally:
            for task in (work, *jobs):
                task.cancel()
            await asyncio.gather(work, *jobs, return_exceptions=True)

    async def farewell(self) -> None:
        with contextlib.suppress(ConnectionClosed, TimeoutError, asyncio.TimeoutError):
            goodbye = self._session.send(Goodbye(), time.monotonic_ns())
            await asyncio.wait_for(self._websocket.send(goodbye), 0.5)
            await asyncio.wait_for(self._websocket.close(), 0.5)

    async def _work(self, limits: Limits) -> None:
        report = self._report
        await asyncio.sleep(limits.idle_s)
        report.loss = self._session.link.loss
        report.srtt_ms = self._session.link.srtt_ns / 1e6
        report.rttvar_ms = self._session.link.rttvar_ns / 1e6
        self._rtt_ms = report.busy_up_rtt_ms
        report.goodput_up_bps, report.bytes_up = await self._stream(
            limits, lambda seq: Probe(seq, 0, bytes(PROBE_BYTES))
        )
        if math.isnan(report.goodput_up_bps):
            return  # the gateway knows no probes
        self._rtt_ms = report.busy_down_rtt_ms
        report.goodput_down_bps, report.bytes_down = await self._stream(
            limits, lambda seq: Probe(seq, PROBE_BYTES)
        )

    async def _stream(self, limits: Limits, make: Callable[[int], Probe]) -> tuple[float, int]:
        """Goodput and bytes of probes, a few under way at once; NaN when none is answered."""
        self._answered.clear()
        first, began_s = self._seq, time.monotonic()
        until_s = began_s + limits.busy_s

        def under_way() -> int:
            return self._seq - first - len(self._answered)

        most = max(1, limits.bytes_max // PROBE_BYTES)
        while self._seq - first < most and time.monotonic() < until_s:
            if under_way() >= UNANSWERED_MAX:
                if not await self._heard(until_s):
                    break
                continue
            await self._send(self._session.send(make(self._seq), time.monotonic_ns()))
            self._seq += 1
        until_s = time.monotonic() + ANSWER_S
        while under_way() and await self._heard(until_s):
            pass
        if not self._answered:
            return math.nan, 0
        last_s = max(at_s for at_s, _ in self._answered.values())
        size = sum(size for _, size in self._answered.values())
        return size * 8 / max(last_s - began_s, 1e-6), size

    async def _heard(self, until_s: float) -> bool:
        """Wait for the next answer; False when the time is over."""
        self._news.clear()
        with contextlib.suppress(TimeoutError, asyncio.TimeoutError):
            await asyncio.wait_for(self._news.wait(), max(0.0, until_s - time.monotonic()))
        return self._news.is_set()

    async def _hear_until(self, state: State) -> None:
        while self._session.state is not state:
            await self._hear()

    async def _read(self) -> None:
        while True:
            await self._hear()

    async def _hear(self) -> None:
        try:
            data = await self._websocket.recv(decode=False)
        except ConnectionClosed as error:
            raise LinkError(f"the connection was closed ({error})") from None
        now_ns = time.monotonic_ns()
        for event in self._session.receive(data, now_ns):
            if isinstance(event, Send):
                await self._send(event.data)
            elif isinstance(event, HeartbeatAck):
                self._rtt_ms.append((now_ns - event.sent_ns) / 1e6)
            elif isinstance(event, ProbeAck):
                size = event.received_bytes + len(event.padding)
                self._answered[event.seq] = (now_ns / 1e9, size)
                self._news.set()
            elif isinstance(event, Goodbye):
                raise LinkError(f"the gateway said goodbye: {event.code} {event.text}".rstrip())
            elif isinstance(event, Opened):
                continue

    async def _beat(self) -> None:
        while True:
            now_ns = time.monotonic_ns()
            for event in self._session.tick(now_ns):
                if isinstance(event, Silent):
                    raise LinkError(f"the gateway is silent for {event.silence_ns / 1e6:.0f} ms")
                if isinstance(event, Send):
                    await self._send(event.data)
            due_ns = self._session.next_timeout_ns
            wait_s = BEAT_S if due_ns is None else (due_ns - time.monotonic_ns()) / 1e9
            await asyncio.sleep(max(wait_s, 0.001))

    async def _send(self, data: bytes) -> None:
        try:
            async with self._writing:
                await self._websocket.send(data)
        except ConnectionClosed as error:
            raise LinkError(f"the connection was closed ({error})") from None
