"""The bridge and the gateway as the scheduler meets them, without sockets.

Taken over from the bridge: heartbeats and their estimate (the class itself), goodput (the class
itself), the bound on frames in flight, dropping frames whose deadline passed before the link
took them, giving up a silent connection, and the pauses before connecting again.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from ..bridge.flight import Goodput
from ..config import BridgeConfig
from ..protocol.link import LinkEstimate
from ..types import LinkSample
from .load_trace import LoadTrace
from .trace import Direction, LinkTrace

HEARTBEAT_BYTES = 60.0
HELLO_UP_BYTES, HELLO_DOWN_BYTES = 700.0, 1500.0
HELLO_TRIPS = 4
"""Round trips of TCP, TLS 1.3, WebSocket and hello together."""
SOCKET_BYTES = 65_536.0
"""So much the socket takes ahead of the link; more waits in the bridge, and may be dropped."""
NS = 1_000_000


class Clock(Protocol):
    """The simulation's clock and agenda."""

    @property
    def now_ms(self) -> float: ...

    def at(self, ms: float, do: Callable[[], None]) -> None:
        """Call `do` at this time."""
        ...


@dataclass
class Upload:
    """One frame on its way."""

    index: int
    size_bytes: float
    cloud_ms: float
    deadline_ms: float
    on_answer: Callable[[], None]
    on_failure: Callable[[str], None]
    departs_ms: float = math.inf


