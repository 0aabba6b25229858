"""The bridge: a thread that keeps a session with the gateway, and the spool for when it cannot."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import random
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from ..config import BridgeConfig
from ..errors import AuthenticationError, ConfigError, LinkError, ProtocolError
from ..protocol.checks import printable
from ..records import Record
from ..sets import SetFrame
from ..types import STILL_KINDS, FrameKey, GateState, LinkSample, Packet, PacketKind, Result
from .artefacts import Received
from .backoff import Backoff
from .cargo import BridgeCargo
from .clearing import Clearer, SpoolGate
from .connection import check_config, open_socket
from .delivery import Tally
from .flight import Goodput
from .news import News
from .paths import spool_path
from .pictures import ShownPictures
from .spool import Spool
from .spool_thread import SpoolThread
from .sqlite_spool import SqliteSpool
from .status import BridgeStatus
from .uplink import GatewayClosing, Uplink, end_tasks

log = logging.getLogger(__name__)

REFUSED_FACTOR = 5.0
"""A gateway that refuses us is asked again after so many times the longest pause."""

AT_ONCE_S = 0.02
"""The pause after a session that the gateway ended in order."""

LASTING_S = 1.0
"""A session of less is no success: a gateway that hangs up at once is not asked ever faster."""


class BridgeClient:
    """Sends packets and hands back results; `send` may be called from any thread.

    The callbacks run in the bridge's own thread and must return soon. on_result(result): an
    answer. on_failed(key, reason): a live packet that will not be answered, said at once.
    on_status(status): at every heartbeat and at every change that matters. on_settings(values):
    parameters that the gateway wants. on_renew(key): this frame went to the spool as a delta; a
    late packet with the whole picture, if one is sent, takes its place. on_artefact(received): an
    artefact is whole, and acknowledged once this has been told. `clearer`
    looks at every packet before it may leave. Raises ConfigError or
    AuthenticationError when no connection can ever come of `config`.
    """

    def __init__(
        self,
        config: BridgeConfig,
        *,
        on_result: Callable[[Result], None],
        on_failed: Callable[[FrameKey, str], None],
        on_status: Callable[[BridgeStatus], None],
        clearer: Clearer,
        on_settings: Callable[[Mapping[str, Any]], None] | None = None,
        on_renew: Callable[[FrameKey], None] | None = None,
        on_artefact: Callable[[Received], None] | None = None,
        open_spool: Callable[[], Spool] | None = None,
        rng: random.Random | None = None,
        codecs: tuple[str, ...] = (),
        pictures: ShownPictures | None = None,
    ) -> None:
        """`codecs`: the bitstreams of video that this device makes, as it tells the gateway.

        `pictures`: what is shown to who looks; without them the gateway is told that none are.
        """
        check_config(config)
        self._codecs = codecs
        self._config = config
        self._on_result = on_result
        self._on_failed = on_failed
        self._on_status = on_status
        self._on_settings = on_settings
        self._on_renew = on_renew
        self._on_artefact = on_artefact
        self._gate = SpoolGate(clearer)
        self._backoff = Backoff(config.reconnect_delay_min_s, config.reconnect_delay_max_s, rng)
        self._tally = Tally()
        self._goodput = Goodput()
        self._spool = SpoolThread(open_spool or self._open_spool, self._spool_changed)
        self._cargo = BridgeCargo(
            config, in_loop=self._call, changed=self.changed, wake=self._wake_records
        )
        if pictures is not None:
            self._cargo.show(pictures, self._gate)
        self._uplink: Uplink | None = None
        self._error = ""
        self._news = News()
        self._lasted = False  # the last session was a success
        self._status_queued = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="bridge", daemon=True)

    # -- from any thread -------------------------------------------------------------------

    def start(self) -> None:
        """Start the bridge; returns when it takes packets, connected or not."""
        self._thread.start()
        self._ready.wait()

    def stop(self, timeout_s: float = 3.0) -> bool:
        """Say goodbye, spool what is in flight, close; whether that was done within the time."""
        if self._thread.ident is None:
            return True
        if self._stopping is not None:
            self._call(self._stopping.set)
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            log.error("bridge: not stopped within %g s", timeout_s)
        return not self._thread.is_alive()

    def send(self, packet: Packet, deadline_ms: float) -> None:
        """Send a packet; never blocks. Late packets go by way of the spool, without a deadline."""
        if not self._call(self._take, packet, time.monotonic_ns(), deadline_ms):
            self._on_failed(packet.key, "the bridge is not running")

    def send_record(self, record: Record) -> None:
        """Keep a record until the gateway has committed it; never blocks.

        Where it cannot be kept, that is said in the log and counted in the status. Without a
        gateway there is nobody to keep it for.
        """
        if self._config.gateway:
            self._cargo.keep(record)

    def send_set_frame(self, frame: SetFrame) -> None:
        """As `send_record`, of a frame of a set. Never blocks."""
        if self._config.gateway:
            self._cargo.keep_frame(frame, self._gate)

    def send_status(self, status: Mapping[str, Any]) -> None:
        """Tell how this device is, see `mastra_ros.statuses`; the newest wins. Never blocks."""
        self._cargo.tell(status)

    def gate(self, state: GateState) -> None:
        """How the gate between frame and encoder is; never blocks."""
        self._call(self._gate.told, state)

    def _call(self, function: Callable[..., None], *args: Any) -> bool:
        """Call in the bridge's thread, soon; False when it does not run."""
        if self._loop is None:
            return False
        try:
            self._loop.call_soon_threadsafe(function, *args)
        except RuntimeError:  # closed since
            return False
        return True

    # -- what the uplink tells (Listener) --------------------------------------------------

    def result(self, result: Result) -> None:
        """See Listener."""
        self._tell(self._on_result, result)

    def failed(self, key: FrameKey, reason: str) -> None:
        """See Listener."""
        self._tell(self._on_failed, key, reason)

    def settings(self, values: Mapping[str, Any]) -> None:
        """See Listener."""
        if self._on_settings is not None:
            self._tell(self._on_settings, values)

    def renew(self, key: FrameKey) -> None:
        """See Listener."""
        if self._on_renew is not None:
            self._tell(self._on_renew, key)

    def record_refused(self, reason: str) -> None:
        """See Listener."""
        self._cargo.refused_by_gateway(reason)

    def artefact(self, received: Received) -> None:
        """See Listener."""
        self._cargo.artefacts_received += 1
        if self._on_artefact is not None:
            self._tell(self._on_artefact, received)
        self.changed()

    def changed(self) -> None:
        """See Listener."""
        if not self._status_queued:
            self._status_queued = True
            self._tell(self._emit_status)

    def _tell(self, callback: Callable[..., None], *args: Any) -> None:
        # By way of the loop, so that a callback that raises is logged and harms nobody.
        asyncio.get_running_loop().call_soon(callback, *args)

    # -- in the bridge's thread ------------------------------------------------------------

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        finally:
            self._ready.set()

    async def _main(self) -> None:
        self._stopping = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        if self._config.gateway:
            self._spool.start()
            self._cargo.start()
        self._ready.set()
        jobs = [asyncio.ensure_future(self._beat())]
        if self._config.gateway:
            jobs.append(asyncio.ensure_future(self._keep_connected()))
        stop = asyncio.ensure_future(self._stopping.wait())
        # A job ends only by being stopped, or by a fault of ours that must not pass unseen.
        await asyncio.wait({*jobs, stop}, return_when=asyncio.FIRST_COMPLETED)
        self._stopping.set()
        if self._uplink is not None:
            self._uplink.stop()
            await asyncio.wait(jobs[1:], timeout=1.0)
        await end_tasks(*jobs, stop)
        self._loop = None  # from here on `send` fails at once
        await asyncio.sleep(0)
        if self._config.gateway:
            for close in (self._spool.close, self._cargo.close):
                await asyncio.get_running_loop().run_in_executor(None, close, 10.0)
        self.changed()
        await asyncio.sleep(0)  # what was told is heard before the loop ends
        for job in jobs:
            if not job.cancelled():
                job.result()

    def _take(self, packet: Packet, now_ns: int, deadline_ms: float) -> None:
        config = self._config
        if not config.gateway:
            self.failed(packet.key, "no gateway is configured")
        elif packet.key.stream != config.stream:
            self.failed(packet.key, f"stream {packet.key.stream} is not {config.stream}, ours")
        elif not self._gate.passes_live(packet):
            self.failed(packet.key, f"privacy: made under {packet.clearance or 'no clearance'!r}")
        elif packet.late:
            self._spool.put(packet)
        elif self._uplink is None:
            self.failed(packet.key, f"no link to the gateway: {self._error or 'connecting'}")
            if packet.kind in STILL_KINDS:
                self._spool.put(packet)
            if packet.kind not in (PacketKind.KEY, PacketKind.FEATURES):
                self.renew(packet.key)
        else:
            self._uplink.accept(packet, now_ns, deadline_ms)

    async def _keep_connected(self) -> None:
        assert self._stopping is not None
        while not self._stopping.is_set():
            try:
                await self._connect_once()
                return  # told to stop
            except (AuthenticationError, ConfigError) as error:
                self._report(error)
                pause_s = REFUSED_FACTOR * self._config.reconnect_delay_max_s
            except GatewayClosing as error:
                self._report(error)
                pause_s = self._next_pause_s()
            except (LinkError, ProtocolError) as error:
                self._report(error)
                pause_s = self._backoff.next_s()
            except Exception as error:  # a fault of ours costs a session, not the bridge
                log.exception("bridge: a fault of ours")
                self._report(LinkError(f"{type(error).__name__}: {error}"))
                pause_s = self._backoff.next_s()
            with contextlib.suppress(asyncio.TimeoutError, TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause_s)

    def _next_pause_s(self) -> float:
        """After a session that the gateway ended in order; one that was short was no success."""
        pause_s = self._backoff.next_s()
        return min(pause_s, AT_ONCE_S) if self._lasted else pause_s

    async def _connect_once(self) -> None:
        """One session from beginning to end."""
        self._lasted = False
        try:
            uplink = await asyncio.wait_for(self._greet(), self._config.connect_timeout_s)
        except (TimeoutError, asyncio.TimeoutError):
            limit_s = self._config.connect_timeout_s
            raise LinkError(f"{self._config.gateway}: no welcome within {limit_s:g} s") from None
        opened_s = time.monotonic()
        self._error = ""
        self._tally.begin_session()
        self._tally.codecs = uplink.session.peer_codecs
        self._uplink = uplink
        if self._stopping is not None and self._stopping.is_set():
            uplink.stop()
        self.changed()
        try:
            await uplink.run()
        finally:
            self._uplink = None
            self._lasted = time.monotonic() - opened_s > LASTING_S
            if self._lasted:
                self._backoff.reset()
            self.changed()

    async def _greet(self) -> Uplink:
        websocket = await open_socket(self._config)
        uplink = Uplink(
            *(websocket, self._config, self._spool, self._tally, self._goodput, self),
            self._gate,
            self._codecs,
            cargo=self._cargo,
        )
        try:
            await uplink.greet()
        except BaseException:
            websocket.transport.abort()
            raise
        return uplink

    def _report(self, error: Exception) -> None:
        text = printable(str(error))  # what the other side has said may be in it
        if text != self._error and (line := self._news.line(text, time.monotonic_ns())):
            log.warning("bridge: %s", line)
        self._error = text
        self.changed()

    async def _beat(self) -> None:
        while True:
            self.changed()
            await asyncio.sleep(self._config.heartbeat_interval_ms / 1000)

    # -- status ----------------------------------------------------------------------------

    def _open_spool(self) -> Spool:
        config = self._config
        return SqliteSpool(spool_path(config), config.spool_bytes_max, config.spool_age_max_s)

    def _wake_records(self) -> None:
        if self._uplink is not None:
            self._uplink.cargo.wake()
        self.changed()

    def _spool_changed(self) -> None:
        """Called in the spool's thread."""
        self._call(self._wake_backlog)

    def _wake_backlog(self) -> None:
        if self._uplink is not None:
            self._uplink.wake_backlog()
        self.changed()

    def _emit_status(self) -> None:
        self._status_queued = False
        self._on_status(self.status())

    def status(self) -> BridgeStatus:
        """The state of the link and the spool now."""
        tally, uplink, spool = self._tally, self._uplink, self._spool.stats
        connected = uplink is not None
        link = LinkSample(
            at_ns=time.monotonic_ns(),
            connected=connected,
            rtt_ms=uplink.session.link.srtt_ns / 1e6 if uplink else math.nan,
            rtt_var_ms=uplink.session.link.rttvar_ns / 1e6 if uplink else math.nan,
            loss=uplink.session.link.loss if uplink else float(bool(self._config.gateway)),
            goodput_bps=self._goodput.bps,
            last_heard_ns=tally.last_heard_ns,
            in_flight=len(uplink.flight.live) if uplink else 0,
            spooled=spool.records,
        )
        return BridgeStatus(
            link=link,
            gateway=self._config.gateway,
            session=tally.sessions,
            acknowledged_ns=tally.acknowledged_ns if connected else 0,
            acknowledged_id=tally.acknowledged_id if connected else "",
            key_frame_needed=tally.key_frame_needed and connected,
            key_frames_asked=tally.key_frames_asked,
            codecs=tally.codecs if connected else (),
            uploaded_bytes=tally.uploaded_bytes,
            spooled_total=spool.stored_total,
            spooled_bytes=spool.bytes,
            delivered_late=tally.delivered_late,
            dropped=spool.dropped_total,
            **self._cargo.status(),
            withheld=self._gate.refused,
            kept=len(self._gate.kept),
            error="; ".join(text for text in (self._error, spool.error) if text),
        )
