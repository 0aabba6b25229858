"""Reading how devices are: `/v1/devices`, `/v1/devices/NAME/status`.

A client reads of all devices; a device of itself, and gets 403 for others. Times `*_s` are in s
since 1970 by the gateway's clock. With `status=none` a list says who is heard and nothing of what
they have told, for who asks often.

Frames go first: the loop is let go of between devices, and answers are made in threads, in pieces.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import time
from collections.abc import Callable, Iterable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..protocol.checks import is_name
from .asking import (
    INT64,
    Refused,
    answered,
    name_of,
    paged,
    plain_json,
    seconds_between,
    told_as,
    whole_of,
    whose,
)
from .statuses import Entry, Hearing, StatusBoard

AT_ONCE = 25
"""Devices that are looked at before the loop is let go of: well under a millisecond."""


class DeviceReading:
    """Handlers of the paths.

    devices(): the names of all devices that have a key. connected(): device and stream of each open
    session. look(): brings `hearing` up to date.
    """

    def __init__(
        self,
        board: StatusBoard,
        hearing: Hearing,
        *,
        devices: Callable[[], Iterable[str]],
        connected: Callable[[], Iterable[tuple[str, str]]],
        look: Callable[[], None],
    ) -> None:
        self._board = board
        self._hearing = hearing
        self._devices = devices
        self._connected = connected
        self._look = look
        self._next = itertools.count(1)
        self._numbers: dict[str, int] = {}  # cursors: who comes later stands behind all others

    def routes(self) -> list[Route]:
        """The routes."""
        return [
            Route("/v1/devices", answered(self._list)),
            Route("/v1/devices/{device}/status", answered(self._status)),
        ]

    async def _list(self, request: Request) -> Response:
        own, only = whose(request), name_of(request, "stream")
        with_status = _with_status(request)
        from_s, to_s = seconds_between(request)
        streams: dict[str, list[str]] = {}
        for device, stream in self._connected():
            streams.setdefault(device, []).append(stream)
        names = {*await run_in_threadpool(lambda: list(self._devices())), *streams}
        for name in sorted(names - self._numbers.keys()):
            self._numbers[name] = next(self._next)
        ordered = sorted(names, key=lambda name: self._numbers[name])
        shown = [one for one in ordered if own in ("", one)]
        self._look()
        now_s = time.time()
        # Everything of the loop's is read here, and not in the thread that makes the page.
        told: list[dict[str, Any]] = []
        for place, device in enumerate(shown, 1):
            one = self._of(device, streams.get(device, []), now_s)
            wanted = only in ("", *one["streams"], *one["status"])
            if wanted and _within(one["last_seen_s"], from_s, to_s):
                told.append(one)
            if place % AT_ONCE == 0:
                await asyncio.sleep(0)

        def page(after: int, most: int) -> tuple[list[dict[str, Any]], int]:
            rest = (one for one in told if self._numbers[one["device"]] > after)
            part = list(itertools.islice(rest, most))
            for one in part:
                if not with_status:
                    del one["status"]
                    continue
                one["status"] = {
                    stream: None if entry is None else _entry(entry)
                    for stream, entry in one["status"].items()
                }
            return part, self._numbers[part[-1]["device"]] if part else after

        return await paged(request, "devices", page)

    def _of(self, device: str, streams: list[str], now_s: float) -> dict[str, Any]:
        heard = self._hearing.of_device(device, now_s)
        return {
            "device": device,
            "connected": bool(streams),
            "streams": streams,
            "heard": heard.heard,
            "last_seen_s": heard.last_seen_s,
            "status": {
                stream: self._board.newest(device, stream) for stream in self._board.streams(device)
            },
        }

    async def _status(self, request: Request) -> Response:
        """The newest status of each stream, and those since a time."""
        device = request.path_params["device"]
        if not is_name(device):
            raise Refused(404, f"there is no device {device!r:.80}")
        whose(request, device)
        only = name_of(request, "stream")
        since_ns = whole_of(request, "since", -INT64)
        self._look()
        now_s = time.time()
        known = {*self._board.streams(device), *self._hearing.streams(device)}
        if not known and device not in await run_in_threadpool(lambda: set(self._devices())):
            raise Refused(404, f"there is no device {device!r:.80}")
        connected = set(self._connected())
        told = []
        for stream in sorted(known):
            if only not in ("", stream):
                continue
            heard = self._hearing.of(device, stream, now_s)
            since_s = -1.0 if since_ns is None else since_ns / 1e9
            newest = self._board.newest(device, stream)
            history = self._board.since(device, stream, since_s, now_s)
            told.append(
                {
                    "stream": stream,
                    "connected": (device, stream) in connected,
                    "heard": heard.heard,
                    "last_seen_s": heard.last_seen_s,
                    "newest": newest,
                    "history": history,
                }
            )
        more = {"device": device, "now_ns": int(now_s * 1e9)}
        body = await run_in_threadpool(lambda: told_as(more, "streams", map(_stream, told)))
        return Response(body, media_type="application/json")


def _within(seen_s: float | None, from_s: float, to_s: float) -> bool:
    """Whether it was heard last between; who never was is left out where that is asked."""
    if seen_s is None:
        return math.isinf(from_s) and math.isinf(to_s)
    return from_s <= seen_s < to_s


def _with_status(request: Request) -> bool:
    asked = request.query_params.get("status")
    if asked not in (None, "none"):
        raise Refused(400, f"status: expected none, or nothing, got {asked!r:.80}")
    return asked is None


def _stream(told: dict[str, Any]) -> str:
    """A stream as JSON, with what it has told."""
    newest, history = told["newest"], told.pop("history")
    told["newest"] = None if newest is None else _entry(newest)
    return told_as(told, "history", (plain_json(_entry(entry)) for entry in history))


def _entry(entry: Entry) -> dict[str, Any]:
    return {"at_ns": int(entry.at_s * 1e9), "status": entry.status}
