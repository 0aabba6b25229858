"""A frame's way through the gateway, with models and decoders that fail as the test wants."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

from mastra_ros.config import GatewayConfig
from mastra_ros.errors import CodecError, ModelError, ReferenceMissing, StoreError
from mastra_ros.gateway.frames import Frames
from mastra_ros.gateway.metrics import Metrics
from mastra_ros.gateway.models import Models, ServedModel
from mastra_ros.gateway.references import References
from mastra_ros.gateway.store import Commit, FrameId, MemoryStore, Record
from mastra_ros.protocol import Ack, FrameMessage, KeyFrameRequest, Nack, ResultMessage
from mastra_ros.types import Detections, Frame, FrameKey, Packet, PacketKind

DEADLINE_S = 20.0


class FakeDetector:
    """Finds nothing, after waiting for `gate`; fails while `error` is set."""

    labels = ("spot",)
    model = "fake"
    version = "1"

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.error: Exception | None = None
        self.order: list[int] = []

    def detect_batch(self, frames: Sequence[Frame]) -> list[Detections]:
        assert self.gate.wait(DEADLINE_S)
        self.order += [frame.key.stamp_ns for frame in frames]
        if self.error is not None:
            raise self.error
        return [Detections.empty(self.labels) for _ in frames]

    def close(self) -> None:
        """Nothing to free."""


class FakeDecoder:
    """Decodes everything to one pixel, or raises the error that the payload names."""

    bytes_kept = 100

    def decode(self, packet: Packet) -> Frame:
        if packet.payload == b"corrupt":
            raise CodecError("damaged")
        if packet.payload == b"missing":
            raise ReferenceMissing("no reference")
        return Frame(packet.key, np.zeros((1, 1), np.uint8), "mono8")

    def forget_oldest(self) -> bool:
        return False


class FullStore(MemoryStore):
    """A store whose disk is full."""

    def commit(self, record: Record) -> Future[Commit]:
        done: Future[Commit] = Future()
        done.set_exception(StoreError("disk full"))
        return done


class Setup:
    """The parts under test."""

    def __init__(self, **options: Any) -> None:
        self.metrics = Metrics()
        self.detector = FakeDetector()
        self.store = options.pop("store", None) or MemoryStore()
        self.executor = ThreadPoolExecutor(2)
        config = GatewayConfig(batch_size_max=1, batch_delay_ms=0.0, queue_frames_max=8)
        self.models = Models([ServedModel("fake", self.detector, config, self.metrics)])
        self.frames = Frames(
            store=self.store,
            references=References(FakeDecoder, self.executor, streams_max=4, bytes_max=10**6),
            models=self.models,
            metrics=self.metrics,
            executor=self.executor,
            frames_max=options.pop("frames_max", 9),
            pixels_max=100,
        )

    async def answer(self, message: FrameMessage, device: str = "cam") -> tuple[Any, ...]:
        answer = await self.frames.answer(device, message, 0)
        return (answer.outcome, *answer.messages)

    async def until(self, condition: Callable[[], bool]) -> None:
        async def wait() -> None:
            while not condition():
                await asyncio.sleep(0.005)

        await asyncio.wait_for(wait(), DEADLINE_S)

    async def close(self) -> None:
        self.detector.gate.set()
        await self.frames.close()
        await self.models.close()
        self.executor.shutdown()


def frame(stamp_ns: int, payload: bytes = b"picture", *, late: bool = False) -> FrameMessage:
    return FrameMessage("main", stamp_ns, "key", 1, 1, "mono8", payload, late=late)


def run(test: Callable[[Setup], Coroutine[Any, Any, None]], **options: Any) -> Setup:
    made: list[Setup] = []

    async def main() -> None:
        made.append(Setup(**options))
        try:
            await test(made[0])
        finally:
            await made[0].close()

    asyncio.run(main())
    return made[0]


def test_the_result_comes_before_the_acknowledgement() -> None:
    async def test(setup: Setup) -> None:
        outcome, result, ack = await setup.answer(frame(1))
        assert outcome == "committed"
        assert isinstance(result, ResultMessage)
        assert isinstance(ack, Ack)
        assert setup.store.find(FrameId("cam", "main", 1)) is not None

    run(test)


def test_each_failure_has_its_code_and_costs_no_other_frame() -> None:
    async def test(setup: Setup) -> None:
        outcome, nack = await setup.answer(frame(1, b"corrupt"))
        assert (outcome, nack.code, nack.text) == ("corrupt", "corrupt", "damaged")
        outcome, nack, request = await setup.answer(frame(1, b"missing"))
        assert (outcome, nack.code) == ("reference_missing", "reference_missing")
        assert request == KeyFrameRequest("main")
        for error in (ModelError("broken"), ZeroDivisionError()):
            setup.detector.error = error
            assert (await setup.answer(frame(1)))[0] == "failed"
        setup.detector.error = None
        assert (await setup.answer(frame(1)))[0] == "committed"
        assert setup.frames.running == 0

    run(test)


def test_a_result_that_cannot_be_kept_is_not_acknowledged() -> None:
    async def test(setup: Setup) -> None:
        outcome, nack = await setup.answer(frame(1))
        assert outcome == "overloaded"
        assert isinstance(nack, Nack)

    run(test, store=FullStore())


def test_a_duplicate_joins_the_work_or_takes_the_stored_result() -> None:
    async def test(setup: Setup) -> None:
        setup.detector.gate.clear()
        both = [asyncio.ensure_future(setup.answer(frame(1))) for _ in range(2)]
        await setup.until(lambda: setup.frames.running == 1)
        setup.detector.gate.set()
        outcomes = [(await one)[0] for one in both]
        assert outcomes == ["committed", "duplicate"]
        outcome, _, ack = await setup.answer(frame(1))
        assert outcome == "duplicate"
        assert ack.duplicate
        assert setup.detector.order == [1]
        assert setup.store.count() == 1

    run(test)


def test_a_frame_is_finished_although_its_session_ends() -> None:
    async def test(setup: Setup) -> None:
        setup.detector.gate.clear()
        asking = asyncio.ensure_future(setup.answer(frame(1)))
        await setup.until(lambda: setup.frames.running == 1)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        setup.detector.gate.set()
        await setup.until(lambda: setup.store.count() == 1)

    run(test)


def test_a_failure_after_the_session_has_ended_disturbs_nobody() -> None:
    async def test(setup: Setup) -> None:
        setup.detector.gate.clear()
        setup.detector.error = ModelError("broken")
        asking = asyncio.ensure_future(setup.answer(frame(1)))
        await setup.until(lambda: setup.frames.running == 1)
        asking.cancel()
        setup.detector.gate.set()
        await setup.until(lambda: setup.frames.running == 0)

    run(test)


def test_live_frames_go_before_late_ones() -> None:
    async def test(setup: Setup) -> None:
        setup.detector.gate.clear()
        asking = [asyncio.ensure_future(setup.answer(frame(0)))]
        model = setup.models.get()
        await setup.until(lambda: setup.frames.running == 1 and not model.queued)
        for stamp_ns, late in ((1, True), (2, True), (3, False)):
            asking.append(asyncio.ensure_future(setup.answer(frame(stamp_ns, late=late))))
            waiting = len(asking) - 1
            await setup.until(lambda waiting=waiting: model.queued == waiting)
        setup.detector.gate.set()
        await asyncio.gather(*asking)
        assert setup.detector.order == [0, 3, 1, 2]

    run(test)


def test_more_frames_than_fit_are_refused() -> None:
    async def test(setup: Setup) -> None:
        setup.detector.gate.clear()
        asking = [asyncio.ensure_future(setup.answer(frame(n))) for n in range(2)]
        await setup.until(lambda: setup.frames.running == 2)
        assert (await setup.answer(frame(2)))[0] == "overloaded"
        setup.detector.gate.set()
        assert [(await one)[0] for one in asking] == ["committed", "committed"]

    run(test, frames_max=2)


def test_batches_are_as_big_as_their_run_may_be_long() -> None:
    async def test() -> None:
        config = GatewayConfig(batch_size_max=8, batch_run_ms=50.0)
        model = ServedModel("fake", FakeDetector(), config, Metrics())
        assert model.batch_size_max == 8
        for _ in range(30):
            model._on_batch(1, 0.0, 40.0)
        assert model.batch_size_max == 1, "a frame takes 40 ms: two would take too long"
        for _ in range(30):
            model._on_batch(1, 0.0, 20.0)
        assert model.batch_size_max == 2
        for _ in range(30):
            model._on_batch(2, 0.0, 22.0)
        assert model.batch_size_max == 4, "a second frame costs little"
        for _ in range(30):
            model._on_batch(4, 0.0, 1.0)
        assert model.batch_size_max == 8
        await model.close()

    asyncio.run(test())


def test_outcomes_are_counted() -> None:
    async def test(setup: Setup) -> None:
        await setup.answer(frame(1))
        await setup.answer(frame(1, late=True))
        await setup.answer(frame(2, b"corrupt"))

    text = run(test).metrics.text().decode()
    for lane, outcome in (("live", "committed"), ("late", "duplicate"), ("live", "corrupt")):
        label = f'{{kind="key",lane="{lane}",outcome="{outcome}"}}'
        assert f"mastra_gateway_frames_total{label} 1.0" in text


def test_streams_used_least_recently_lose_their_references() -> None:
    async def test() -> None:
        made: list[FakeDecoder] = []

        def make() -> FakeDecoder:
            made.append(FakeDecoder())
            return made[-1]

        def packet(stream: str) -> Packet:
            return Packet(FrameKey(stream, 1), PacketKind.KEY, b"", 1, 1, "mono8")

        with ThreadPoolExecutor(1) as executor:
            references = References(make, executor, streams_max=3, bytes_max=250)
            for stream in ("a", "b", "a", "c"):
                await references.decode("cam", packet(stream))
            assert len(references) == 2, "three streams would keep 300 bytes"
            assert references.bytes_kept == 200
            await references.decode("cam", packet("a"))
            assert len(made) == 3, "a was used after b and is still there"
            await references.decode("cam", packet("b"))
            assert len(made) == 4

    asyncio.run(test())
