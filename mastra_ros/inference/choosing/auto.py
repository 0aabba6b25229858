"""A detector that finds the fastest engine by itself, while it answers."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ...errors import ConfigError, DependencyError, MastraError
from ...types import Detections, Frame
from ..bundle import Bundle
from ..detector import Detector, StageTimes
from ..feeder import Fitted
from ..opening import BUNDLE, SUFFIXES, EngineOptions
from .candidates import Candidate, candidates_of, key_of
from .decide import Choice, decide
from .kept import load_choice, save_choice
from .measure import measure
from .pictures import NUMBER

_log = logging.getLogger(__name__)

AUTO = "auto"
PIN = "MASTRA_ENGINE"
"""This variable says what `auto` stands for: tests and benchmarks set it to `bundle`."""

WARM_UP_RUNS = 2

Better = Callable[[threading.Event], Detector | None]


def open_detector(
    bundle: Bundle,
    parts: Sequence[str],
    engine: str = AUTO,
    *,
    options: EngineOptions | None = None,
    score_threshold: float = 0.0,
    choices_dir: Path | None = None,
) -> Detector | AutoDetector:
    """Load a part of a bundle on the engine asked for.

    Args:
        parts: the part to load; after it the parts that may stand for it where `auto` finds one
            of them faster, and that are left out where the bundle has them not.
        engine: a name, `bundle` for the one that the part names, or `auto`.
        choices_dir: where choices are kept; None keeps none.

    Raises:
        ModelError, DependencyError: as `Detector.open`.
    """
    options = options or EngineOptions()
    pinned = os.environ.get(PIN, "")
    if pinned and pinned not in (AUTO, BUNDLE, *SUFFIXES):
        raise ConfigError(f"{PIN}: expected {AUTO}, {BUNDLE} or an engine, got {pinned!r}")
    if engine == AUTO and pinned:
        engine = pinned
    first = bundle.part(parts[0])
    if engine != AUTO:
        return Detector.open(
            bundle, first.name, engine=engine, options=options, score_threshold=score_threshold
        )
    return AutoDetector(_Plan(bundle, parts, options, choices_dir), score_threshold)


class AutoDetector:
    """As `Detector`. Once the first frame is answered, the installed engines are measured.

    That happens in child processes; what follows of it is loaded beside the engine at work, and
    takes over between two frames. Not for two threads at once; `score_threshold` may be set from
    any thread.
    """

    def __init__(self, plan: _Plan, score_threshold: float = 0.0) -> None:
        self._plan = plan
        self._given_threshold = score_threshold
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._next: Detector | None = None
        self._current = plan.open_first(score_threshold)
        self._undecided = plan.choice is None and len(plan.candidates) > 1

    @property
    def chosen(self) -> str:
        """The engine in use, and why."""
        engine = f"{self._current.engine.name} on {self._current.part_name}"
        choice = self._plan.choice
        if choice is not None and str(choice.candidate) == engine:
            return str(choice)
        return engine

    @property
    def engine(self) -> Any:
        return self._current.engine

    @property
    def part_name(self) -> str:
        return self._current.part_name

    @property
    def labels(self) -> tuple[str, ...]:
        return self._current.labels

    @property
    def model(self) -> str:
        return self._current.model

    @property
    def version(self) -> str:
        return self._current.version

    @property
    def views(self) -> int:
        return self._current.views

    @property
    def times(self) -> StageTimes:
        return self._current.times

    @property
    def score_threshold(self) -> float:
        """The least score of a detection, as it is now used."""
        return self._current.score_threshold

    @score_threshold.setter
    def score_threshold(self, value: float) -> None:
        self._current.score_threshold = value
        self._given_threshold = value
        if (follower := self._next) is not None:
            follower.score_threshold = value

    def detect(self, frame: Frame) -> Detections:
        """Find what is in one frame. Raises ModelError when the runtime fails."""
        return self.detect_batch([frame])[0]

    def detect_batch(self, frames: Sequence[Frame | Fitted]) -> list[Detections]:
        """Find what is in each frame, as `Detector.detect_batch`."""
        if self._next is not None:
            left, self._current, self._next = self._current, self._next, None
            left.close()
        found = self._current.detect_batch(frames)
        if self._undecided and frames:
            self._undecided = False
            self._thread = threading.Thread(target=self._choose, name="engines", daemon=True)
            self._thread.start()
        return found

    def fit(self, frame: Frame) -> Fitted:
        """As `Detector.fit`: what a bundle says of its input is the same for every engine."""
        return self._current.fit(frame)

    def warm_up(self, runs: int) -> None:
        """As `Detector.warm_up`; these runs are no frames."""
        self._current.warm_up(runs)

    def close(self) -> None:
        """Free the model; a measurement under way is given up."""
        self._stop.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()
        for detector in (self._next, self._current):
            if detector is not None:
                detector.close()

    def await_choice(self, timeout_s: float) -> bool:
        """Wait until the measurement has ended, where one is under way; whether it has."""
        if self._thread is not None:
            self._thread.join(timeout_s)
            return not self._thread.is_alive()
        return not self._undecided

    def _choose(self) -> None:
        try:
            better = self._plan.find_better(self._stop, self._given_threshold)
        except Exception:  # whatever goes wrong here, the engine at work goes on answering
            _log.exception("%s: the engines could not be measured", self._plan.name)
            return
        if better is not None:
            better.score_threshold = self._given_threshold
            self._next = better


class _Plan:
    """Which candidates there are for a bundle, which is chosen, and how that is found out."""

    def __init__(
        self,
        bundle: Bundle,
        parts: Sequence[str],
        options: EngineOptions,
        choices_dir: Path | None,
    ) -> None:
        self.name = bundle.name
        self.choice: Choice | None = None
        self._bundle, self._parts, self._options = bundle, tuple(parts), options
        self._folder = choices_dir
        self._key = key_of(bundle, parts, options)
        self.candidates = candidates_of(bundle, parts)
        if choices_dir is not None and len(self.candidates) > 1:
            self.choice = load_choice(choices_dir, self._key)

    def open_first(self, score_threshold: float) -> Detector:
        """The detector chosen earlier, or the part's own, or the first that opens."""
        own = self._bundle.part(self._parts[0])
        ways = [Candidate(own.name, own.engine), *self.candidates]
        if self.choice is not None:
            ways.insert(0, self.choice.candidate)
        first: MastraError | None = None
        for way in dict.fromkeys(ways):
            try:
                detector = self._open(way, score_threshold)
            except (MastraError, OSError) as error:
                first = first or (error if isinstance(error, MastraError) else None)
                if self.choice is not None and way == self.choice.candidate:
                    self.choice = None
                if isinstance(error, DependencyError) or len(ways) > 1:
                    _log.warning("%s: %s cannot be used: %s", self.name, way, error)
                continue
            kept = f", chosen earlier: {self.choice}" if self.choice is not None else ""
            _log.info("%s: engine %s%s", self.name, way, kept)
            return detector
        assert first is not None
        raise first

    def find_better(self, stop: threading.Event, score_threshold: float) -> Detector | None:
        """Measure, decide, keep, and open what is better than the first; None where nothing is."""
        trials = measure(self._bundle, self.candidates, self._options, stop=stop)
        if stop.is_set():
            return None
        for trial in trials:
            if trial.problem:
                _log.warning("%s: %s: %s", self.name, trial.candidate, trial.problem)
        choice = decide(self._bundle, trials)
        if choice is None:
            _log.warning("%s: no engine could be measured, it stays as it is", self.name)
            return None
        detector = self._open(choice.candidate, score_threshold)
        detector.warm_up(WARM_UP_RUNS)
        self.choice = choice
        _log.info("%s: engine chosen: %s", self.name, choice)
        complete = all(trial.problem or len(trial.answers) == NUMBER for trial in trials)
        if self._folder is not None and complete:
            save_choice(self._folder, self._key, choice)
        return detector

    def _open(self, way: Candidate, score_threshold: float) -> Detector:
        return Detector.open(
            self._bundle,
            way.part,
            engine=way.engine,
            options=self._options,
            score_threshold=score_threshold,
        )
