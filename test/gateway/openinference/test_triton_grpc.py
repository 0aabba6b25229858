"""NVIDIA's own gRPC client, and grpcio, speak with the gateway as with a Triton."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("grpclib", reason="grpclib is not installed: no gRPC is served")
grpc = pytest.importorskip("grpc", reason="grpcio is not installed")
client = pytest.importorskip("tritonclient.grpc", reason="tritonclient[grpc] is not installed")

from tritonclient.utils import InferenceServerException  # noqa: E402

from mastra_ros.config import GatewayConfig  # noqa: E402
from mastra_ros.gateway.embedded import EmbeddedGateway  # noqa: E402
from mastra_ros.protocol.tls import client_context  # noqa: E402

Triton = Callable[..., Any]


@pytest.fixture(scope="session")
def port(serving: EmbeddedGateway) -> int:
    """Where the shared gateway speaks gRPC."""
    said = "listening on grpcs://127.0.0.1:"
    (line,) = [line for line in serving.log_path.read_text().splitlines() if said in line]
    return int(line.rsplit(":", 1)[1])


@pytest.fixture(scope="session")
def triton(port: int, keys: Path, headers: dict[str, str]) -> Iterator[Triton]:
    """Calls a method of the client, with our token."""
    made = client.InferenceServerClient(
        f"127.0.0.1:{port}", ssl=True, root_certificates=str(keys / "ca.crt")
    )
    metadata = {name.lower(): value for name, value in headers.items()}

    def call(name: str, *arguments: Any, **options: Any) -> Any:
        options.setdefault("headers", metadata)
        return getattr(made, name)(*arguments, **options)

    yield call
    made.close()


def given(name: str, array: np.ndarray, kind: str) -> Any:
    made = client.InferInput(name, list(array.shape), kind)
    made.set_data_from_numpy(array)
    return made


def summands(rows: int = 2) -> list[Any]:
    a = np.arange(rows * 3, dtype=np.float32).reshape(rows, 3)
    return [given("a", a, "FP32"), given("b", a.astype(np.int64) * 2, "INT64")]


def test_it_finds_out_what_is_served(triton: Triton) -> None:
    assert triton("is_server_live")
    assert triton("is_server_ready")
    assert triton("is_model_ready", "sums", "2")
    assert "binary_tensor_data" in triton("get_server_metadata").extensions
    told = triton("get_model_metadata", "sums", as_json=True)
    assert told["versions"] == ["1", "2"]
    assert told["inputs"][1] == {"name": "b", "datatype": "INT64", "shape": ["-1", "3"]}
    config = triton("get_model_config", "sums").config
    assert config.max_batch_size == GatewayConfig().batch_size_max
    assert [(one.name, list(one.dims)) for one in config.output] == [("sum", [3]), ("big", [3])]
    index = triton("get_model_repository_index").models
    assert ("sums", "2", "READY") in {(one.name, one.version, one.state) for one in index}


@pytest.mark.parametrize("coding", [None, "gzip", "deflate"])
def test_tensors_go_both_ways(triton: Triton, coding: str | None) -> None:
    outputs = [client.InferRequestedOutput(name) for name in ("big", "sum")]
    answer = triton(
        *("infer", "sums", summands(100)),
        outputs=outputs,
        request_id="mine",
        compression_algorithm=coding,
    )
    expected = np.arange(300, dtype=np.float32).reshape(100, 3) * 3
    np.testing.assert_array_equal(answer.as_numpy("sum"), expected)
    np.testing.assert_array_equal(answer.as_numpy("big"), expected > 10)
    assert answer.get_response().id == "mine"


def test_versions_texts_and_pictures_are_as_over_http(
    triton: Triton, picture: Callable[..., np.ndarray]
) -> None:
    two = triton("infer", "sums", summands(), model_version="2").as_numpy("sum")
    assert two[1, 2] == 30
    texts = np.array([b"Zoll", b"\xff"[:0]], np.object_)
    answer = triton("infer", "texts", [given("text", texts, "BYTES")])
    assert answer.as_numpy("same").tolist() == [b"Zoll", b""]
    file = np.array([cv2.imencode(".jpg", picture((2, 3)))[1].tobytes()], np.object_)
    answer = triton("infer", "white_cells", [given("image", file, "BYTES")])
    assert answer.as_numpy("boxes").tolist() == [[16, 24, 24, 32]]


def test_values_that_are_not_raw_are_read_too(
    port: int, keys: Path, headers: dict[str, str]
) -> None:
    """As KServe's own clients send them."""
    service = pytest.importorskip("tritonclient.grpc.service_pb2")
    stubs = pytest.importorskip("tritonclient.grpc.service_pb2_grpc")
    asked = service.ModelInferRequest(model_name="sums")
    a = asked.inputs.add(name="a", datatype="FP32", shape=[1, 3])
    a.contents.fp32_contents.extend([1.0, 2.0, 3.5])
    b = asked.inputs.add(name="b", datatype="INT64", shape=[1, 3])
    b.contents.int64_contents.extend([1, 1, 2**40])
    credentials = grpc.ssl_channel_credentials((keys / "ca.crt").read_bytes())
    with grpc.secure_channel(f"127.0.0.1:{port}", credentials) as channel:
        stub = stubs.GRPCInferenceServiceStub(channel)
        metadata = [("authorization", headers["Authorization"])]
        answer = stub.ModelInfer(asked, metadata=metadata)
        assert np.frombuffer(answer.raw_output_contents[0], np.float32).tolist()[:2] == [2.0, 3.0]
        asked.inputs[0].contents.fp32_contents.append(4.0)
        with pytest.raises(grpc.RpcError) as caught:
            stub.ModelInfer(asked, metadata=metadata)
        assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert "expected 3 numbers in data, got 4" in caught.value.details()
        with pytest.raises(grpc.RpcError) as caught:
            stub.SystemSharedMemoryStatus(
                service.SystemSharedMemoryStatusRequest(), metadata=metadata
            )
        assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize(
    ("call", "why"),
    [
        (("infer", "nothing", []), "model 'nothing' is not served"),
        (("infer", "sums", []), "expected the inputs"),
        (("get_model_metadata", "sums", "9"), "version 9 is not served"),
        (("get_inference_statistics", "nothing"), "is not served"),
    ],
)
def test_what_cannot_be_is_said_and_the_connection_goes_on(
    triton: Triton, call: Any, why: str
) -> None:
    with pytest.raises(InferenceServerException, match=why):
        triton(*call)
    assert triton("infer", "sums", summands()).as_numpy("sum").shape == (2, 3)


