"""The models that the gateway serves: the cloud part of each bundle, and the tail of a split one.

Each stands behind a batcher of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from ..config import GatewayConfig
from ..errors import ConfigError, ModelError
from ..inference import (
    LATE,
    LIVE,
    Detector,
    DynamicBatcher,
    Fitted,
    Tail,
)
from ..inference.choosing.auto import AutoDetector
from ..types import Detections, Features, Frame
from .bundles import open_bundle
from .fitting import FittingSize
from .group import GroupWork, Job
from .group_process import Desk, GroupProcess
from .metrics import Metrics
from .openinference.statistics import Statistics
from .sqlite_store import SqliteStore
from .tensors.opening import open_tensors, upstreams
from .tensors.served import ServedTensors

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)

STEADY = (
    ("onnxruntime", "CPUExecutionProvider"),
    ("litert", "cpu"),
    ("litert", "xnnpack"),
)
"""Engines with what they run on, whose runs take the same each time, and of the caller's thread."""


@dataclass(frozen=True)
class Inferred:
    """Detections of one frame, how long its batch ran, in ms, and the model that ran."""

    detections: Detections
    run_ms: float
    model: str
    version: str


class BatchDetector(Protocol[T_contra]):
    """What a served model needs of a `Detector` of frames or a `Tail` of features."""

    @property
    def labels(self) -> tuple[str, ...]: ...

    @property
    def model(self) -> str: ...

    @property
    def version(self) -> str: ...

    @property
    def chosen(self) -> str: ...

    def detect_batch(self, items: Sequence[T_contra], /) -> list[Detections]: ...

    def close(self) -> None: ...


