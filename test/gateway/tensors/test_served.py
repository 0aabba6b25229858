"""Several instances of a model, runs of the sizes that it likes, and sequences of any length."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mastra_ros.config import GatewayConfig
from mastra_ros.gateway.openinference.datatypes import TensorSpec
from mastra_ros.gateway.tensors.opening import open_tensors
from mastra_ros.gateway.tensors.served import ServedTensors

DEADLINE_S = 20.0


class Doubling:
    """`x` FP32 [n] -> `y`, twice that; every run of it waits at a gate."""

    platform, version, ready, rows_max = "test", "", True, 1 << 16
    inputs = (TensorSpec("x", "FP32", (-1,)),)
    outputs = (TensorSpec("y", "FP32", (-1,)),)

    def __init__(self, gate: threading.Barrier | None = None) -> None:
        self.gate = gate
        self.runs: list[list[float]] = []

    def run(self, inputs: Any) -> dict[str, Any]:
        self.runs.append(inputs["x"].tolist())
        if self.gate is not None:
            self.gate.wait(DEADLINE_S)
        return {"y": inputs["x"] * 2}

    def close(self) -> None:
        pass


def served(*backends: Doubling, size_max: int = 8, sizes: tuple[int, ...] = ()) -> ServedTensors:
    return ServedTensors(
        *("m", "1", backends), size_max=size_max, delay_ms=0.0, queue_max=100, sizes=sizes
    )


def row(value: float) -> dict[str, Any]:
    return {"x": np.array([value], np.float32)}


def run(test: Awaitable[None]) -> None:
    asyncio.run(asyncio.wait_for(test, DEADLINE_S))


def test_two_instances_run_at_once_and_each_request_gets_its_own_answer() -> None:
    async def test() -> None:
        gate = threading.Barrier(2)  # a run ends only while another one is in work
        backends = [Doubling(gate), Doubling(gate)]
        model = served(*backends, size_max=1)
        answers = await asyncio.gather(*(model.infer(row(n)) for n in range(20)))
        assert [one["y"].tolist() for one in answers] == [[2.0 * n] for n in range(20)]
        assert [len(one.runs) for one in backends] == [10, 10]
        assert await model.close()

    run(test())


def test_an_instance_that_hangs_leaves_the_queue_to_the_other() -> None:
    async def test() -> None:
        gate = threading.Barrier(2)
        hanging, other = Doubling(gate), Doubling()
        model = served(hanging, other, size_max=1)
        stuck = asyncio.ensure_future(model.infer(row(1.0)))
        while not hanging.runs:
            await asyncio.sleep(0.001)
        answers = await asyncio.gather(*(model.infer(row(n)) for n in range(5)))
        assert [one["y"].tolist() for one in answers] == [[2.0 * n] for n in range(5)]
        assert not stuck.done()
        assert model.silent_s > 0
        await asyncio.to_thread(gate.wait, DEADLINE_S)
        assert (await stuck)["y"].tolist() == [2.0]
        assert await model.close()

    run(test())


def test_runs_have_the_sizes_that_the_model_likes_and_nobody_sees_the_rows_made_up() -> None:
    async def test() -> None:
        backend = Doubling()
        model = served(backend, sizes=(1, 4))
        assert model.batch_size_max == 4
        assert (await model.infer(row(7.0)))["y"].tolist() == [14.0]
        answers = await asyncio.gather(*(model.infer(row(n)) for n in range(6)))
        assert [one["y"].tolist() for one in answers] == [[2.0 * n] for n in range(6)]
        assert [len(one) for one in backend.runs] == [1, 4, 4]
        three = {"x": np.arange(3, dtype=np.float32)}
        assert (await model.infer(three))["y"].tolist() == [0.0, 2.0, 4.0]
        five = {"x": np.arange(5, dtype=np.float32)}  # of one request, and larger than any size
        assert len((await model.infer(five))["y"]) == 5
        assert [len(one) for one in backend.runs[3:]] == [4, 5]
        assert await model.close()

    run(test())


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    """`tokens` INT64 [n, length] -> `pooled` FP32 [n, 4]: the mean of rows of a table."""
    onnx = pytest.importorskip("onnx", reason="onnx is not installed: no model to serve")
    from onnx import TensorProto, helper, numpy_helper

    table = np.arange(40, dtype=np.float32).reshape(10, 4)
    nodes = [
        helper.make_node("Gather", ["table", "tokens"], ["words"]),
        helper.make_node("ReduceMean", ["words"], ["pooled"], axes=[1], keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "encoder",
        [helper.make_tensor_value_info("tokens", TensorProto.INT64, ["n", "length"])],
        [helper.make_tensor_value_info("pooled", TensorProto.FLOAT, ["n", 4])],
        [numpy_helper.from_array(table, "table")],
    )
    opset = helper.make_opsetid("", 13)
    path = tmp_path / "encoder.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=8), path)
    return path


def test_sequences_of_any_length_are_joined_with_those_of_their_length(encoder: Path) -> None:
    async def test() -> None:
        ran: list[int] = []
        config = GatewayConfig(tensors=(f"encoder*2@1/4={encoder}",))
        (model,) = open_tensors(config, lambda _, size, *__: ran.append(size))
        assert [str(one) for one in model.inputs] == ["tokens INT64 [-1, -1]"]
        rng = np.random.default_rng(1)
        asked = [rng.integers(0, 10, (1, length)) for length in (3, 128, 3, 7, 128, 3, 384, 7)]
        answers = await asyncio.gather(*(model.infer({"tokens": one}) for one in asked))
        table = np.arange(40, dtype=np.float32).reshape(10, 4)
        for tokens, answer in zip(asked, answers, strict=True):
            assert answer["pooled"].shape == (1, 4)
            np.testing.assert_allclose(answer["pooled"], table[tokens].mean(1), rtol=1e-5)
        assert sum(ran) == len(asked)
        assert await model.close()

    run(test())
