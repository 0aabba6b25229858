"""Rows of bad days of a device: its process, its gateway and the network between them."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sqlite3
import time
from collections.abc import Iterator

from mastra_ros.emulation import ShapingProxy, parse_faults

from .device import Device, beside, device
from .garbler import Garbler, Spoil
from .row import MEBIBYTE, Record, row
from .site import Site, Sites, wait_until

ITEM = "0 bad days"
NAME = "evil-1"
BATCH = 5


def _kept(site: Site) -> list[int]:
    """Stamps of the device's frames whose results the gateway keeps."""
    path = next(site.state.glob("results.sqlite3"))
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        query = "SELECT stamp_ns FROM results WHERE device = ? AND stream = 'main'"
        return [stamp for (stamp,) in database.execute(query, (NAME,))]


def _of(sites: Sites, site: Site) -> Device:
    """The device of a gateway, which rows share."""
    return sites.shared(f"device {site.port}", lambda: device(sites, site.keys, NAME))


def _connected(one: Device) -> bool:
    return bool(one.status.get("link", {}).get("connected"))


class Work:
    """Frames of a device on a bad day, some live and some late."""

    def __init__(self, site: Site, one: Device) -> None:
        self.site, self.device = site, one
        self.stamps: list[int] = []

    def send(self) -> None:
        """A few of both kinds; only those that are kept are sure to arrive after a SIGKILL."""
        for late in (True, False):
            self.stamps += self.device.do("send", count=BATCH, late=late, deadline_ms=500.0)

    def settle(self, record: Record) -> None:
        """Wait until all have arrived; count what does not, and what is there twice."""
        with contextlib.suppress(TimeoutError):
            wait_until(lambda: set(self.stamps) <= set(_kept(self.site)))
        kept = _kept(self.site)
        record.lost += len(set(self.stamps) - set(kept))
        record.twice += len(kept) - len(set(kept))


@contextlib.contextmanager
def _day(
    sites: Sites, record: Record, site: Site | None = None, port: int | None = None
) -> Iterator[Work]:
    """A device at work by way of a port; all its frames have to arrive in the end."""
    site = site or sites.site()
    one = _of(sites, site)
    record.memory_allowed = 64 * MEBIBYTE
    logged = len(one.log)
    with beside(sites, record, one):
        one.start(f"wss://127.0.0.1:{port or site.port}")
        try:
            wait_until(lambda: _connected(one))
            work = Work(site, one)
            yield work
            work.send()
            work.settle(record)
        finally:
            with contextlib.suppress(RuntimeError, OSError):
                one.stop()
    record.expect("Traceback" not in one.log[logged:], "a fault is in the device's log")


def _faulty(sites: Sites, record: Record, faults: list[str], each_s: float) -> None:
    """Frames are sent while these faults are played one after the other."""
    with (
        ShapingProxy("127.0.0.1", sites.site().port) as proxy,
        _day(sites, record, port=proxy.port) as work,
    ):
        for fault in faults:
            proxy.restart_clock()
            proxy.set_faults(parse_faults(fault))
            record.attempts += 1
            until_s = time.monotonic() + each_s
            while time.monotonic() < until_s:
                work.send()
                time.sleep(0.1)
        proxy.set_faults(())


@row(ITEM, "a link that goes down, and comes back")
def down(sites: Sites, record: Record) -> None:
    """Frames wait in the spool."""
    _faulty(sites, record, ["down@0s..0.5s"] * sites.over_runs(2, 8), 0.8)


@row(ITEM, "a link that loses, delays and shuffles")
def lossy(sites: Sites, record: Record) -> None:
    """TCP brings everything, late."""
    faults = ["loss=20%@0s", "delay=300ms@0s,jitter=100ms@0s", "loss=5%@0s,rate=1mbit@0s"]
    _faulty(sites, record, sites.some(faults, 2), sites.many(1, 4))


@row(ITEM, "a link that flaps")
def flapping(sites: Sites, record: Record) -> None:
    """Connections are reset all the time."""
    resets = ",".join(f"reset@{n * 120}ms" for n in range(1, 9))
    _faulty(sites, record, [resets] * sites.over_runs(2, 20), 1.0)


