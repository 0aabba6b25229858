"""The thread in which plates are looked for: one vehicle at a time, at its rate and budget."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray

from ..config import TrafficConfig
from ..errors import MastraError
from ..pipeline.traffic.device.cascade import PlateCascade
from ..pipeline.traffic.device.device import Wanted

log = logging.getLogger(__name__)

TOLD_EVERY = 50
"""Of failures in a row, the first and each so many are logged."""


class PlateWorker:
    """Takes an offer when it has time; what is dropped comes again with a later frame."""

    def __init__(
        self, cascade: PlateCascade, config: TrafficConfig, give: Callable[[int, float, Any], None]
    ) -> None:
        self._cascade = cascade
        self._period_s = 1 / config.plate_rate_hz
        self._budget_s = config.plate_budget_ms / 1e3
        self._give = give
        self._wake = threading.Condition()
        self._offer: tuple[NDArray[Any], Wanted] | None = None
        self._running = False
        self._thread: threading.Thread | None = None
        self._looked = self._found = self._failed = 0
        self._cost_ms = 0.0

    def start(self) -> None:
        self._running = True
        self._thread = threading.Thread(target=self._work, name="plates", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        with self._wake:
            self._running = False
            self._wake.notify_all()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def close(self) -> None:
        self.stop()
        self._cascade.close()

    def offer(self, image: NDArray[Any], wanted: list[Wanted]) -> None:
        """The best view of the newest frame, if there is time for it."""
        with self._wake:
            if self._offer is None:
                self._offer = image, wanted[0]
                self._wake.notify_all()

    def told(self) -> dict[str, Any]:
        return {
            "plates_looked_for": self._looked,
            "plates_found": self._found,
            "plate_ms": round(self._cost_ms, 1),
        }

    def _work(self) -> None:
        while True:
            with self._wake:
                while self._offer is None and self._running:
                    self._wake.wait()
                if not self._running:
                    return
                assert self._offer is not None
                image, wanted = self._offer
            began = time.monotonic()
            self._look(image, wanted)
            spent = time.monotonic() - began
            # Above its budget it works more rarely: the vehicles' part goes first.
            pause = self._period_s * max(1.0, spent / self._budget_s) - spent
            with self._wake:
                deadline = time.monotonic() + pause
                while self._running and (left := deadline - time.monotonic()) > 0:
                    self._wake.wait(left)
                self._offer = None

    def _look(self, image: NDArray[Any], wanted: Wanted) -> None:
        try:
            looked = self._cascade.look(image, wanted.box)
        except MastraError as error:
            self._failed += 1
            if self._failed % TOLD_EVERY == 1:
                log.error("plates: %s", error)
            return
        self._looked += 1
        self._found += looked.box is not None
        cost = looked.finding_ms + looked.reading_ms
        self._cost_ms += (cost - self._cost_ms) / min(20, self._looked)
        width = 0.0 if looked.box is None else looked.box[2] - looked.box[0]
        self._give(wanted.track, width, looked.reading)
