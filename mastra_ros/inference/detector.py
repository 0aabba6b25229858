"""A detector: frames in, detections out, by one part of a bundle on one engine."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import ModelError
from ..types import Detections, Frame
from .bundle import Bundle, BundlePart
from .contract import agree
from .engines.engine import Engine, fallen_back
from .feeder import Feeder, Fitted
from .opening import BUNDLE, EngineOptions, open_engine
from .reader import Reader
from .views import average_views, with_turned


@dataclass(frozen=True)
class StageTimes:
    """Where the latest call spent its time, in ms."""

    pre_ms: float = 0.0
    infer_ms: float = 0.0
    post_ms: float = 0.0


class Detector:
    """Not for two threads at once; `score_threshold` may be set from any thread."""

    def __init__(
        self, bundle: Bundle, part: BundlePart, engine: Engine, *, score_threshold: float = 0.0
    ) -> None:
        self._bundle, self._part, self.engine = bundle, part, engine
        self._contract = contract = agree(bundle, part, engine)
        self._feeder = Feeder(bundle.input, contract.feed)
        self._reader = Reader(bundle, part, engine.outputs, contract.grid)
        self.score_threshold = score_threshold
        self.times = StageTimes()

    @classmethod
    def open(
        cls,
        bundle: Bundle,
        part_name: str,
        *,
        engine: str = BUNDLE,
        threads: int = 1,
        delegate: str = "xnnpack",
        providers: Sequence[str] = ("CPUExecutionProvider",),
        options: EngineOptions | None = None,
        score_threshold: float = 0.0,
    ) -> Detector:
        """Load a part of a bundle. A `score_threshold` of 0 takes the bundle's.

        Args:
            engine: `bundle`, the one that the part names, or another that reads its file.
            options: instead of `threads`, `delegate` and `providers`.

        Raises:
            ModelError: no such part, the file cannot be run, differs from what the bundle
                says, or is not for the `engine` asked for.
            DependencyError: the runtime is not installed.
        """
        part = bundle.part(part_name)
        options = options or EngineOptions(threads, delegate, tuple(providers))
        opened = open_engine(part, engine, **vars(options))
        try:
            return cls(bundle, part, opened, score_threshold=score_threshold)
        except ModelError:
            opened.close()
            raise

    @property
    def labels(self) -> tuple[str, ...]:
        return self._bundle.labels

    @property
    def part_name(self) -> str:
        return self._part.name

    @property
    def chosen(self) -> str:
        """The engine in use, in words."""
        told = fallen_back(self.engine.providers, self.engine.missing)
        return f"{self.engine.name} on {self._part.name}{told}"

    @property
    def model(self) -> str:
        return self._part.model

    @property
    def version(self) -> str:
        return self._part.version

    @property
    def views(self) -> int:
        """How often it sees a frame."""
        return self._part.views

    @property
    def score_threshold(self) -> float:
        """The least score of a detection, as it is now used."""
        return self._reader.score_threshold

    @score_threshold.setter
    def score_threshold(self, value: float) -> None:
        self._reader.score_threshold = value

    def detect(self, frame: Frame) -> Detections:
        """Find what is in one frame. Raises ModelError when the runtime fails."""
        return self.detect_batch([frame])[0]

    def detect_batch(self, frames: Sequence[Frame | Fitted]) -> list[Detections]:
        """Find what is in each frame; in one run of the model where it takes any number."""
        if not frames:
            return []
        size = self._contract.feed.batch or len(frames)
        found: list[Detections] = []
        times = StageTimes()
        for start in range(0, len(frames), size):
            some, spent = self._run(frames[start : start + size], size)
            found += some
            times = StageTimes(
                times.pre_ms + spent.pre_ms,
                times.infer_ms + spent.infer_ms,
                times.post_ms + spent.post_ms,
            )
        self.times = times
        return found

    def fit(self, frame: Frame) -> Fitted:
        """Bring a frame to the model's size, in any thread; `detect_batch` takes it as well."""
        return self._feeder.fit(frame)

    def warm_up(self, runs: int) -> None:
        """Run on an empty picture, so that the first frame does not pay for first-time work."""
        for _ in range(runs):
            self.detect(self._feeder.empty_frame())

    def close(self) -> None:
        """Free the model."""
        self.engine.close()

    def _run(
        self, frames: Sequence[Frame | Fitted], size: int
    ) -> tuple[list[Detections], StageTimes]:
        """One run of the model with `size` places; the last of a batch may leave some empty."""
        started = time.perf_counter()
        tensor, transforms = self._feeder.batch(frames, size)
        if self.views > 1:
            tensor = with_turned(tensor, self._contract.feed.layout)
        ready = time.perf_counter()
        outputs = self.engine.run(tensor)
        if self.views > 1:
            outputs = average_views(outputs, self._contract.grid)
        answered = time.perf_counter()
        found = self._reader.read_all(outputs, transforms)
        ended = time.perf_counter()
        return found, StageTimes(
            (ready - started) * 1e3, (answered - ready) * 1e3, (ended - answered) * 1e3
        )
