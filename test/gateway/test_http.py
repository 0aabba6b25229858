"""Health, metrics, and the Open Inference Protocol over REST."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from mastra_ros.errors import ConfigError, ModelError
from mastra_ros.gateway.embedded import EmbeddedGateway
from mastra_ros.inference import load_bundle
from mastra_ros.protocol.keys import load_device_key
from mastra_ros.protocol.tokens import sign_token

Http = Callable[..., httpx.Response]
Picture = Callable[..., np.ndarray]

MODEL = "/v2/models/white_cells"


def image_input(image: np.ndarray, **changes: Any) -> dict[str, Any]:
    tensor = {
        "name": "image",
        "shape": list(image.shape),
        "datatype": "UINT8",
        "data": image.tolist(),
    }
    return {name: value for name, value in {**tensor, **changes}.items() if value is not None}


def outputs_of(response: httpx.Response) -> dict[str, np.ndarray]:
    assert response.status_code == 200, response.text
    return {
        output["name"]: np.array(output["data"]).reshape(output["shape"])
        for output in response.json()["outputs"]
    }


def test_anybody_may_ask_for_health(gateway: EmbeddedGateway, tls: ssl.SSLContext) -> None:
    answer = httpx.get(f"{gateway.url}/healthz", verify=tls)
    assert answer.status_code == 200
    assert answer.json() == {"status": "ok", "store": "ok", "models": ["white_cells"]}


def test_metrics_count_what_happened(
    gateway: EmbeddedGateway, http: Http, connect_device: Callable[..., Any], picture: Picture
) -> None:
    device = connect_device(gateway, stream="metrics")
    device.infer(1, picture((1, 1)))
    answer = http("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    text = answer.text
    committed = 'mastra_gateway_frames_total{kind="key",lane="live",outcome="committed"}'
    assert committed in text
    for name in (
        "sessions",
        "received_bytes_total",
        "batch_size_bucket",
        "queue_seconds_bucket",
        "inference_seconds_bucket",
        "commit_seconds_bucket",
        "frame_seconds_bucket",
    ):
        assert f"mastra_gateway_{name}" in text
    assert text.endswith("# EOF\n")


def test_the_server_and_its_model_describe_themselves(http: Http) -> None:
    assert "binary_tensor_data" in http("/v2").json()["extensions"]
    assert http("/v2/health/live").status_code == 200
    assert http("/v2/health/ready").status_code == 200
    described = http(MODEL).json()
    assert described["versions"] == ["1.2.3"]
    assert described["inputs"][0]["name"] == "image"
    assert described["parameters"]["labels"] == ["spot"]
    assert http(f"{MODEL}/ready").json() == {"name": "white_cells", "ready": True}
    assert http(f"{MODEL}/versions/1.2.3/ready").status_code == 200
    assert http(f"{MODEL}/versions/9/ready").status_code == 404
    assert http("/v2/models/other").status_code == 404
    assert http("/nowhere").status_code == 404


def test_a_picture_in_json_is_inferred(http: Http, picture: Picture) -> None:
    body = {"id": "mine", "inputs": [image_input(picture((2, 3)))]}
    answer = http(f"{MODEL}/infer", method="POST", json=body)
    found = outputs_of(answer)
    assert answer.json()["id"] == "mine"
    assert found["boxes"].tolist() == [[16, 24, 24, 32]]
    assert found["classes"].tolist() == [0]
    assert 0.9 < found["scores"][0] <= 1.0


def test_a_picture_as_bytes_is_inferred(http: Http, picture: Picture) -> None:
    image = np.repeat(picture((1, 1), (3, 3))[:, :, None], 3, axis=2)
    tensor = image_input(image, data=None, parameters={"binary_data_size": image.nbytes})
    header = json.dumps({"inputs": [tensor], "outputs": [{"name": "scores"}]}).encode()
    answer = http(
        f"{MODEL}/versions/1.2.3/infer",
        method="POST",
        content=header + image.tobytes(),
        headers={"Inference-Header-Content-Length": str(len(header))},
    )
    found = outputs_of(answer)
    assert list(found) == ["scores"]
    assert len(found["scores"]) == 2


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"\xff", "not JSON"),
        (b"[" * 50_000, "not JSON"),
        (b"[]", "inputs"),
        (b'{"inputs": []}', "inputs"),
        (b'{"inputs": [{"name": "x", "shape": [1], "datatype": "UINT8"}]}', "input `image`"),
        (b'{"inputs": [{"name": "image", "shape": [1], "datatype": "FP32"}]}', "UINT8"),
    ],
)
def test_a_bad_request_is_refused(http: Http, body: bytes, why: str) -> None:
    answer = http(f"{MODEL}/infer", method="POST", content=body)
    assert answer.status_code == 400
    assert why in answer.json()["error"]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"shape": [64, 63]}, "4032 numbers"),
        ({"shape": [64, 64, 1]}, "shape"),
        ({"shape": [64, -64]}, "shape"),
        ({"shape": [True, 64]}, "shape"),
        ({"shape": [100_000, 100_000]}, "shape"),
        ({"data": ["a"]}, "numbers"),
        ({"data": [[1, 2], [3]]}, "numbers"),
        ({"data": [300] * 4096}, "0 to 255"),
        ({"data": [0.5] * 4096}, "0 to 255"),
        ({"data": None}, "numbers"),
        ({"data": None, "parameters": {"binary_data_size": 4096}}, "4096 bytes"),
    ],
)
def test_a_bad_tensor_is_refused(
    http: Http, picture: Picture, changes: dict[str, Any], why: str
) -> None:
    body = {"inputs": [image_input(picture(), **changes)]}
    answer = http(f"{MODEL}/infer", method="POST", json=body)
    assert answer.status_code == 400
    assert why in answer.json()["error"]


def test_unknown_outputs_and_wrong_header_lengths_are_refused(http: Http, picture: Picture) -> None:
    body = {"inputs": [image_input(picture())], "outputs": [{"name": "masks"}]}
    assert http(f"{MODEL}/infer", method="POST", json=body).status_code == 400
    for length in ("-1", "999999", "x"):
        headers = {"Inference-Header-Content-Length": length}
        answer = http(f"{MODEL}/infer", method="POST", content=b"{}", headers=headers)
        assert answer.status_code == 400


def test_a_body_that_is_too_large_is_refused(http: Http) -> None:
    answer = http(f"{MODEL}/infer", method="POST", content=bytes(1_000_001))
    assert answer.status_code == 413


def test_a_body_that_ends_early_leaves_no_trace(
    gateway: EmbeddedGateway, http: Http, keys: Path, tls: ssl.SSLContext
) -> None:
    token = sign_token("cam-1", load_device_key(keys, "cam-1"), "mastra-gateway")
    head = (
        f"POST {MODEL}/infer HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n"
        "Content-Length: 1000\r\n\r\n{"
    )
    with (
        socket.create_connection(("127.0.0.1", gateway.port), timeout=30.0) as raw,
        tls.wrap_socket(raw, server_hostname="127.0.0.1") as sock,
    ):
        sock.sendall(head.encode())
    assert http("/v2").status_code == 200
    assert "Traceback" not in gateway.log_path.read_text()


def test_the_real_model_is_served(
    start_gateway: Callable[..., EmbeddedGateway], keys: Path, tls: ssl.SSLContext
) -> None:
    """The bundle that Mastra ships loads and answers; what it finds is tested with the models."""
    try:
        load_bundle("models/board_defects")
    except (ModelError, ConfigError) as error:
        pytest.skip(f"the shipped bundle cannot be used: {error}")
    token = sign_token("cam-1", load_device_key(keys, "cam-1"), "mastra-gateway")
    image = np.zeros((640, 640), np.uint8)
    tensor = image_input(image, data=None, parameters={"binary_data_size": image.nbytes})
    header = json.dumps({"inputs": [tensor]}).encode()
    with EmbeddedGateway(keys) as gateway:
        answer = httpx.post(
            f"{gateway.url}/v2/models/board_defects/infer",
            content=header + image.tobytes(),
            headers={
                "Authorization": f"Bearer {token}",
                "Inference-Header-Content-Length": str(len(header)),
            },
            verify=tls,
            timeout=60.0,
        )
    assert outputs_of(answer)["boxes"].shape[1:] == (4,)