@pytest.mark.parametrize(
    "metadata", [{}, {"authorization": "Bearer nonsense"}, {"authorization": "Basic eDp5"}]
)
def test_nobody_is_answered_without_a_token(triton: Triton, metadata: dict[str, str]) -> None:
    for call in (("is_server_live",), ("infer", "sums", summands())):
        with pytest.raises(InferenceServerException, match="UNAUTHENTICATED"):
            triton(*call, headers=metadata)


def test_a_message_larger_than_allowed_is_refused_unread(
    start_gateway: Callable[..., EmbeddedGateway], keys: Path, headers: dict[str, str]
) -> None:
    gateway = start_gateway(grpc_port=0, body_bytes_max=10_000)
    said = "listening on grpcs://127.0.0.1:"
    port = int(gateway.log_path.read_text().split(said)[1].split()[0])
    made = client.InferenceServerClient(
        f"127.0.0.1:{port}", ssl=True, root_certificates=str(keys / "ca.crt")
    )
    metadata = {name.lower(): value for name, value in headers.items()}
    image = np.zeros((200, 200), np.uint8)
    with pytest.raises(InferenceServerException, match="at most 10000 bytes, got 40"):
        made.infer("white_cells", [given("image", image, "UINT8")], headers=metadata)
    squeezed = [given("image", image, "UINT8")]
    with pytest.raises(InferenceServerException, match="at most 10000 bytes when decompressed"):
        made.infer("white_cells", squeezed, headers=metadata, compression_algorithm="gzip")
    small = [given("image", image[:64, :64].copy(), "UINT8")]
    assert made.infer("white_cells", small, headers=metadata).as_numpy("boxes").shape == (0, 4)
    made.close()
    gateway.stop()


def test_older_tls_and_what_is_no_http2_cost_nobody_else(
    port: int, keys: Path, triton: Triton
) -> None:
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.load_verify_locations(keys / "ca.crt")
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with (
        socket.create_connection(("127.0.0.1", port), timeout=20) as raw,
        pytest.raises(ssl.SSLError),
    ):
        old.wrap_socket(raw, server_hostname="127.0.0.1")
    context = client_context(keys / "ca.crt")
    for noise in (b"GET / HTTP/1.1\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 200):
        with (
            socket.create_connection(("127.0.0.1", port), timeout=20) as raw,
            context.wrap_socket(raw, server_hostname="127.0.0.1") as wrapped,
        ):
            wrapped.sendall(noise)
            while wrapped.recv(4096):
                pass
    assert triton("infer", "sums", summands()).as_numpy("sum").shape == (2, 3)


def test_statistics_are_those_of_http(triton: Triton) -> None:
    triton("infer", "sums", summands())
    told = triton("get_inference_statistics", "sums", "1").model_stats[0]
    assert told.inference_count >= 1
    assert told.inference_stats.success.ns > 0
