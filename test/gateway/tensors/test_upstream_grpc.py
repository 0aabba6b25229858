"""A model on another server over gRPC; that server is grpcio's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

pytest.importorskip("grpclib", reason="grpclib is not installed")
grpc = pytest.importorskip("grpc", reason="grpcio is not installed")
service = pytest.importorskip("tritonclient.grpc.service_pb2")
stubs = pytest.importorskip("tritonclient.grpc.service_pb2_grpc")

from mastra_ros.config import GatewayConfig  # noqa: E402
from mastra_ros.errors import LinkError, ModelError  # noqa: E402
from mastra_ros.gateway.tensors.opening import open_upstream  # noqa: E402

ONES = {"a": np.ones((2, 3), np.float32)}


class Doubling(stubs.GRPCInferenceServiceServicer):  # type: ignore[misc]
    """`a` FP32 [n, 3] -> `b` BYTES or FP32: twice as much."""

    def __init__(self) -> None:
        self.fault: Callable[[Any], None] = lambda _: None

    def ModelMetadata(self, request: Any, context: Any) -> Any:
        if request.name != "doubling":
            context.abort(grpc.StatusCode.NOT_FOUND, f"no {request.name}")
        made = service.ModelMetadataResponse(name="doubling", versions=["4"], platform="plain")
        made.inputs.add(name="a", datatype="FP32", shape=[-1, 3])
        made.outputs.add(name="b", datatype="FP32", shape=[-1, 3])
        return made

    def ModelConfig(self, request: Any, context: Any) -> Any:
        return service.ModelConfigResponse(config={"name": request.name, "max_batch_size": 4})

    def ModelInfer(self, request: Any, context: Any) -> Any:
        self.fault(context)
        array = np.frombuffer(request.raw_input_contents[0], np.float32) * 2
        made = service.ModelInferResponse(model_name="doubling")
        made.outputs.add(name="b", datatype="FP32", shape=request.inputs[0].shape)
        made.raw_output_contents.append(array.tobytes())
        return made


@pytest.fixture
def doubling() -> Iterator[tuple[Doubling, str]]:
    servicer = Doubling()
    server = grpc.server(ThreadPoolExecutor(2))
    stubs.add_GRPCInferenceServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield servicer, f"grpc://127.0.0.1:{port}/doubling"
    server.stop(None).wait()


def test_it_is_known_and_inferred(doubling: tuple[Doubling, str]) -> None:
    far = open_upstream(doubling[1], GatewayConfig())
    assert (far.version, far.rows_max, str(far.inputs[0])) == ("4", 4, "a FP32 [-1, 3]")
    assert far.run(ONES)["b"].tolist() == [[2, 2, 2]] * 2
    far.close()
    assert far.run(ONES)["b"].tolist() == [[2, 2, 2]] * 2  # connects anew
    far.close()


def test_one_that_is_busy_is_asked_again_and_its_words_are_ours(
    doubling: tuple[Doubling, str],
) -> None:
    servicer, url = doubling
    far = open_upstream(url, GatewayConfig())
    faults = [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED]

    def fault(context: Any) -> None:
        if faults:
            context.abort(faults.pop(), "later")

    servicer.fault = fault
    assert far.run(ONES)["b"].tolist() == [[2, 2, 2]] * 2
    faults.append(grpc.StatusCode.INVALID_ARGUMENT)
    with pytest.raises(ModelError, match="INVALID_ARGUMENT: later"):
        far.run(ONES)
    assert far.ready
    far.close()


def test_one_that_is_gone_is_left_alone(doubling: tuple[Doubling, str]) -> None:
    servicer, url = doubling
    with pytest.raises(ModelError, match="NOT_FOUND"):
        open_upstream(url.replace("doubling", "other"), GatewayConfig())
    far = open_upstream(url, GatewayConfig())
    servicer.fault = lambda context: context.abort(grpc.StatusCode.UNAVAILABLE, "gone")
    with pytest.raises(LinkError, match="UNAVAILABLE: gone"):
        far.run(ONES)
    assert not far.ready
    with pytest.raises(LinkError, match="asked again in"):
        far.run(ONES)
    far.close()
    with pytest.raises(LinkError):
        open_upstream("grpc://127.0.0.1:1/doubling", GatewayConfig())