class ServedModel(Generic[T]):
    """One model of frames or features under its name; used from the event loop."""

    def __init__(
        self,
        name: str,
        detector: BatchDetector[T],
        config: GatewayConfig,
        metrics: Metrics,
        apart: GroupProcess | None = None,
    ) -> None:
        """apart: the process that takes the jobs, where there is one."""
        self.name = name
        self.detector = detector
        self.statistics = Statistics()
        engine = getattr(detector, "engine", None)
        self._steady = engine is not None and (engine.name, *engine.providers) in STEADY
        self._metrics = metrics
        self._fitting = FittingSize(config.batch_run_ms, config.batch_size_max)
        self._since_s = math.nan  # when the run in work began, of the monotonic clock
        self.group: GroupWork | None = None
        self._batcher: DynamicBatcher[T | Fitted | Job, Inferred | None] = DynamicBatcher(
            self._run,
            size_max=self._fitting.size,
            delay_ms=config.batch_delay_ms,
            queue_max=config.queue_frames_max,
            on_batch=self._on_batch,
        )
        self.apart = apart
        if apart is not None:
            apart.on_batch = self._told_of

    @property
    def engine(self) -> str:
        """The engine in use, in words that begin with its name."""
        return self.detector.chosen

    @property
    def queued(self) -> int:
        """Frames that wait for the model."""
        return self._batcher.queued + (0 if self.apart is None else self.apart.queued)

    async def infer(self, item: T | Fitted, *, late: bool = False) -> Inferred:
        """What is in the frame; live frames go before late ones.

        Raises LinkError when too many wait, ModelError when the model fails.
        """
        inferred = await self._batcher.submit(item, LATE if late else LIVE)
        assert inferred is not None
        return inferred

    def fit(self, frame: Frame) -> Frame | Fitted:
        """Bring a frame to the size of the model, in any thread: of a large one that takes long."""
        detector: Any = self.detector
        return detector.fit(frame) if isinstance(detector, (Detector, AutoDetector)) else frame

    def put(self, item: T) -> asyncio.Future[Inferred | None]:
        """Take in a frame. Raises LinkError when too many wait."""
        return self._batcher.put(item, LIVE)

    def put_job(self, job: Job) -> asyncio.Future[Inferred | None] | None:
        """Take in a job, which is given back unless there is a future and that has an error.

        Raises LinkError when too many wait.
        """
        if self.apart is not None:
            self.apart.put(job)
            return None
        return self._batcher.put(job, LATE if job.message.late else LIVE)

    def put_small(self, item: T) -> asyncio.Future[Inferred | None]:
        """As `put`, of a frame that is no larger than the model's input or hardly so."""
        return self._batcher.put(item, LIVE, quick=self._steady)

    @property
    def silent_s(self) -> float:
        """How long the run in work has taken; 0 when none is."""
        since_s = self._since_s
        own_s = 0.0 if math.isnan(since_s) else time.monotonic() - since_s
        return own_s if self.apart is None else max(own_s, self.apart.silent_s)

    async def close(self, timeout_s: float | None = None) -> bool:
        """Refuse those that wait and free the model; False when it does not end its run in time."""
        if self.apart is not None:
            await self.apart.close(timeout_s)
        if not await self._batcher.close(timeout_s):
            return False
        self.detector.close()
        return True

    @property
    def batch_size_max(self) -> int:
        """Most frames in the next run."""
        return self._batcher.size_max

    def _on_batch(self, size: int, queue_ms: float, run_ms: float) -> None:
        self._told_of(size, queue_ms, run_ms)
        self._batcher.size_max = self._fitting.ran(size, run_ms)

    def _told_of(self, size: int, queue_ms: float, run_ms: float) -> None:
        self._metrics.on_batch(self.name, size, queue_ms, run_ms)
        self.statistics.ran(size, queue_ms, run_ms)

    def _run(self, items: list[T | Fitted | Job]) -> list[Inferred | None]:
        jobs = [item for item in items if isinstance(item, Job)]
        others = [item for item in items if not isinstance(item, Job)]
        frames: list[Any] = list(others)
        if jobs and self.group is not None:
            self.group.look_up_and_decode(jobs)
            frames += [job.frame for job in jobs if not job.ended]
        found, run_ms = self._detect(frames) if frames else ([], 0.0)
        # Told here, in the thread that runs: the next run may be another part's.
        model, version = self.detector.model, self.detector.version
        if jobs and self.group is not None:
            self.group.commit(jobs, found[len(others) :], run_ms, model, version)
        answers = (Inferred(detections, run_ms, model, version) for detections in found)
        return [None if isinstance(item, Job) else next(answers) for item in items]

    def _detect(self, frames: list[Any]) -> tuple[list[Detections], float]:
        """What is in the frames, and how long that took, ms."""
        started = time.perf_counter()
        self._since_s = time.monotonic()
        try:
            found = self.detector.detect_batch(frames)
        finally:
            self._since_s = math.nan
        return found, (time.perf_counter() - started) * 1e3


@dataclass(frozen=True)
class ServedTail:
    """The tail of a split model, and the most values of its features."""

    model: ServedModel[Features]
    values: int


