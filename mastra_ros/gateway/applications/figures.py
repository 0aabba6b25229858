"""What applications count, beside what the gateway counts: for Prometheus.

An application whose process has not begun, or does not answer in time, has no figures then.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import CancelledError
from concurrent.futures import TimeoutError as Late
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from ...errors import StoreError
from .hosts import Applications

WITHIN_S = 2.0
"""All of them together answer within it, or are left out."""
_LABEL_CHARACTERS_MAX = 200


class ApplicationFigures:
    """A collector for a registry of `prometheus_client`."""

    def __init__(self, applications: Applications, within_s: float = WITHIN_S) -> None:
        self._applications = applications
        self._within_s = within_s

    def describe(self) -> Iterable[Metric]:
        """Nothing is known before it is asked."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """The figures of all applications, as they are now."""
        until_s = time.monotonic() + self._within_s
        asked = [
            (name, self._applications.ask(name, {"figures": None}, begin=False))
            for name in self._applications.names
        ]
        for name, answer in asked:
            try:
                told = answer.result(max(0.0, until_s - time.monotonic()))
            except (StoreError, Late, CancelledError):
                answer.cancel()
                continue
            yield from families(name, told.get("figures", ()))


def families(application: str, told: Iterable[Any]) -> Iterator[Metric]:
    """The families of what a process has told: lists of the fields of `Figure`."""
    prefix = f"mastra_{re.sub('[^a-zA-Z0-9_]', '_', application)}_"
    known: dict[str, tuple[Metric, tuple[str, ...]]] = {}
    seen: set[tuple[str, tuple[str, ...]]] = set()
    for name, doc, value, labels, counter in told:
        if name not in known:
            made = CounterMetricFamily if counter else GaugeMetricFamily
            names = tuple(sorted(labels))
            known[name] = (made(prefix + name, doc, labels=names), names)
        family, names = known[name]
        values = tuple(str(labels.get(one, ""))[:_LABEL_CHARACTERS_MAX] for one in names)
        if (name, values) not in seen:
            seen.add((name, values))
            family.add_metric(values, float(value))  # type: ignore[attr-defined]
    for family, _ in known.values():
        yield family
