"""Tries candidates in child processes, one run of one candidate at a time."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from ...orphans import child_environment
from ...types import Detections
from ..bundle import Bundle
from ..opening import EngineOptions
from .candidates import Candidate
from .decide import Trial
from .pictures import NUMBER

BUDGET_S = 5.0
STOP_CHECK_S = 0.1


def measure(
    bundle: Bundle,
    candidates: Sequence[Candidate],
    options: EngineOptions,
    *,
    budget_s: float = BUDGET_S,
    stop: threading.Event | None = None,
) -> list[Trial]:
    """Try every candidate on every picture, in turn, as far as `budget_s` reaches.

    A child that crashes, hangs or cannot load its engine costs its own candidates alone. Setting
    `stop` ends it early; no child is left behind.
    """
    deadline = time.monotonic() + budget_s
    stop = stop or threading.Event()
    views = {one.part: bundle.parts[one.part].views for one in candidates}
    children: dict[str, _Child] = {}
    try:
        for engine in dict.fromkeys(one.engine for one in candidates):
            request = {
                "parent": os.getpid(),
                "bundle": str(bundle.path.parent.absolute()),
                "engine": engine,
                "views": views,
                "options": asdict(options),
            }
            children[engine] = _Child(request)
        return _rounds(bundle, candidates, children, deadline, stop)
    finally:
        for child in children.values():
            child.end()


def _rounds(
    bundle: Bundle,
    candidates: Sequence[Candidate],
    children: dict[str, _Child],
    deadline: float,
    stop: threading.Event,
) -> list[Trial]:
    times: dict[Candidate, list[float]] = {one: [] for one in candidates}
    answers: dict[Candidate, list[Detections]] = {one: [] for one in candidates}
    problems: dict[Candidate, str] = {}
    for picture in range(NUMBER):
        for one in candidates:
            if one in problems or stop.is_set() or time.monotonic() >= deadline:
                continue
            told = children[one.engine].ask(one.part, picture, deadline, stop)
            if told is None:  # time is up
                continue
            if "problem" in told:
                problems[one] = str(told["problem"])
                continue
            times[one].append(float(told["ms"]))
            answers[one].append(_detections(told, bundle.labels))
    return [
        Trial(one, tuple(times[one]), tuple(answers[one]), problems.get(one, ""))
        for one in candidates
    ]


def _detections(told: dict[str, Any], labels: tuple[str, ...]) -> Detections:
    return Detections(
        np.array(told["boxes"], np.float32).reshape(-1, 4),
        np.array(told["scores"], np.float32),
        np.array(told["classes"], np.int32),
        labels,
    )


class _Child:
    """One engine's process, and what it has answered."""

    def __init__(self, request: dict[str, Any]) -> None:
        command = [sys.executable, "-m", "mastra_ros.inference.choosing.trial"]
        self._process = subprocess.Popen(  # noqa: S603 - our own program
            [*command, json.dumps(request)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=child_environment(),
        )
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, name="engine-trial", daemon=True)
        self._reader.start()

    def ask(
        self, part: str, picture: int, deadline: float, stop: threading.Event
    ) -> dict[str, Any] | None:
        """The answer to one command; None when time is up or `stop` is set before it comes."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"{part} {picture}\n")
            self._process.stdin.flush()
        except OSError:
            return {"problem": self._end_text()}
        while not stop.is_set() and (rest := deadline - time.monotonic()) > 0:
            try:
                line = self._lines.get(timeout=min(rest, STOP_CHECK_S))
            except queue.Empty:
                continue
            try:
                told = json.loads(line)
            except ValueError:
                return {"problem": self._end_text()}
            return dict(told)
        return None

    def end(self) -> None:
        """Kill the process and free what belongs to it."""
        self._process.kill()
        self._process.wait()
        self._reader.join()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except OSError:  # what was to be written has nobody to read it
                    continue

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put("")

    def _end_text(self) -> str:
        status = self._process.wait()
        if status < 0:
            return f"ended by {signal.Signals(-status).name}"
        return f"ended with status {status}"
