"""Features reach the tail in the gateway, and those that do not belong there are refused."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from mastra_ros.compression import FeatureEncoder
from mastra_ros.config import GatewayConfig
from mastra_ros.errors import ModelError
from mastra_ros.gateway.frames import Frames
from mastra_ros.gateway.metrics import Metrics
from mastra_ros.gateway.models import Models, ServedModel, ServedTail
from mastra_ros.gateway.references import References
from mastra_ros.gateway.store import MemoryStore
from mastra_ros.privacy import hiding_nothing
from mastra_ros.protocol import Ack, FrameMessage, Nack, ResultMessage
from mastra_ros.types import Detections, Features, Frame, FrameKey, Route

SHAPE = (2, 4, 4)
LABELS = ("spot",)


class FakeDetector:
    """Finds nothing in frames."""

    labels, model, version = LABELS, "whole", "1"

    def detect_batch(self, items: Sequence[Frame]) -> list[Detections]:
        return [Detections.empty(LABELS) for _ in items]

    def close(self) -> None:
        """Nothing to free."""


class FakeTail:
    """Finds as many boxes as the tensor's first value says; refuses what another head made."""

    labels, model, version = LABELS, "whole", "1"

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def detect_batch(self, items: Sequence[Features]) -> list[Detections]:
        for item in items:
            if item.pair != "pair":
                raise ModelError("features of another head")
        self.sizes.append(len(items))
        return [self._found(int(item.tensor.flat[0])) for item in items]

    def close(self) -> None:
        """Nothing to free."""

    @staticmethod
    def _found(n: int) -> Detections:
        box = np.tile(np.float32([0, 0, 1, 1]), (n, 1))
        return Detections(box, np.full(n, 0.9, np.float32), np.zeros(n, np.int32), LABELS)


class Setup:
    """A gateway's frames with a model `small`, split unless told otherwise."""

    def __init__(self, *, split: bool = True) -> None:
        self.tail = FakeTail()
        self.executor = ThreadPoolExecutor(2)
        metrics, config = Metrics(), GatewayConfig(batch_delay_ms=50.0, batch_size_max=4)
        served = ServedModel("small/tail", self.tail, config, metrics)
        self.models = Models(
            [ServedModel("small", FakeDetector(), config, metrics)],
            {"small": ServedTail(served, 32)} if split else None,
        )
        self.frames = Frames(
            store=MemoryStore(),
            references=References(lambda: None, self.executor, streams_max=1, bytes_max=1),  # type: ignore[arg-type, return-value]
            models=self.models,
            metrics=metrics,
            executor=self.executor,
            frames_max=16,
            pixels_max=10**6,
        )

    async def answer(self, message: FrameMessage) -> tuple[Any, ...]:
        return tuple((await self.frames.answer("cam", message, 0)).messages)


def run(test: Callable[[Setup], Coroutine[Any, Any, None]], **options: Any) -> None:
    async def main() -> None:
        setup = Setup(**options)
        try:
            await test(setup)
        finally:
            await setup.frames.close()
            await setup.models.close()
            setup.executor.shutdown()

    asyncio.run(main())


GATE = hiding_nothing("numbers made for this test")


def message(
    stamp_ns: int, boxes: int = 1, *, late: bool = False, shape: Any = SHAPE, **names: str
) -> FrameMessage:
    features = Features(
        key=FrameKey("main", stamp_ns),
        cut="half",
        tensor=np.full(shape, boxes, np.int8),
        scale=0.1,
        zero_point=0,
        width_px=64,
        height_px=48,
        model=names.get("model", "small"),
        pair=names.get("pair", "pair"),
    )
    return FrameMessage.from_packet(
        FeatureEncoder().encode(GATE.clear_features(features), late=late)
    )


def test_features_are_answered_as_split_in_one_batch() -> None:
    async def test(setup: Setup) -> None:
        answers = await asyncio.gather(*(setup.answer(message(n, n)) for n in (1, 2, 3, 4)))
        for n, (result, ack) in enumerate(answers, 1):
            assert isinstance(result, ResultMessage)
            assert isinstance(ack, Ack)
            told = result.to_result()
            assert (told.origin, len(told.detections)) == (Route.SPLIT, n)
            assert (told.model, told.model_version, told.late) == ("whole", "1", False)
        assert setup.tail.sizes == [4]

    run(test)


def test_features_from_a_spool_are_answered_late_and_once() -> None:
    async def test(setup: Setup) -> None:
        (result, _), (again, ack) = [await setup.answer(message(7, late=True)) for _ in range(2)]
        assert result.to_result().late
        assert again == result
        assert ack.duplicate
        assert setup.tail.sizes == [1]

    run(test)


def test_what_is_wrong_with_features_is_told_and_costs_no_other() -> None:
    damaged = message(1)
    damaged = dataclasses.replace(damaged, payload=damaged.payload[:-1])
    wrong = {
        "corrupt": [damaged, message(2, shape=(4, 4, 4)), with_payload(b"")],
        "failed": [message(3, pair="other"), with_model("large")],
    }

    async def test(setup: Setup) -> None:
        for code, messages in wrong.items():
            answers = await asyncio.gather(*map(setup.answer, [*messages, message(9)]))
            for (nack, *_), sent in zip(answers, messages, strict=False):
                assert isinstance(nack, Nack), sent
                assert nack.code == code, nack
            assert isinstance(answers[-1][0], ResultMessage)

    run(test)


def with_payload(payload: bytes) -> FrameMessage:
    return dataclasses.replace(message(4), payload=payload)


def with_model(name: str) -> FrameMessage:
    return message(5, model=name)


def test_a_gateway_whose_bundle_is_not_split_says_so() -> None:
    async def test(setup: Setup) -> None:
        (nack,) = await setup.answer(message(1))
        assert nack.code == "failed"
        assert "bundle small of the gateway has no tail: it is not split" in nack.text

    run(test, split=False)
