"""What a served model has done so far, as Triton's extension for statistics tells it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Duration:
    """So often, and so long in all."""

    count: int = 0
    ns: int = 0

    def add(self, count: int, spent_ms: float) -> None:
        """Take in more."""
        self.count += count
        self.ns += int(spent_ms * 1e6)

    def to_json(self) -> dict[str, int]:
        """As the protocol tells it."""
        return {"count": self.count, "ns": self.ns}


NOT_APART = ("compute_input", "compute_output", "cache_hit", "cache_miss")
"""Told by the protocol and not kept here: what is around a run counts as part of it."""


@dataclass
class Statistics:
    """Counters of one model and version. Used from the event loop."""

    last_ms: int = 0  # of the Unix epoch
    inferences: int = 0
    executions: int = 0
    success: Duration = field(default_factory=Duration)
    fail: Duration = field(default_factory=Duration)
    queue: Duration = field(default_factory=Duration)
    infer: Duration = field(default_factory=Duration)
    batches: dict[int, Duration] = field(default_factory=dict)

    def ran(self, size: int, queue_ms: float, run_ms: float) -> None:
        """One run of the model for so many requests; `queue_ms` is the wait of the oldest."""
        self.last_ms = int(time.time() * 1e3)
        self.inferences += size
        self.executions += 1
        self.success.add(size, size * (queue_ms + run_ms))
        self.queue.add(size, size * queue_ms)
        self.infer.add(size, size * run_ms)
        self.batches.setdefault(size, Duration()).add(1, run_ms)

    def failed(self, spent_ms: float) -> None:
        """One request that got no answer."""
        self.fail.add(1, spent_ms)

    def to_json(self, name: str, version: str) -> dict[str, Any]:
        """As the protocol tells it."""
        nothing = Duration().to_json()
        return {
            "name": name,
            "version": version,
            "last_inference": self.last_ms,
            "inference_count": self.inferences,
            "execution_count": self.executions,
            "inference_stats": {
                "success": self.success.to_json(),
                "fail": self.fail.to_json(),
                "queue": self.queue.to_json(),
                "compute_infer": self.infer.to_json(),
                **dict.fromkeys(NOT_APART, nothing),
            },
            "batch_stats": [
                {
                    "batch_size": size,
                    "compute_infer": spent.to_json(),
                    **dict.fromkeys(NOT_APART[:2], nothing),
                }
                for size, spent in sorted(self.batches.items())
            ],
        }
