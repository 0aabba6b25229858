"""What is known of all devices: asked of the gateway once for all pages that look."""

from __future__ import annotations

import asyncio
import logging
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
"""A device's history is kept up so long after the last page has looked at it."""


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
    """Polls the gateway; pages read `devices`, `problem` and `history`."""

    def __init__(self, gateway: GatewayClient, clock: Callable[[], float] = time.monotonic) -> None:
        self.devices: dict[str, Device] = {}
        self.problem = ""
        self.changed = asyncio.Event()
        self._gateway = gateway
        self._clock = clock
        self._watched: dict[str, _Watched] = {}

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
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
