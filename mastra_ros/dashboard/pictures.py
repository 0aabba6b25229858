"""The newest picture of each device at which somebody looks, asked for once for all pages."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from .gateway import GatewayClient, GatewayError, PictureWithheld

PERIOD_S = 0.5
"""A picture of a device is asked for no more often."""
MISSING_S, ABSENT_S = 1.0, 2.5
"""And where there was none so often: a device that is asked for pictures takes its time, and after
some times it has none, as one of an older version."""
MISSED_MAX = 3
DEVICES_MAX = 20
"""Devices whose pictures are kept at once."""
PATH = "/picture/{device}"


@dataclass
class _Kept:
    asked_s: float
    jpeg: bytes = b""
    number: int = 0
    asked: bool = False
    why: str = ""  # there is none
    missed: int = 0  # times in a row

    @property
    def pause_s(self) -> float:
        """For how long it is not asked for again."""
        if self.jpeg or not self.asked:
            return PERIOD_S
        return MISSING_S if self.missed <= MISSED_MAX else ABSENT_S


class Pictures:
    """Used in one event loop."""

    def __init__(self, gateway: GatewayClient, clock: Callable[[], float] = time.monotonic) -> None:
        self._gateway = gateway
        self._clock = clock
        self._kept: OrderedDict[str, _Kept] = OrderedDict()

    def routes(self) -> list[Route]:
        """Where the pictures that were asked for lie."""
        return [Route(PATH, self._show)]

    async def look(self, device: str) -> int:
        """The number of the newest picture, 0 where there is none; to be called while it is seen.

        It counts up with each new picture, so that a browser fetches that and no other.
        """
        now_s = self._clock()
        kept = self._kept.setdefault(device, _Kept(now_s - PERIOD_S))
        self._kept.move_to_end(device)
        while len(self._kept) > DEVICES_MAX:
            self._kept.popitem(last=False)
        if now_s - kept.asked_s >= kept.pause_s:
            kept.asked_s, kept.asked = now_s, True
            try:
                jpeg, kept.why = await self._gateway.picture(device), ""
            except PictureWithheld as error:
                jpeg, kept.why = b"", str(error)
            except GatewayError:
                jpeg, kept.why = b"", ""  # nothing has come, or an older gateway has none
            kept.missed = 0 if jpeg else kept.missed + 1
            if jpeg != kept.jpeg:
                kept.jpeg = jpeg
                kept.number += bool(jpeg)
        return kept.number if kept.jpeg else 0

    def why_none(self, device: str) -> str:
        """Why a device shows no picture, where it has said so; empty otherwise."""
        kept = self._kept.get(device)
        return "" if kept is None else kept.why

    async def _show(self, request: Request) -> Response:
        kept = self._kept.get(str(request.path_params["device"]))
        if kept is None or not kept.jpeg:
            return PlainTextResponse("no picture", 404)
        return Response(kept.jpeg, media_type="image/jpeg", headers={"Cache-Control": "no-store"})
