"""One stream of frames, a device, a link and a gateway around the real scheduler.

Discrete events on a clock of ms; the same scenario and seed give the same run. The scheduler is
the one that the node runs, with its arbiter, hysteresis and policies. Simulated are the
camera, the device's model (one frame at a time, slowed down by what else the device does),
the encoder, and `Uplink`.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, field

from ..config import SchedulingConfig
from ..scheduling.arbiter.actions import Action, Dispatch, Publish
from ..scheduling.arbiter.frames import Counters
from ..scheduling.arbiter.switches import Switch
from ..scheduling.scheduler import Scheduler
from ..types import FrameKey, LoadSample, Result, Route
from .accuracy import AccuracyTable
from .load_trace import LoadTrace
from .stage_times import Draws, StageTimes, draw
from .trace import LinkTrace
from .uplink import NS, Uplink, Upload

START_MS = 1000.0
"""The stream begins when the link is measured."""


@dataclass(frozen=True)
class Scenario:
    """All but the policy."""

    trace: LinkTrace
    stages: StageTimes
    accuracy: AccuracyTable
    load: LoadTrace = field(default_factory=LoadTrace)
    gateway_load: LoadTrace = field(default_factory=LoadTrace)
    rate_hz: float = 10.0
    duration_s: float = 60.0
    deadline_ms: float = 150.0
    seed: int = 1

    @property
    def frames(self) -> int:
        """Frames in the whole stream."""
        return int(self.duration_s * self.rate_hz)

    def captured_ms(self, index: int) -> float:
        """When a frame is captured."""
        return START_MS + index * 1000.0 / self.rate_hz

    def draws(self) -> Draws:
        """What chance has in store for the frames."""
        return draw(self.stages, self.frames, len(self.accuracy), self.seed)


@dataclass
class Run:
    """What happened. Arrays go by frame; ages are ms, NaN without a final result."""

    ages_ms: list[float]
    origins: list[Route | None]
    counters: Counters
    switches: list[Switch]
    local_busy_ms: float  # of the device's model
    encode_busy_ms: float
    gateway_ms: float
    uploaded_bytes: float


class World:
    """Runs one policy through a scenario, once."""

    def __init__(self, scenario: Scenario, config: SchedulingConfig) -> None:
        self._scenario = scenario
        self._config = config
        self._draws = scenario.draws()
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._now_ms = 0.0
        self.scheduler = Scheduler(config)
        self._indices: dict[FrameKey, int] = {}
        self._ages_ms = [math.nan] * scenario.frames
        self._origins: list[Route | None] = [None] * scenario.frames
        self._local_free_ms = self._encode_free_ms = 0.0
        self._local_busy_ms = self._encode_busy_ms = 0.0
        self._reported_ms = 0.0
        self._reported_work_ms = 0.0
        self._detections = {
            (sample, route): scenario.accuracy.detections(sample, route)
            for sample in range(len(scenario.accuracy))
            for route in (Route.LOCAL, Route.CLOUD)
        }
        stages = scenario.stages
        self._uplink = Uplink(
            self,
            scenario.trace,
            scenario.gateway_load,
            stages.cloud_workers,
            stages.result_bytes,
            lambda sample: self._do(
                self.scheduler.on_link(
                    sample, self._now_ns, uploaded_bytes=round(self._uplink.uploaded_bytes)
                )
            ),
        )

    @property
    def now_ms(self) -> float:
        """Simulated time."""
        return self._now_ms

    def at(self, ms: float, do: Callable[[], None]) -> None:
        """Call `do` at this time, or now where it has passed."""
        heapq.heappush(self._events, (max(ms, self._now_ms), next(self._order), do))

    def run(self) -> Run:
        """Run the whole stream, and until the last frame has its result."""
        scenario = self._scenario
        for index in range(scenario.frames):
            self.at(scenario.captured_ms(index), lambda i=index: self._frame(i))  # type: ignore[misc]
        self.at(self._config.load_interval_ms / 2, self._measure_load)
        slack_ms = self._config.local_timeout_ms + self._config.deadline_ms
        end_ms = scenario.captured_ms(scenario.frames) + slack_ms + 1000.0
        while self._events:
            due_ns = self.scheduler.next_deadline_ns()
            due_ms = math.inf if due_ns is None else due_ns / NS
            if min(due_ms, self._events[0][0]) > end_ms:
                break
            if due_ms <= self._events[0][0]:
                self._now_ms = max(self._now_ms, due_ms)
                self._do(self.scheduler.tick(self._now_ns))
            else:
                self._now_ms, _, do = heapq.heappop(self._events)
                do()
        return Run(
            self._ages_ms,
            self._origins,
            self.scheduler.counters,
            self.scheduler.switches,
            self._local_busy_ms,
            self._encode_busy_ms,
            self._uplink.gateway_ms,
            self._uplink.uploaded_bytes,
        )

    @property
    def _now_ns(self) -> int:
        return math.ceil(self._now_ms * NS)

    def _frame(self, index: int) -> None:
        key = FrameKey("main", self._now_ns)
        self._indices[key] = index
        self._do(self.scheduler.on_frame(key, self._now_ns, self._now_ns))

    def _measure_load(self) -> None:
        interval_ms = self._config.load_interval_ms
        self.at(self._now_ms + interval_ms, self._measure_load)
        scenario, now = self._scenario, self._now_ms
        stages = scenario.stages
        # Work still ahead of now is not yet done.
        local_ms = self._local_busy_ms - max(0.0, self._local_free_ms - now)
        encode_ms = self._encode_busy_ms - max(0.0, self._encode_free_ms - now)
        work_ms = local_ms * stages.local_cpu + encode_ms * stages.encode_cpu
        own = (work_ms - self._reported_work_ms) / max(now - self._reported_ms, 1e-9)
        self._reported_ms, self._reported_work_ms = now, work_ms
        # While all cores are wanted by both, they share them; the sum is never above 1.
        cpu = min(1.0, max(0.0, own) + scenario.load.cpu_at(now))
        sample = LoadSample(
            self._now_ns,
            cpu,
            scenario.load.memory_at(now),
            inference_ms=self.scheduler.inference_ms,
            queue_frames=self.scheduler.local_queue,
        )
        self.scheduler.on_load(sample)

    def _do(self, actions: list[Action]) -> None:
        for action in actions:
            if isinstance(action, Dispatch):
                if action.route is Route.LOCAL:
                    self._infer(action)
                elif not action.archive:
                    self._send(action)
            elif isinstance(action, Publish) and action.result.final:
                index = self._indices[action.result.key]
                if not action.result.error:
                    self._ages_ms[index] = action.result.age_ms
                    self._origins[index] = action.result.origin

    def _infer(self, dispatch: Dispatch) -> None:
        index = self._indices[dispatch.key]
        # At capture, so that the offline optimum knows the same time for the frame.
        slowdown = self._scenario.load.slowdown(self._scenario.captured_ms(index))
        takes_ms = float(self._draws.local_ms[index]) * slowdown
        done = max(self._now_ms, self._local_free_ms) + takes_ms
        self._local_free_ms = done
        self._local_busy_ms += takes_ms
        self.at(done, lambda: self._answer_local(dispatch.key, takes_ms))

    def _answer_local(self, key: FrameKey, took_ms: float) -> None:
        sample = int(self._draws.sample[self._indices[key]])
        found = self._detections[sample, Route.LOCAL]
        result = Result(key, Route.LOCAL, found, inference_ms=took_ms)
        self._do(self.scheduler.on_local_result(result, self._now_ns))

    def _send(self, dispatch: Dispatch) -> None:
        index, stages = self._indices[dispatch.key], self._scenario.stages
        split = dispatch.route is Route.SPLIT
        if split:
            takes_ms = stages.head_ms * self._scenario.load.slowdown(self._now_ms)
        else:
            takes_ms = float(self._draws.encode_ms[index])
        done = max(self._now_ms, self._encode_free_ms) + takes_ms
        self._encode_free_ms = done
        self._encode_busy_ms += takes_ms
        self.at(done, lambda: self._upload(dispatch, index, split))

    def _upload(self, dispatch: Dispatch, index: int, split: bool) -> None:
        draws, stages = self._draws, self._scenario.stages
        size = draws.delta_bytes if self._uplink.holds_picture else draws.key_bytes
        key, route = dispatch.key, dispatch.route
        found = self._detections[int(draws.sample[index]), Route.CLOUD]
        cloud_ms = stages.tail_ms if split else float(draws.cloud_ms[index])

        def answered() -> None:
            result = Result(key, route, found, inference_ms=cloud_ms)
            self._do(self.scheduler.on_cloud_result(result, self._now_ns))

        def failed(why: str) -> None:
            result = Result(key, route, found, error=why)
            self._do(self.scheduler.on_cloud_result(result, self._now_ns))

        self._uplink.accept(
            Upload(
                index,
                stages.feature_bytes if split else float(size[index]),
                cloud_ms,
                dispatch.deadline_ns / NS if dispatch.deadline_ns else math.inf,
                answered,
                failed,
            )
        )
