"""What is known of roll-outs: asked of the gateway once for all pages that look."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from .gateway import GatewayClient, GatewayError

PERIOD_S = 0.9
LISTED = 20
"""Roll-outs that are shown, the newest first."""


class Rollouts:
    """Used in one event loop; pages read `kept`, `bundles`, `problem`."""

    def __init__(self, gateway: GatewayClient, clock: Callable[[], float] = time.monotonic) -> None:
        self.kept: list[dict[str, Any]] = []
        self.bundles: list[Any] = []
        self.problem = ""
        self._ahead_s = 0.0
        self._gateway = gateway
        self._clock = clock
        self._asked_s = -PERIOD_S
        self._turn = asyncio.Lock()

    @property
    def now_s(self) -> float:
        """The time by the gateway's clock, as the times of roll-outs are."""
        return time.time() + self._ahead_s

    async def look(self, *, at_once: bool = False) -> None:
        """Know what is now; to be called while a page shows it."""
        async with self._turn:
            if not at_once and self._clock() - self._asked_s < PERIOD_S:
                return
            try:
                told = await self._gateway.get("/v1/rollouts", limit=LISTED)
                kept = [one for one in told["rollouts"] if isinstance(one, dict)]
                self.bundles = list(told["bundles"])
                self._ahead_s = float(told.get("now_s", time.time())) - time.time()
            except GatewayError as error:
                self.problem = str(error)
            except (KeyError, TypeError, ValueError):
                self.problem = "the gateway's answer was not understood"
            else:
                self.kept, self.problem = kept[:LISTED], ""
            self._asked_s = self._clock()

    async def begin(self, asked: dict[str, Any], person: str) -> None:
        """Begin one on behalf of a person. Raises GatewayError, which says why not."""
        await self._gateway.post("/v1/rollouts", asked, person)
        await self.look(at_once=True)

    async def move(self, number: int, what: str, person: str) -> None:
        """what: back, pause or resume. Raises GatewayError."""
        await self._gateway.post(f"/v1/rollouts/{number}/{what}", {}, person)
        await self.look(at_once=True)