class Models:
    """All served models by the name of their bundle."""

    def __init__(
        self,
        models: Sequence[ServedModel[Frame]],
        tails: Mapping[str, ServedTail] | None = None,
        tensors: Sequence[ServedTensors] = (),
    ) -> None:
        if not models:
            raise ConfigError("bundles: expected at least one")
        self.pictures = tuple(models)
        self.tensors = tuple(tensors)
        self._models: dict[str, ServedModel[Frame]] = {}
        for model in models:  # streams are answered by the first of several versions
            self._models.setdefault(model.name, model)
        _check_names(models, tensors)
        self._tails = dict(tails or {})
        self._default = models[0].name

    @classmethod
    async def open(
        cls, config: GatewayConfig, metrics: Metrics, results: SqliteStore | None = None
    ) -> Models:
        """Load every bundle and run it once; ModelError or DependencyError names what fails.

        results: to whose database models with a process of their own commit.
        """
        opened: list[ServedModel[Frame]] = []
        tails: dict[str, ServedTail] = {}
        async with contextlib.AsyncExitStack() as begun:
            for path in config.bundles:
                name, detector, tail = await asyncio.to_thread(open_bundle, path, config)
                apart = None
                if results is not None and config.processes > 1:
                    ends = metrics.process_ends.labels(name)
                    apart = GroupProcess(name, path, results, config, on_end=ends.inc)
                    await apart.begin()
                    begun.push_async_callback(apart.close, 0.0)
                opened.append(ServedModel(name, detector, config, metrics, apart))
                if tail is not None and name not in tails:
                    served = ServedModel(f"{name}/tail", tail, config, metrics)
                    tails[name] = ServedTail(served, tail.values)
            models = await cls._complete(config, metrics, opened, tails)
            begun.pop_all()
        return models

    @classmethod
    async def _complete(
        cls,
        config: GatewayConfig,
        metrics: Metrics,
        opened: Sequence[ServedModel[Frame]],
        tails: Mapping[str, ServedTail],
    ) -> Models:
        if unknown := set(upstreams(config)) - {model.name for model in opened}:
            raise ConfigError(f"upstream: expected names of bundles, got {', '.join(unknown)}")
        tensors = await asyncio.to_thread(open_tensors, config, metrics.on_batch)
        return cls(opened, tails, tensors)

    def get(self, name: str = "") -> ServedModel[Frame]:
        """A model by name; without a name the first. Raises ModelError when there is none."""
        model = self._models.get(name or self._default)
        if model is None:
            raise ModelError(f"model {name!r} is not served, {', '.join(self._models)} are")
        return model

    def work_with(self, group: GroupWork) -> None:
        """Let the models of pictures take in jobs."""
        for model in self._models.values():
            model.group = group

    def work_apart_with(self, desk: Desk) -> None:
        """Let processes of models give back their jobs there."""
        for model in self._models.values():
            if model.apart is not None:
                model.apart.desk = desk

    def promise(self, name: str) -> tuple[tuple[str, ...], str] | None:
        """The labels of the model of this name, and the pair of its tail; None: there is none."""
        model = self._models.get(name)
        tail = self._tails.get(name)
        if model is None:
            return None
        detector: Any = None if tail is None else tail.model.detector
        return tuple(model.detector.labels), detector.pair if isinstance(detector, Tail) else ""

    def tail(self, name: str = "") -> ServedTail:
        """The tail of a split model, as `get`. Raises ModelError when there is none."""
        tail = self._tails.get(name or self._default)
        if tail is None:
            served = self.get(name).name
            raise ModelError(f"bundle {served} of the gateway has no tail: it is not split")
        return tail

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the served models, the default first."""
        return tuple(self._models)

    def silent(self, limit_s: float) -> tuple[str, ...]:
        """Names of the models whose run in work takes longer than this."""
        return tuple(model.name for model in self.all() if model.silent_s > limit_s)

    async def close(self, limit_s: float = math.inf) -> tuple[str, ...]:
        """Close all of them; the names of those whose run took longer than this, and goes on."""

        async def close_one(model: ServedModel[Any] | ServedTensors) -> bool:
            left_s = max(0.0, limit_s - model.silent_s)
            return await model.close(None if math.isinf(limit_s) else left_s)

        models = self.all()
        closed = await asyncio.gather(*(close_one(model) for model in models))
        return tuple(model.name for model, done in zip(models, closed, strict=True) if not done)

    def all(self) -> list[ServedModel[Any] | ServedTensors]:
        """Pictures' models, tails and those of tensors."""
        return [*self.pictures, *(tail.model for tail in self._tails.values()), *self.tensors]


def _check_names(models: Sequence[ServedModel[Frame]], tensors: Sequence[ServedTensors]) -> None:
    """Raise ConfigError unless each name stands for models of one kind, in different versions."""
    names = [(model.name, model.detector.version) for model in models]
    names += [(model.name, model.version) for model in tensors]
    same = sorted(
        {f"{name} {version}" for name, version in names if names.count((name, version)) > 1}
    )
    if same:
        raise ConfigError(
            f"bundles: expected different names or versions, got {', '.join(same)} twice"
        )
    both = {model.name for model in models} & {model.name for model in tensors}
    if both:
        raise ConfigError(f"tensors: expected other names than the bundles', got {min(both)}")
