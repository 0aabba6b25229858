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
from .joining import cut, groups_of, join, pad, padded_rows, part, rows_of

OnBatch = Callable[[str, int, float, float], None]


class _Instance:
    """One backend, which has a thread of its own."""

    def __init__(self, backend: Backend, rows_max: int, sizes: Sequence[int]) -> None:
        self.backend = backend
        self.since_s = math.nan
        self._joins = backend.rows_max > 0
        self._rows_max = min((rows_max, backend.rows_max, *sizes[-1:]))
        self._sizes = [size for size in sizes if size <= backend.rows_max]

    @property
    def silent_s(self) -> float:
        since_s = self.since_s
        return 0.0 if math.isnan(since_s) else time.monotonic() - since_s

    def run(self, requests: list[Tensors]) -> list[dict[str, Array]]:
        """The answers, in order."""
        self.since_s = time.monotonic()
        try:
            return self._answers(requests)
        finally:
            self.since_s = math.nan

    def _answers(self, requests: list[Tensors]) -> list[dict[str, Array]]:
        if not self._joins:
            return [self.backend.run(one) for one in requests]
        answers: list[dict[str, Array]] = [{} for _ in requests]
        for group in groups_of(requests, self._rows_max):
            some = [requests[at] for at in group]
            outputs = self._run_padded(join(some))
            for at, answer in zip(group, part(outputs, some), strict=True):
                answers[at] = answer
        return answers

    def _run_padded(self, inputs: Tensors) -> dict[str, Array]:
        rows = rows_of(inputs)
        padded = padded_rows(rows, self._sizes) if rows else 0
        return cut(self.backend.run(pad(inputs, padded)), padded, rows)


class ServedTensors:
    """One model and version under its name; used from the event loop.

    Requests wait in one queue; each of several instances takes from it when it has nothing to do.
    With `sizes`, ascending, runs have as many rows as one of them, the last of them made up.
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
        sizes: Sequence[int] = (),
    ) -> None:
        self.name = name
        self.version = version
        self.statistics = Statistics()

        def ran(size: int, queue_ms: float, run_ms: float) -> None:
            self.statistics.ran(size, queue_ms, run_ms)
            on_batch(name, size, queue_ms, run_ms)

        self._instances = [_Instance(backend, size_max, sizes) for backend in backends]
        self._size_max = min((size_max, *sizes[-1:]))
        self._batcher: DynamicBatcher[Tensors, dict[str, Array]] = DynamicBatcher(
            [one.run for one in self._instances],
            size_max=self._size_max,
            delay_ms=delay_ms,
            queue_max=queue_max,
            on_batch=ran,
        )

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
        return self._batcher.queued

    @property
    def silent_s(self) -> float:
        """How long the longest run in work has taken; 0 when none is."""
        return max(one.silent_s for one in self._instances)

    async def infer(self, inputs: Tensors) -> dict[str, Array]:
        """The outputs. LinkError when too many wait or nobody answers, ModelError on failure."""
        began = time.perf_counter()
        try:
            return await self._batcher.submit(inputs)
        except Exception:
            self.statistics.failed((time.perf_counter() - began) * 1e3)
            raise

    def put(self, inputs: Tensors) -> asyncio.Future[dict[str, Array]]:
        """As `infer`, for who does not wait: LinkError at once, other errors in the future."""
        return self._batcher.put(inputs)

    async def close(self, timeout_s: float | None = None) -> bool:
        """Refuse those that wait and free the model; False when a run does not end in time."""
        ended = await self._batcher.close(timeout_s)
        for one in self._instances:
            if ended or not one.silent_s:
                one.backend.close()
        return ended


def check_same(backends: Sequence[Backend]) -> None:
    """Raise ModelError unless there is one, and all tell the same tensors."""
    if not backends or len({(one.inputs, one.outputs) for one in backends}) != 1:
        raise ModelError("expected instances of one model")
