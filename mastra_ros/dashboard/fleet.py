"""What is known of all devices: asked of the gateway once for all pages that look."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from .gateway import GatewayClient, GatewayError

logger = logging.getLogger(__name__)

POLL_S = 0.5
FULL_EVERY = 2
"""Of so many polls one is news by itself; those between only where a device came or went, so that a
cut is seen within a second of its being noticed, and numbers change once a second."""
QUICK_MAX = 200
"""Beyond so many devices there are no polls between."""
PAGE = 1000
HISTORY_S = 600.0
LOOKED_AT_S = 5.0
"""Polling goes on for so long after the last page has looked, and likewise a device's history."""
HISTORY_EVERY_S = 5.0
"""Between, the newest status of a device is that of the list of all devices."""
GAP_S, FILLED_S = 5.0, 90.0
"""A hole is asked for again for so long after its end: a device tells of a cut late."""
FRESH_S = 3.0
"""A page that opens waits no longer for what is known now."""


@dataclass(frozen=True)
class Sample:
    """A moment of one stream, by the gateway's clock."""

    at_s: float
    status: dict[str, Any]
    found: dict[Any, Any] = field(default_factory=dict, compare=False, repr=False)
    """What pages have looked up in the status already: each page looks at all of them again."""


@dataclass
class Device:
    """A device as the gateway knows it."""

    name: str
    connected: bool = False
    heard: bool = False
    last_seen_s: float | None = None
    streams: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The newest status of each stream."""
    rows: dict[str, dict[str, Any]] = field(default_factory=dict, compare=False, repr=False)
    """What pages have made of it already, by language; it is another device at the next poll."""

    @property
    def state(self) -> str:
        """connected, silent (no heartbeat for three), or away."""
        if self.connected:
            return "connected" if self.heard else "silent"
        return "away"

    @property
    def status(self) -> dict[str, Any]:
        """The newest status of its first stream; empty where it has told none."""
        return next(iter(self.streams.values()), {})


@dataclass
class _Watched:
    """A device at which somebody looks: samples by stream, and by the gateway's ns of each."""

    looked_s: float
    asked_s: float = -math.inf
    read_ns: int = 0
    """Up to when the history was read; the list of all devices may skip one."""
    samples: dict[str, dict[int, Sample]] = field(default_factory=dict)

    def take(self, stream: str, entry: Mapping[str, Any]) -> None:
        """Keep a status; what was kept already, or is too old, changes nothing."""
        kept, at_ns = self.samples.setdefault(stream, {}), int(entry["at_ns"])
        if at_ns not in kept:
            kept[at_ns] = Sample(_moment_s(entry), entry["status"])

    def forget(self) -> None:
        """Let go of what is old."""
        for kept in self.samples.values():
            newest_s = max((one.at_s for one in kept.values()), default=0.0)
            for at_ns in [n for n, one in kept.items() if newest_s - one.at_s > HISTORY_S]:
                del kept[at_ns]

    def since_ns(self) -> int:
        """From when on a history may hold what is not kept: the newest, or the last hole."""
        holes = (_hole_ns(sorted(kept)) for kept in self.samples.values())
        return min((hole for hole in holes if hole is not None), default=self.read_ns)


def _hole_ns(moments: list[int]) -> int | None:
    for before, after in pairwise(moments):
        if after - before > GAP_S * 1e9 and moments[-1] - after <= FILLED_S * 1e9:
            return before
    return None


