"""Previews of new thresholds: reckoned in processes of their own, a bounded number at a time.

The page's loop must not stand still for the seconds that the simulator takes, and what a device
told must not cost more than a preview may: who takes too long is ended.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from .fleet import Sample

AT_ONCE, WAITING_MAX = 1, 4
"""Previews that are reckoned at once, and that wait beside them; further ones are refused."""
LIMIT_S = 30.0
SAMPLES_MAX = 400
ANSWER_BYTES_MAX = 1_000_000
WORKER = ("-m", "mastra_ros.dashboard.preview_worker")


class PreviewError(Exception):
    """There is no preview; `key` names the text that says why, or is empty for `str(self)`."""

    def __init__(self, key: str, text: str = "") -> None:
        super().__init__(text or key)
        self.key = key


class Previews:
    """Used in one event loop."""

    def __init__(self, limit_s: float = LIMIT_S, command: Sequence[str] = WORKER) -> None:
        self._limit_s = limit_s
        self._command = tuple(command)
        self._turn = asyncio.Semaphore(AT_ONCE)
        self._asked = 0

    async def of(
        self, samples: Sequence[Sample], changes: Mapping[str, Any], now: Mapping[str, Any]
    ) -> list[dict[str, Any]]:
        """Rows of `simulation.preview` for these statuses. Raises PreviewError."""
        if self._asked >= AT_ONCE + WAITING_MAX:
            raise PreviewError("preview.busy")
        self._asked += 1
        try:
            async with self._turn:
                return await self._reckon(_question(samples, changes, now))
        finally:
            self._asked -= 1

    async def _reckon(self, question: bytes) -> list[dict[str, Any]]:
        worker = await asyncio.create_subprocess_exec(
            *(sys.executable, *self._command),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            limit=ANSWER_BYTES_MAX,
        )
        try:
            answer, _ = await asyncio.wait_for(worker.communicate(question), self._limit_s)
        except (TimeoutError, asyncio.TimeoutError):
            raise PreviewError("preview.slow") from None
        finally:
            if worker.returncode is None:  # also where who asked has left
                worker.kill()
                await worker.wait()
        try:
            told = json.loads(answer)
            rows = told.get("rows")
        except (ValueError, AttributeError):
            raise PreviewError("preview.slow") from None
        if not isinstance(rows, list):
            raise PreviewError("", str(told.get("error", ""))[:300])
        return rows


def _question(
    samples: Sequence[Sample], changes: Mapping[str, Any], now: Mapping[str, Any]
) -> bytes:
    """What the worker reads: statuses at times that rise, the latest of them."""
    by_time = {one.at_s: one.status for one in samples}
    kept = sorted(by_time.items())[-SAMPLES_MAX:]
    asked = {
        "at_s": [at_s for at_s, _ in kept],
        "samples": [status for _, status in kept],
        "changes": dict(changes),
        "now": dict(now),
    }
    return json.dumps(asked).encode()
