"""What is known of all devices: asked of the gateway once for all pages that look."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from .gateway import GatewayClient, GatewayError

logger = logging.getLogger(__name__)

POLL_S = 1.0
PAGE = 1000
HISTORY_S = 600.0
LOOKED_AT_S = 10.0
"""Polling goes on for so long after the last page has looked, and likewise a device's history."""
FRESH_S = 3.0
"""A page that opens waits no longer for what is known now."""


@dataclass(frozen=True)
class Sample:
    """A moment of one stream, by the gateway's clock."""

    at_s: float
    status: dict[str, Any]


@dataclass
class Device:
    """A device as the gateway knows it."""

    name: str
    connected: bool = False
    heard: bool = False
    last_seen_s: float | None = None
    streams: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The newest status of each stream."""

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
    looked_s: float
    since_ns: int = 0
    samples: dict[str, deque[Sample]] = field(default_factory=dict)


class Fleet:
    """Polls the gateway while a page looks; pages read `devices`, `problem`, `state`, `history`.

    However many pages look, the gateway is asked once; while none does it is not asked at all.
    """

    def __init__(self, gateway: GatewayClient, clock: Callable[[], float] = time.monotonic) -> None:
        self.devices: dict[str, Device] = {}
        self.problem = ""
        self.state: dict[str, Any] = {}
        self.changed = asyncio.Event()
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
            try:
                await self._poll()
                self.problem = ""
            except GatewayError as error:
                if str(error) != self.problem:
                    logger.warning("%s", error)
                self.problem = str(error)
            except Exception:  # nothing that a gateway answers may end the polling
                logger.exception("the gateway's answer was not understood")
                self.problem = "the gateway's answer was not understood"
            self._told_s = self._clock()
            self.changed.set()
            self.changed = asyncio.Event()
            await asyncio.sleep(POLL_S)

    def history(self, device: str) -> dict[str, list[Sample]]:
        """Samples of the last minutes by stream, oldest first; they come while somebody looks."""
        watched = self._watched.setdefault(device, _Watched(self._clock()))
        watched.looked_s = self._clock()
        return {stream: list(samples) for stream, samples in watched.samples.items()}

    async def _poll(self) -> None:
        found: dict[str, Device] = {}
        after = 0
        while True:
            told = await self._gateway.get("/v1/devices", after=after, limit=PAGE)
            for one in told["devices"]:
                found[one["device"]] = _device(one)
            if told["next"] is None:
                break
            after = int(told["next"])
        self.devices = found
        with suppress(GatewayError):  # an older gateway does not tell
            self.state = await self._gateway.get("/v1/gateway")
        now_s = self._clock()
        for name, watched in list(self._watched.items()):
            if now_s - watched.looked_s > LOOKED_AT_S:
                del self._watched[name]
            else:
                with suppress(GatewayError):  # one device must not hide the others
                    await self._read_history(name, watched)

    async def _read_history(self, name: str, watched: _Watched) -> None:
        told = await self._gateway.get(f"/v1/devices/{name}/status", since=watched.since_ns)
        for stream in told["streams"]:
            samples = watched.samples.setdefault(stream["stream"], deque())
            for entry in stream["history"]:
                # What a device tells late, of a cut, belongs before what came meanwhile.
                samples.append(Sample(_moment_s(entry), entry["status"]))
                watched.since_ns = max(watched.since_ns, int(entry["at_ns"]))
            ordered = sorted(samples, key=lambda one: one.at_s)
            newest_s = ordered[-1].at_s if ordered else 0.0
            samples.clear()
            samples.extend(one for one in ordered if newest_s - one.at_s <= HISTORY_S)


def _moment_s(entry: dict[str, Any]) -> float:
    """When the device was so: by its own clock where that is near the gateway's.

    A status that tells of a cut comes minutes after it; a device whose clock is wrong by more than
    the history is long is placed by the gateway's.
    """
    heard_s = float(entry["at_ns"]) / 1e9
    told_s = float(entry["status"].get("at_ns", entry["at_ns"])) / 1e9
    return told_s if heard_s - HISTORY_S <= told_s <= heard_s + 1.0 else heard_s


def _device(one: dict[str, Any]) -> Device:
    streams = {name: entry["status"] for name, entry in (one.get("status") or {}).items() if entry}
    return Device(
        one["device"],
        bool(one["connected"]),
        bool(one.get("heard", one["connected"])),
        one.get("last_seen_s"),
        streams,
    )