class Fleet:
    """Polls the gateway while a page looks; pages read `devices`, `problem`, `state`, `history`.

    However many pages look, the gateway is asked once; while none does it is not asked at all.
    """

    def __init__(self, gateway: GatewayClient, clock: Callable[[], float] = time.monotonic) -> None:
        self.devices: dict[str, Device] = {}
        self.problem = ""
        self.state: dict[str, Any] = {}
        self.news = 0
        """Counts up when pages have something new to show."""
        self.changed = asyncio.Event()
        self._polls = 0
        self._gateway = gateway
        self._clock = clock
        self._watched: dict[str, _Watched] = {}
        self._looked_s, self._told_s = -math.inf, -math.inf
        self._wanted = asyncio.Event()

    def look(self) -> None:
        """A page shows what is known; to be called again while it does."""
        self._looked_s = self._clock()
        self._wanted.set()

    async def fresh(self) -> None:
        """Look, and wait until what is known is of now, or cannot be had."""
        self.look()
        until_s = self._clock() + FRESH_S
        while self._clock() - self._told_s > LOOKED_AT_S and self._clock() < until_s:
            changed = self.changed
            with suppress(TimeoutError, asyncio.TimeoutError):
                await asyncio.wait_for(changed.wait(), FRESH_S)

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            if self._clock() - self._looked_s > LOOKED_AT_S:
                self._wanted.clear()
                await self._wanted.wait()
            before = self._states(), self.problem
            quick = len(self.devices) <= QUICK_MAX
            full = self._polls % FULL_EVERY == 0 or not quick
            self._polls += 1
            try:
                await self._poll(full=full)
                self.problem = ""
            except GatewayError as error:
                if str(error) != self.problem:
                    logger.warning("%s", error)
                self.problem = str(error)
            except Exception:  # nothing that a gateway answers may end the polling
                logger.exception("the gateway's answer was not understood")
                self.problem = "the gateway's answer was not understood"
            self.news += full or before != (self._states(), self.problem)
            self._told_s = self._clock()
            self.changed.set()
            self.changed = asyncio.Event()
            await asyncio.sleep(POLL_S if quick else FULL_EVERY * POLL_S)

    def _states(self) -> dict[str, str]:
        return {name: one.state for name, one in self.devices.items()}

    def history(self, device: str) -> dict[str, list[Sample]]:
        """Samples of the last minutes by stream, oldest first; they come while somebody looks."""
        watched = self._watched.setdefault(device, _Watched(self._clock()))
        watched.looked_s = self._clock()
        return {
            stream: sorted(kept.values(), key=lambda one: one.at_s)
            for stream, kept in watched.samples.items()
        }

    async def _poll(self, *, full: bool = True) -> None:
        found: dict[str, Device] = {}
        after = 0
        while True:
            less = {} if full else {"status": "none"}  # an older gateway tells it all the same
            told = await self._gateway.get("/v1/devices", after=after, limit=PAGE, **less)
            for one in told["devices"]:
                found[one["device"]] = _device(one, self.devices.get(one["device"]))
                self._take_newest(one)
            if told["next"] is None:
                break
            after = int(told["next"])
        self.devices = found
        if full:
            with suppress(GatewayError):  # an older gateway does not tell
                self.state = await self._gateway.get("/v1/gateway")
        now_s = self._clock()
        for name, watched in list(self._watched.items()):
            if now_s - watched.looked_s > LOOKED_AT_S:
                del self._watched[name]
            elif now_s - watched.asked_s >= HISTORY_EVERY_S:
                with suppress(GatewayError):  # one device must not hide the others
                    await self._read_history(name, watched)
                    watched.asked_s = now_s

    def _take_newest(self, one: Mapping[str, Any]) -> None:
        watched = self._watched.get(one["device"])
        if watched is not None and watched.samples:  # the past comes first
            for stream, entry in (one.get("status") or {}).items():
                if entry:
                    watched.take(stream, entry)

    async def _read_history(self, name: str, watched: _Watched) -> None:
        since_ns = watched.since_ns()
        told = await self._gateway.get(f"/v1/devices/{name}/status", since=since_ns)
        for stream in told["streams"]:
            for entry in stream["history"]:
                watched.take(stream["stream"], entry)
                watched.read_ns = max(watched.read_ns, int(entry["at_ns"]))
        watched.forget()


def _moment_s(entry: Mapping[str, Any]) -> float:
    """When the device was so: by its own clock where that is near the gateway's.

    A status that tells of a cut comes minutes after it; a device whose clock is wrong by more than
    the history is long is placed by the gateway's.
    """
    heard_s = float(entry["at_ns"]) / 1e9
    told_s = float(entry["status"].get("at_ns", entry["at_ns"])) / 1e9
    return told_s if heard_s - HISTORY_S <= told_s <= heard_s + 1.0 else heard_s


def _device(one: dict[str, Any], before: Device | None) -> Device:
    """What it has told is as before where nothing is said of it."""
    if "status" in one or before is None:
        told = one.get("status") or {}
        streams = {name: entry["status"] for name, entry in told.items() if entry}
    else:
        streams = before.streams
    return Device(
        one["device"],
        bool(one["connected"]),
        bool(one.get("heard", one["connected"])),
        one.get("last_seen_s"),
        streams,
    )
