"""Small pictures in a process of their own: what one frame does there costs no other."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import signal
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mastra_ros.compression import Decoder, Encoder
from mastra_ros.config import CompressionConfig, GatewayConfig
from mastra_ros.errors import ModelError
from mastra_ros.gateway import group_process
from mastra_ros.gateway.apart import wire
from mastra_ros.gateway.frames import Frames
from mastra_ros.gateway.metrics import Metrics
from mastra_ros.gateway.models import Models
from mastra_ros.gateway.references import References
from mastra_ros.gateway.sqlite_store import SqliteStore
from mastra_ros.gateway.store import FrameId
from mastra_ros.privacy import hiding_nothing
from mastra_ros.protocol import FrameMessage
from mastra_ros.types import Frame, FrameKey

DEADLINE_S = 60.0
GATE = hiding_nothing("pictures made for this test")
ENCODER = Encoder(CompressionConfig(codec="png"), "main")


class Seen:
    """Somebody who looks at live frames."""

    wanted = True

    def __init__(self) -> None:
        self.frames: list[tuple[str, Frame, bytes]] = []

    def offer(self, device: str, frame: Frame, result: bytes) -> None:
        self.frames.append((device, frame, result))


class Setup:
    """Frames, a real process of a model, and a real database."""

    def __init__(self, store: SqliteStore, models: Models, metrics: Metrics, live: Any) -> None:
        self.store, self.models, self.metrics = store, models, metrics
        self.executor = ThreadPoolExecutor(2)
        self.references = References(Decoder, self.executor, streams_max=9, bytes_max=10**7)
        self.frames = Frames(
            store=store,
            references=self.references,
            models=models,
            metrics=metrics,
            executor=self.executor,
            frames_max=99,
            pixels_max=10**6,
            live=live,
        )

    @property
    def process(self) -> group_process.GroupProcess:
        apart = self.models.get().apart
        assert apart is not None
        return apart

    async def outcomes(self, *messages: FrameMessage) -> list[str]:
        """What becomes of these, all sent at once."""
        some = await asyncio.gather(*(self.frames.answer("cam", one, 0) for one in messages))
        return [one.outcome for one in some]


def picture(stamp_ns: int, frame_id: str = "", *, late: bool = False) -> FrameMessage:
    ENCODER.forget()
    image = np.full((64, 64), stamp_ns % 250, np.uint8)
    packet = ENCODER.encode(
        GATE.clear(Frame(FrameKey("main", stamp_ns, frame_id), image, "mono8")), late=late
    )
    return FrameMessage.from_packet(packet)


def run(
    folder: Path,
    bundle: Path,
    test: Callable[[Setup], Coroutine[Any, Any, None]],
    live: Any = None,
    **parameters: Any,
) -> None:
    async def main() -> None:
        metrics = Metrics()
        store = SqliteStore(folder, on_commit=metrics.on_commit)
        config = GatewayConfig(bundles=(str(bundle),), processes=2, **parameters)
        models = await Models.open(config, metrics, store)
        setup = Setup(store, models, metrics, live)
        try:
            await asyncio.wait_for(test(setup), DEADLINE_S)
        finally:
            await models.close(1.0)
            await setup.frames.close()
            store.close()
            setup.executor.shutdown()

    asyncio.run(main())


@pytest.fixture
def strange(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have frames of some names do what they may not."""
    monkeypatch.setattr(group_process, "MODULE", "strange_worker")
    path = os.pathsep.join((str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")))
    monkeypatch.setenv("PYTHONPATH", path)


@pytest.mark.usefixtures("strange")
def test_a_frame_at_which_the_process_ends_costs_no_other(
    tmp_path: Path, bundle: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def test(setup: Setup) -> None:
        before = setup.process.pid
        sent = [*map(picture, range(10)), picture(10, "fatal"), *map(picture, range(11, 20))]
        outcomes = await setup.outcomes(*sent)
        assert outcomes.pop(10) == "failed"
        assert set(outcomes) <= {"committed", "duplicate"}
        assert await setup.outcomes(picture(21)) == ["committed"]
        assert setup.store.count() == 20
        assert setup.process.pid not in (0, before)
        assert b'process_ends_total{model="white_cells"} 2.0' in setup.metrics.text()

    with caplog.at_level(logging.ERROR):
        run(tmp_path / "state", bundle, test)
    ends = [text for text in caplog.messages if "go to a new one" in text]
    assert len(ends) == 2  # once among others, once alone
    assert all("SIGSEGV" in text for text in ends)


@pytest.mark.usefixtures("strange")
def test_a_frame_that_never_ends_costs_no_other(tmp_path: Path, bundle: Path) -> None:
    async def test(setup: Setup) -> None:
        outcomes = await setup.outcomes(picture(1), picture(2, "endless"), picture(3))
        assert outcomes[1] == "failed"
        assert {outcomes[0], outcomes[2]} <= {"committed", "duplicate"}

    run(tmp_path / "state", bundle, test, model_silence_s=2.0)


@pytest.mark.usefixtures("strange")
def test_a_frame_at_which_the_model_fails_costs_no_other(tmp_path: Path, bundle: Path) -> None:
    async def test(setup: Setup) -> None:
        before = setup.process.pid
        outcomes = await setup.outcomes(picture(1), picture(2, "unlucky"), picture(3))
        assert outcomes == ["committed", "failed", "committed"]
        assert setup.process.pid == before

    run(tmp_path / "state", bundle, test)


def test_a_killed_process_loses_no_frame_and_keeps_none_twice(tmp_path: Path, bundle: Path) -> None:
    async def test(setup: Setup) -> None:
        outcomes: list[str] = []

        async def send(first: int) -> None:
            for stamp in range(first, first + 60):
                outcomes.extend(await setup.outcomes(picture(stamp)))

        async def kill() -> None:
            for times in range(1, 4):
                while len(outcomes) < 50 * times or not setup.process.pid:
                    await asyncio.sleep(0.001)
                os.kill(setup.process.pid, signal.SIGKILL)

        await asyncio.gather(kill(), *(send(1000 * n) for n in range(4)))
        assert set(outcomes) <= {"committed", "duplicate"}
        assert len(outcomes) == setup.store.count() == 240

    run(tmp_path / "state", bundle, test)


def test_what_is_committed_is_found_and_not_kept_again(tmp_path: Path, bundle: Path) -> None:
    async def test(setup: Setup) -> None:
        assert await setup.outcomes(picture(1), picture(2)) == ["committed"] * 2
        first = setup.store.find(FrameId("cam", "main", 1))
        assert await setup.outcomes(picture(1)) == ["duplicate"]
        assert await setup.outcomes(picture(3), picture(3)) == ["committed", "duplicate"]
        assert setup.store.count() == 3
        assert setup.store.find(FrameId("cam", "main", 1)) == first
        text = setup.metrics.text().decode()
        assert "mastra_gateway_commit_size_sum 3.0" in text
        assert "mastra_gateway_decode_seconds_count 3.0" in text
        assert 'mastra_gateway_batch_size_sum{model="white_cells"} 4.0' in text

    run(tmp_path / "state", bundle, test)


def test_who_looks_at_live_frames_sees_those_that_are_committed(
    tmp_path: Path, bundle: Path
) -> None:
    seen = Seen()

    async def test(setup: Setup) -> None:
        assert setup.references.look("cam", 0.0) is None
        await setup.outcomes(picture(7), picture(8, late=True))
        await setup.outcomes(picture(7))  # a duplicate is not shown again
        ((device, frame, _),) = seen.frames
        assert (device, frame.key.stamp_ns, frame.image[0, 0]) == ("cam", 7, 7)

    run(tmp_path / "state", bundle, test, live=seen)


def test_a_process_that_cannot_begin_again_refuses_frames_until_it_can(
    tmp_path: Path, bundle: Path
) -> None:
    copy = tmp_path / "bundle"
    shutil.copytree(bundle, copy)

    async def test(setup: Setup) -> None:
        assert await setup.outcomes(picture(1)) == ["committed"]
        (copy / "cloud.onnx").rename(copy / "away")
        os.kill(setup.process.pid, signal.SIGKILL)
        refused = 0
        while not refused:
            refused = (await setup.outcomes(picture(2))).count("overloaded")
        (copy / "away").rename(copy / "cloud.onnx")
        while await setup.outcomes(picture(2)) == ["overloaded"]:
            await asyncio.sleep(0.05)
        assert setup.store.count() == 2

    run(tmp_path / "state", copy, test)


def test_a_process_that_cannot_begin_is_one_clear_error(tmp_path: Path, bundle: Path) -> None:
    async def main() -> None:
        store = SqliteStore(tmp_path / "state")
        config = GatewayConfig(processes=2)
        process = group_process.GroupProcess("small", str(tmp_path / "none"), store, config)
        try:
            with pytest.raises(ModelError, match=r"small: its process: .*none"):
                await process.begin()
            assert not process.pid
        finally:
            store.close()

    asyncio.run(main())
    assert bundle.is_dir()


def test_messages_are_cut_as_they_come_and_the_impossible_is_refused() -> None:
    whole = wire.packed(wire.Begun("a")) + wire.packed(wire.Begun("b", "why"))
    cutter = wire.Cutter()
    cut = [wire.read_begun(one) for byte in whole for one in cutter.feed(bytes([byte]))]
    assert cut == [wire.Begun("a"), wire.Begun("b", "why")]
    with pytest.raises(wire.WireBroken, match="a message of 4294967295 bytes"):
        wire.Cutter().feed(b"\xff" * 5)
