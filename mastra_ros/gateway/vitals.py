"""How the gateway itself is: `GET /v1/gateway`, for clients.

Load of the machine's GPUs, batches and queues of the models, frames and runs a second, processor
and memory of the process, and what was received and sent since it started. Times are in s.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psutil
from prometheus_client import Counter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from .asking import Refused, answered
from .clients import CLIENT
from .gpus import Gpus
from .metrics import Metrics
from .models import Models

SPAN_S = 10.0
"""Rates are over about so long, up to the question."""
GAP_S = 0.5
"""Questions that are nearer to each other share their figures."""


@dataclass(frozen=True)
class _Counts:
    at_s: float
    frames: float
    requests: float
    cpu_s: float


class Vitals:
    """The handler; counts are looked at when somebody asks, and not before."""

    def __init__(
        self,
        metrics: Metrics,
        models: Models,
        *,
        software: str,
        sessions: Callable[[], int],
        gpus: Gpus | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._metrics = metrics
        self._models = models
        self._software = software
        self._sessions = sessions
        self._gpus = gpus or Gpus()
        self._clock = clock
        self._process = psutil.Process()
        self._began_s = clock()
        self._counted: deque[_Counts] = deque([self._count()])

    def routes(self) -> list[Route]:
        """The route."""
        return [Route("/v1/gateway", answered(self._show))]

    async def _show(self, request: Request) -> Response:
        if request.scope.get(CLIENT) is None:
            raise Refused(403, "this is for clients")
        told = self.read()
        told["gpus"] = await run_in_threadpool(self._gpus.read)
        return JSONResponse(told)

    def read(self) -> dict[str, Any]:
        """All but the GPUs; in the loop."""
        now = self._count()
        while len(self._counted) > 1 and now.at_s - self._counted[1].at_s >= SPAN_S:
            self._counted.popleft()
        then, passed_s = self._counted[0], now.at_s - self._counted[0].at_s
        if now.at_s - self._counted[-1].at_s >= GAP_S:
            self._counted.append(now)
        told: dict[str, Any] = {
            "software": self._software,
            "up_s": now.at_s - self._began_s,
            "cores": os.cpu_count() or 1,
            "sessions": self._sessions(),
            "memory_bytes": self._process.memory_info().rss,
            "frames": int(now.frames),
            "requests": int(now.requests),
            "received_bytes": int(_total(self._metrics.received_bytes)),
            "sent_bytes": int(_total(self._metrics.sent_bytes)),
            "models": [_model(one) for one in self._models.all()],
        }
        if passed_s >= GAP_S:
            told["frames_per_s"] = (now.frames - then.frames) / passed_s
            told["requests_per_s"] = (now.requests - then.requests) / passed_s
            told["cpu"] = (now.cpu_s - then.cpu_s) / passed_s
        return told

    def _count(self) -> _Counts:
        spent = self._process.cpu_times()
        requests = sum(one.statistics.inferences for one in self._models.all())
        frames = _total(self._metrics.frames)
        return _Counts(self._clock(), frames, requests, spent.user + spent.system)


def _model(model: Any) -> dict[str, Any]:
    """Batches of a model since the start, by size; how long they waited and ran, on average."""
    seen = model.statistics
    told: dict[str, Any] = {
        "name": model.name,
        "queued": model.queued,
        "inferences": seen.inferences,
        "executions": seen.executions,
        "batches": {str(size): spent.count for size, spent in sorted(seen.batches.items())},
    }
    if seen.inferences:
        told["queue_ms"] = seen.queue.ns / 1e6 / seen.inferences
        told["run_ms"] = seen.infer.ns / 1e6 / seen.inferences
        told["batch_mean"] = seen.inferences / seen.executions
    return told


def _total(counter: Counter) -> float:
    """The sum over all labels."""
    return sum(
        sample.value
        for metric in counter.collect()
        for sample in metric.samples
        if sample.name.endswith("_total")
    )