@row(ITEM, "a link that is half open: no byte moves, and nobody hangs up")
def half_open(sites: Sites, record: Record) -> None:
    """The device notices by itself."""
    _faulty(sites, record, sites.some(["stall@0s..1.5s", "down:stall@0s..1.5s"], 1), 1.7)


@row(ITEM, "a link of 64 kbit/s upwards")
def slow(sites: Sites, record: Record) -> None:
    """What does not fit is late, and not lost."""
    _faulty(sites, record, ["up:rate=64kbit@0s"], sites.over_runs(1, 10))


def _spoil(relay: Garbler, spoil: Spoil, work: Work) -> None:
    before = relay.connections
    relay.spoil = spoil
    work.send()
    wait_until(lambda: relay.connections > before)


def _spoilt(sites: Sites, record: Record, spoils: list[Spoil]) -> None:
    """Frames are sent while these work on the bytes, each until a connection was lost by it."""
    with Garbler(sites.site().port) as relay, _day(sites, record, port=relay.port) as work:
        for spoil in spoils:
            _spoil(relay, spoil, work)
            record.attempts += 1
        relay.spoil = None


@row(ITEM, "bytes that are flipped, repeated, left out and cut off")
def garbled(sites: Sites, record: Record) -> None:
    """TLS tells, and the session begins anew."""
    rng = random.Random(5)

    def flipped(data: bytes, before: int, up: bool) -> bytes:  # noqa: ARG001
        at = rng.randrange(len(data))
        return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]

    def only_up(data: bytes, before: int, up: bool) -> bytes:  # noqa: ARG001
        return data + data[-20:] if up else data

    def only_down(data: bytes, before: int, up: bool) -> bytes:  # noqa: ARG001
        return data if up else data[:-3]

    def cut(data: bytes, before: int, up: bool) -> bytes | None:  # noqa: ARG001
        return None if up else data

    _spoilt(sites, record, [flipped, only_up, only_down, cut] * sites.over_runs(1, 10))


@row(ITEM, "connections that end in the midst of their handshakes")
def handshakes(sites: Sites, record: Record) -> None:
    """After so many bytes of it, in either direction."""

    def after(most: int, of_up: bool) -> Spoil:
        def spoil(data: bytes, before: int, up: bool) -> bytes | None:
            if up != of_up or before + len(data) <= most:
                return data
            return None

        return spoil

    places = sites.some([0, 100, 600, 1000, 1400, 2000], 3)
    _spoilt(sites, record, [after(most, up) for most in places for up in (True, False)])


@row(ITEM, "SIGKILL of a device in the midst of frames")
def killed(sites: Sites, record: Record) -> None:
    """What was kept arrives after the next start, and what was acknowledged counts once."""
    with _day(sites, record) as work:
        for _ in range(sites.over_runs(2, 30)):
            work.stamps += work.device.keep(BATCH)
            work.device.do("send", count=BATCH, late=False)  # may die with the process
            os.kill(work.device.pid, signal.SIGKILL)
            work.device.kill()
            record.attempts += 1
            work.device.start(f"wss://127.0.0.1:{work.site.port}")


@row(ITEM, "a device that is stopped and goes on")
def stopped(sites: Sites, record: Record) -> None:
    """As when it sleeps."""
    with _day(sites, record) as work:
        for _ in range(sites.over_runs(1, 10)):
            work.send()
            os.kill(work.device.pid, signal.SIGSTOP)
            time.sleep(1.3)  # longer than it waits for a heartbeat
            os.kill(work.device.pid, signal.SIGCONT)
            record.attempts += 1
            work.send()
            wait_until(lambda: _connected(work.device))


@row(ITEM, "a gateway that is killed while a device sends, and comes back")
def gateway_killed(sites: Sites, record: Record) -> None:
    """The device keeps what it cannot send, and nothing that was acknowledged is gone."""
    with sites.own_site() as site:
        with _day(sites, record, site) as work:
            for _ in range(sites.over_runs(1, 10)):
                work.send()
                site.gateway.kill()
                work.send()
                record.attempts += 1
                site.gateway.restart()
                wait_until(lambda: _connected(work.device))
        record.lost += site.unaccounted()