@dataclass
class Uplink:
    """Connected from the start; `on_change` is called with each new sample of the link."""

    clock: Clock
    trace: LinkTrace
    gateway_load: LoadTrace
    workers: int
    result_bytes: float
    on_change: Callable[[LinkSample], None]
    config: BridgeConfig = field(default_factory=BridgeConfig)

    def __post_init__(self) -> None:
        self._up, self._down = Direction(self.trace.up), Direction(self.trace.down)
        self._estimate = LinkEstimate()
        self._goodput = Goodput()
        self._live: dict[int, Upload] = {}
        self._waiting: deque[Upload] = deque()
        self._writing: deque[tuple[float, float]] = deque()  # departure, bytes
        self._free_ms = [0.0] * self.workers
        self._session = 0
        self._pause_s = self.config.reconnect_delay_min_s
        self._heard_ms = 0.0
        self.connected = False
        self.holds_picture = False
        """Whether the gateway holds a picture of this session that a delta can refer to."""
        self.uploaded_bytes = 0.0
        self.gateway_ms = 0.0  # the gateway's model at work
        self._open()
        self.clock.at(self.clock.now_ms, self._beat)

    # What the device does

    def accept(self, upload: Upload) -> None:
        """Take a frame to be sent, or fail it at once."""
        if not self.connected:
            upload.on_failure("no link")
        elif len(self._live) >= self.config.in_flight_max:
            upload.on_failure(f"{len(self._live)} frames are in flight already")
        else:
            self._live[upload.index] = upload
            self._waiting.append(upload)
            self._write_on(self._session)

    # Frames

    def _write_on(self, session: int) -> None:
        """Give the socket what it has room for."""
        now = self.clock.now_ms
        if session != self._session:
            return
        while self._writing and self._writing[0][0] <= now:
            self._writing.popleft()
        while self._waiting:
            if sum(size for _, size in self._writing) >= SOCKET_BYTES:
                self.clock.at(self._writing[0][0], lambda: self._write_on(session))
                return
            upload = self._waiting.popleft()
            if now >= upload.deadline_ms:
                del self._live[upload.index]
                self._estimate.count(False)
                upload.on_failure("its deadline passed before the link took it")
                continue
            self._goodput.sent(round(now * NS))
            departs = self._up.send(upload.size_bytes, now)
            self._writing.append((departs, upload.size_bytes))
            self.uploaded_bytes += upload.size_bytes
            arrives = departs + self.trace.way_ms(departs)
            self.clock.at(arrives, lambda u=upload: self._arrived(u, session))  # type: ignore[misc]

    def _arrived(self, upload: Upload, session: int) -> None:
        """At the gateway: wait for a worker, run the model, answer."""
        if session != self._session:
            return
        now = self.clock.now_ms
        worker = min(range(self.workers), key=lambda i: self._free_ms[i])
        takes_ms = upload.cloud_ms * self.gateway_load.slowdown(now)
        done = max(now, self._free_ms[worker]) + takes_ms
        self._free_ms[worker] = done
        self.gateway_ms += upload.cloud_ms
        self.clock.at(done, lambda: self._send_answer(upload, session))

    def _send_answer(self, upload: Upload, session: int) -> None:
        if session == self._session:
            departs = self._down.send(self.result_bytes, self.clock.now_ms)
            arrives = departs + self.trace.way_ms(departs)
            self.clock.at(arrives, lambda: self._answered(upload, session))

    def _answered(self, upload: Upload, session: int) -> None:
        if session != self._session:
            return
        now_ns = round(self.clock.now_ms * NS)
        self._heard_ms = self.clock.now_ms
        self.holds_picture = True
        del self._live[upload.index]
        self._estimate.count(self.clock.now_ms <= upload.deadline_ms)
        self._goodput.acknowledged(round(upload.size_bytes), now_ns, not self._live)
        upload.on_answer()

    # Heartbeats and sessions

    def _open(self) -> None:
        self._session += 1
        self._estimate = LinkEstimate()
        self.connected, self.holds_picture = True, False
        self._heard_ms = self.clock.now_ms

    def _beat(self) -> None:
        now = self.clock.now_ms
        self.clock.at(now + self.config.heartbeat_interval_ms, self._beat)
        if self.connected and now - self._heard_ms >= self.config.heartbeat_timeout_ms:
            self._lose()
        if self.connected:
            session, sent = self._session, now
            departs = self._up.send(HEARTBEAT_BYTES, now)
            self.uploaded_bytes += HEARTBEAT_BYTES
            back = departs + self.trace.way_ms(departs)
            self.clock.at(back, lambda: self._echo(sent, session))
        self.on_change(self.sample())

    def _echo(self, sent_ms: float, session: int) -> None:
        if session != self._session:
            return
        departs = self._down.send(HEARTBEAT_BYTES, self.clock.now_ms)
        arrives = departs + self.trace.way_ms(departs)
        self.clock.at(arrives, lambda: self._echoed(sent_ms, session))

    def _echoed(self, sent_ms: float, session: int) -> None:
        if session != self._session:
            return
        now = self.clock.now_ms
        rtt_ns = round((now - sent_ms) * NS)
        self._estimate.count(rtt_ns <= self._estimate.rto_ns)
        self._estimate.measured(rtt_ns)
        self._heard_ms = now

    def _lose(self) -> None:
        self._session += 1
        self.connected = False
        self._up.clear(self.clock.now_ms)
        self._down.clear(self.clock.now_ms)
        self._waiting.clear()
        self._writing.clear()
        lost, self._live = list(self._live.values()), {}
        self.on_change(self.sample())
        for upload in lost:
            upload.on_failure("the gateway is silent")
        self._pause_s = self.config.reconnect_delay_min_s
        self.clock.at(self.clock.now_ms + self._pause_s * 1e3, self._connect)

    def _connect(self) -> None:
        """Exchange what opens a session; too slow is tried again after a longer pause."""
        started = now = self.clock.now_ms
        for _ in range(HELLO_TRIPS):
            now = self._up.send(HELLO_UP_BYTES, now)
            now += self.trace.way_ms(now)
            now = self._down.send(HELLO_DOWN_BYTES, now)
            now += self.trace.way_ms(now)
        limit = started + self.config.connect_timeout_s * 1e3
        if now <= limit:
            self.clock.at(now, self._open)
            return
        self._pause_s = min(2 * self._pause_s, self.config.reconnect_delay_max_s)

        def again() -> None:
            self._up.clear(self.clock.now_ms)
            self._down.clear(self.clock.now_ms)
            self._connect()

        self.clock.at(limit + self._pause_s * 1e3, again)

    def sample(self) -> LinkSample:
        """The state of the link, as the bridge would report it."""
        up = self.connected
        return LinkSample(
            at_ns=round(self.clock.now_ms * NS),
            connected=up,
            rtt_ms=self._estimate.srtt_ns / NS if up else math.nan,
            rtt_var_ms=self._estimate.rttvar_ns / NS if up else math.nan,
            loss=self._estimate.loss if up else 1.0,
            goodput_bps=self._goodput.bps,
            last_heard_ns=round(self._heard_ms * NS),
            in_flight=len(self._live),
        )
