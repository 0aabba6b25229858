"""A gateway with a detector and with models of tensors, for real clients of the protocol."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mastra_ros.gateway.embedded import EmbeddedGateway
from mastra_ros.protocol.keys import load_device_key
from mastra_ros.protocol.tokens import sign_token

AUDIENCE = "mastra-gateway"


def write_sums(path: Path, factor: float = 1.0) -> None:
    """`a` FP32 [n, 3] and `b` INT64 [n, 3] -> `sum` FP32 [n, 3] times the factor, `big` BOOL."""
    onnx = pytest.importorskip("onnx", reason="onnx is not installed: no model to serve")
    from onnx import TensorProto, helper, numpy_helper

    nodes = [
        helper.make_node("Cast", ["b"], ["c"], to=TensorProto.FLOAT),
        helper.make_node("Add", ["a", "c"], ["plain"]),
        helper.make_node("Mul", ["plain", "factor"], ["sum"]),
        helper.make_node("Greater", ["sum", "ten"], ["big"]),
    ]
    constants = [
        numpy_helper.from_array(np.float32(factor).reshape(1), "factor"),
        numpy_helper.from_array(np.float32(10).reshape(1), "ten"),
    ]
    kinds = {"a": TensorProto.FLOAT, "b": TensorProto.INT64}
    made = {"sum": TensorProto.FLOAT, "big": TensorProto.BOOL}
    graph = helper.make_graph(
        nodes,
        "sums",
        [helper.make_tensor_value_info(n, kind, ["n", 3]) for n, kind in kinds.items()],
        [helper.make_tensor_value_info(n, kind, ["n", 3]) for n, kind in made.items()],
        constants,
    )
    opset = helper.make_opsetid("", 13)
    onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=8), path)


def write_texts(path: Path) -> None:
    """`text` BYTES [n] -> the same, through ONNX's strings."""
    onnx = pytest.importorskip("onnx", reason="onnx is not installed: no model to serve")
    from onnx import TensorProto, helper

    graph = helper.make_graph(
        [helper.make_node("Identity", ["text"], ["same"])],
        "texts",
        [helper.make_tensor_value_info("text", TensorProto.STRING, ["n"])],
        [helper.make_tensor_value_info("same", TensorProto.STRING, ["n"])],
    )
    opset = helper.make_opsetid("", 13)
    onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=8), path)


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with files of models."""
    folder = tmp_path_factory.mktemp("tensors")
    write_sums(folder / "sums.onnx")
    write_sums(folder / "doubled.onnx", 2.0)
    write_texts(folder / "texts.onnx")
    return folder


@pytest.fixture(scope="session")
def serving(start_gateway: Callable[..., EmbeddedGateway], models: Path) -> EmbeddedGateway:
    """The gateway that these tests share."""
    return start_gateway(
        tensors=(
            f"sums={models / 'sums.onnx'}",
            f"sums:2={models / 'doubled.onnx'}",
            f"texts={models / 'texts.onnx'}",
        ),
        pixels_max=1_000_000,
        batch_delay_ms=1.0,
        **GRPC,
    )


GRPC: dict[str, Any] = {"grpc_port": 0} if find_spec("grpclib") else {}


@pytest.fixture(scope="session")
def token(keys: Path) -> str:
    """Of cam-1."""
    return sign_token("cam-1", load_device_key(keys, "cam-1"), AUDIENCE)


@pytest.fixture(scope="session")
def headers(token: str) -> dict[str, str]:
    """What a client has to send."""
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture(scope="session")
def triton(
    serving: EmbeddedGateway, keys: Path, headers: dict[str, str]
) -> Iterator[Callable[..., Any]]:
    """Calls a method of NVIDIA's own HTTP client, with our token."""
    http = pytest.importorskip("tritonclient.http", reason="tritonclient[http] is not installed")
    from mastra_ros.protocol.tls import client_context

    client = http.InferenceServerClient(
        serving.url.removeprefix("https://"),
        ssl=True,
        ssl_context_factory=lambda: client_context(keys / "ca.crt"),
    )

    def call(name: str, *arguments: Any, **options: Any) -> Any:
        return getattr(client, name)(*arguments, headers=dict(headers), **options)  # it adds more

    yield call
    client.close()
