"""A model on another server, as one of ours: time limits, retries, a circuit breaker, health."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from ...errors import LinkError, ModelError
from ..openinference.datatypes import NAMES, Array
from .backend import Tensors
from .breaker import Breaker
from .caller import Caller, Unreachable

_log = logging.getLogger(__name__)

FAILURES_MAX = 3
REST_S = 2.0
BACKOFF_S = 0.02
START_S = 10.0
"""So long its description may take."""


class UpstreamBackend:
    """Not for two threads at once."""

    def __init__(
        self,
        where: str,
        caller: Caller,
        *,
        limit_s: float,
        retries: int,
        breaker: Breaker | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Raises LinkError or ModelError when the server does not tell what the model is."""
        self._where = where
        self._caller = caller
        self._limit_s = limit_s
        self._retries = retries
        self._breaker = breaker or Breaker(FAILURES_MAX, REST_S)
        self._sleep = sleep
        described = caller.describe(START_S)
        self.inputs, self.outputs = described.inputs, described.outputs
        if not self.inputs or not self.outputs:
            raise ModelError(f"{where}: has no inputs or no outputs")
        self.version = described.versions[0] if len(described.versions) == 1 else ""
        self.rows_max = described.batch_size_max
        self.platform = f"upstream {where} ({described.platform or 'unknown platform'})"

    @property
    def ready(self) -> bool:
        """Whether it has answered lately, or may be asked again."""
        return self._breaker.admits(time.monotonic())

    def run(self, inputs: Tensors) -> dict[str, Array]:
        until_s = time.monotonic() + self._limit_s
        problem: LinkError = LinkError(f"{self._where}: no answer in time")
        for attempt in range(self._retries + 1):
            now_s = time.monotonic()
            left_s = until_s - now_s
            if left_s <= 0:
                break
            if not self._breaker.admits(now_s):
                rest_s = self._breaker.until_s - now_s
                raise LinkError(f"{self._where}: does not answer, asked again in {rest_s:.1f} s")
            try:
                outputs = self._caller.infer(inputs, [s.name for s in self.outputs], left_s)
            except Unreachable as error:
                problem = error
                self._failed(error)
            except ModelError:
                self._breaker.succeeded()  # it has answered
                raise
            else:
                self._succeeded()
                return self._checked(outputs)
            if attempt < self._retries:
                self._sleep(min(BACKOFF_S * 2**attempt, max(until_s - time.monotonic(), 0.0)))
        raise problem

    def close(self) -> None:
        self._caller.close()

    def _failed(self, error: Unreachable) -> None:
        was = self.ready
        self._breaker.failed(time.monotonic())
        if was and not self.ready:
            _log.warning("%s; it is left alone for %g s at a time", error, self._breaker.rest_s)

    def _succeeded(self) -> None:
        if self._breaker.failures >= self._breaker.failures_max:
            _log.info("%s: answers again", self._where)
        self._breaker.succeeded()

    def _checked(self, outputs: dict[str, Array]) -> dict[str, Array]:
        for spec in self.outputs:
            if spec.name not in outputs:
                raise ModelError(f"{self._where}: gave no {spec.name}")
            array = outputs[spec.name]
            if not spec.fits(array):
                got = f"{NAMES[array.dtype]} {list(array.shape)}"
                raise ModelError(f"{self._where}: expected {spec}, got {got}")
        return outputs
