"""A model of tensors behind its batchers."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Sequence

from ...errors import ModelError
from ...inference import DynamicBatcher
from ..openinference.datatypes import Array, TensorSpec
from ..openinference.statistics import Statistics
from .backend import Backend, Tensors
from .joining import groups_of, join, part

OnBatch = Callable[[str, int, float, float], None]


class _Instance:
    """One backend, its thread and its queue."""

    def __init__(
        self, backend: Backend, make: Callable[..., DynamicBatcher[Tensors, dict[str, Array]]]
    ) -> None:
        self.backend = backend
        self.since_s = math.nan
        self.batcher = make(self._run)
        self.joins = backend.rows_max > 0

    @property
    def silent_s(self) -> float:
        since_s = self.since_s
        return 0.0 if math.isnan(since_s) else time.monotonic() - since_s

    def _run(self, requests: list[Tensors]) -> list[dict[str, Array]]:
        self.since_s = time.monotonic()
        try:
            return self._answers(requests)
        finally:
            self.since_s = math.nan

    def _answers(self, requests: list[Tensors]) -> list[dict[str, Array]]:
        if not self.joins:
            return [self.backend.run(one) for one in requests]
        rows_max = min(self.batcher.size_max, self.backend.rows_max)
        answers: list[dict[str, Array]] = [{} for _ in requests]
        for group in groups_of(requests, rows_max):
            some = [requests[at] for at in group]
            for at, answer in zip(group, part(self.backend.run(join(some)), some), strict=True):
                answers[at] = answer
        return answers


class ServedTensors:
    """One model and version under its name; used from the event loop.

    Each of several instances runs by itself; a request goes to the one where the fewest wait.
    """

    def __init__(
        self,
        name: str,
        version: str,
        backends: Sequence[Backend],
        *,
        size_max: int,
        delay_ms: float,
        queue_max: int,
        on_batch: OnBatch = lambda *_: None,
    ) -> None:
        self.name = name
        self.version = version
        self.statistics = Statistics()

        def ran(size: int, queue_ms: float, run_ms: float) -> None:
            self.statistics.ran(size, queue_ms, run_ms)
            on_batch(name, size, queue_ms, run_ms)

        def make(
            run: Callable[[list[Tensors]], list[dict[str, Array]]],
        ) -> DynamicBatcher[Tensors, dict[str, Array]]:
            return DynamicBatcher(
                run, size_max=size_max, delay_ms=delay_ms, queue_max=queue_max, on_batch=ran
            )

        self._instances = [_Instance(backend, make) for backend in backends]
        self._size_max = size_max

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        return self._instances[0].backend.inputs

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        return self._instances[0].backend.outputs

    @property
    def platform(self) -> str:
        """What runs it, in words that begin with its name."""
        return self._instances[0].backend.platform

    @property
    def batch_size_max(self) -> int:
        """Most rows in one run; 0 where requests are not joined."""
        return min(self._size_max, self._instances[0].backend.rows_max)

    @property
    def ready(self) -> bool:
        """Whether a request has a chance now."""
        return any(one.backend.ready for one in self._instances)

    @property
    def queued(self) -> int:
        """Requests that wait."""
        return sum(one.batcher.queued for one in self._instances)

    @property
    def silent_s(self) -> float:
        """How long the longest run in work has taken; 0 when none is."""
        return max(one.silent_s for one in self._instances)

    async def infer(self, inputs: Tensors) -> dict[str, Array]:
        """The outputs. LinkError when too many wait or nobody answers, ModelError on failure."""
        began = time.perf_counter()
        try:
            return await self._idle().batcher.submit(inputs)
        except Exception:
            self.statistics.failed((time.perf_counter() - began) * 1e3)
            raise

    def put(self, inputs: Tensors) -> asyncio.Future[dict[str, Array]]:
        """As `infer`, for who does not wait: LinkError at once, other errors in the future."""
        return self._idle().batcher.put(inputs)

    def _idle(self) -> _Instance:
        """The one where the fewest wait."""
        return min(
            self._instances,
            key=lambda one: (not one.backend.ready, one.batcher.queued + (one.silent_s > 0)),
        )

    async def close(self, timeout_s: float | None = None) -> bool:
        """Refuse those that wait and free the model; False when a run does not end in time."""
        ended = await asyncio.gather(*(one.batcher.close(timeout_s) for one in self._instances))
        for one, done in zip(self._instances, ended, strict=True):
            if done:
                one.backend.close()
        return all(ended)


def check_same(backends: Sequence[Backend]) -> None:
    """Raise ModelError unless there is one, and all tell the same tensors."""
    if not backends or len({(one.inputs, one.outputs) for one in backends}) != 1:
        raise ModelError("expected instances of one model")
