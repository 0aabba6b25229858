"""A model on another server is one of ours, whatever that server does."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from mastra_ros.config import GatewayConfig
from mastra_ros.errors import LinkError, ModelError
from mastra_ros.gateway.embedded import EmbeddedGateway
from mastra_ros.gateway.tensors.opening import open_upstream
from mastra_ros.gateway.tensors.upstream import REST_S
from mastra_ros.protocol.keys import load_device_key
from mastra_ros.protocol.tokens import sign_token

ONES = {name: np.ones((1, 3), np.float32) for name in ("a", "b")}


def opened(url: str, **parameters: Any) -> Any:
    return open_upstream(url, GatewayConfig(**parameters))


def test_its_tensors_are_known_and_inferred(elsewhere: Any, summing: Path) -> None:
    far = opened(elsewhere.add("summing", summing))
    assert [str(spec) for spec in far.inputs] == ["a FP32 [-1, 3]", "b FP32 [-1, 3]"]
    assert (far.version, far.rows_max) == ("7", 8)
    assert far.run(ONES)["sum"].tolist() == [[2, 2, 2]]
    far.close()


def test_a_server_without_a_configuration_gets_one_request_at_a_time(
    elsewhere: Any, summing: Path, answers: Any
) -> None:
    def fault(call: Any) -> bool:
        if call.path.endswith("/config"):
            answers[0](call, 404, {"error": "unknown"})
        return bool(call.path.endswith("/config"))

    elsewhere.fault = fault
    far = opened(elsewhere.add("summing", summing))
    assert far.rows_max == 0
    far.close()


def test_an_answer_that_says_busy_is_asked_for_again(
    elsewhere: Any, summing: Path, answers: Any
) -> None:
    far = opened(elsewhere.add("summing", summing))
    busy = [503, 429]

    def fault(call: Any) -> bool:
        if not busy:
            return False
        answers[0](call, busy.pop(), {"error": "later"})
        return True

    elsewhere.fault = fault
    assert far.run(ONES)["sum"].tolist() == [[2, 2, 2]]
    busy[:] = [503] * 3
    with pytest.raises(LinkError, match="503: later"):
        far.run(ONES)
    far.close()


def test_a_connection_closed_meanwhile_costs_no_try(elsewhere: Any, summing: Path) -> None:
    """As servers do after a while of silence."""
    far = opened(elsewhere.add("summing", summing), upstream_retries=0)
    far.run(ONES)
    far._caller._connection.sock.shutdown(socket.SHUT_RDWR)
    assert far.run(ONES)["sum"].tolist() == [[2, 2, 2]]
    far.close()


def test_its_words_about_a_bad_request_are_ours_and_no_reason_to_leave_it_alone(
    elsewhere: Any, summing: Path, answers: Any
) -> None:
    far = opened(elsewhere.add("summing", summing))
    wrong = True

    def fault(call: Any) -> bool:
        if wrong:
            answers[0](call, 400, {"error": "a: no\nsuch thing"})
        return wrong

    elsewhere.fault = fault
    for _ in range(5):
        with pytest.raises(ModelError, match="400: a: no such thing"):
            far.run(ONES)
    wrong = False
    assert far.ready
    assert far.run(ONES)["sum"].tolist() == [[2, 2, 2]]
    far.close()


def test_one_that_hangs_costs_no_more_than_the_time_limit_and_rests(
    elsewhere: Any, summing: Path
) -> None:
    far = opened(elsewhere.add("summing", summing), upstream_limit_ms=200.0)
    elsewhere.fault = lambda _: time.sleep(3.0) or True
    for _ in range(3):
        with pytest.raises(LinkError, match=r"in time|timed out"):
            far.run(ONES)
    assert not far.ready
    with pytest.raises(LinkError, match="does not answer, asked again in"):
        far.run(ONES)
    far.close()


def test_one_that_comes_back_is_asked_again_after_a_rest(
    make_elsewhere: Callable[..., Any], summing: Path
) -> None:
    first = make_elsewhere()
    far = opened(first.add("summing", summing))
    first.stop()
    far.close()  # the server's thread of this connection lives on
    with pytest.raises(LinkError):
        far.run(ONES)
    assert not far.ready
    second = make_elsewhere(first.port)
    second.add("summing", summing)
    until_s = time.monotonic() + 10 * REST_S
    while not far.ready and time.monotonic() < until_s:
        time.sleep(0.05)
    assert far.run(ONES)["sum"].tolist() == [[2, 2, 2]]
    far.close()


HOSTILE = [
    (b"", {}, "no.* one of /infer|not one of /infer"),
    (b"{}", {}, "not one of /infer"),
    (b'{"outputs": []}', {}, "gave no sum"),
    (b'{"outputs": 3}', {}, "list of objects"),
    (b'{"outputs": [{"name": "sum", "datatype": "FP32", "shape": [1]}]}', {}, "numbers in data"),
    (
        b'{"outputs": [{"name": "sum", "datatype": "FP32", "shape": [2], "data": [1, 2]}]}',
        {},
        "expected sum FP32",
    ),
    (b"[" * 50_000, {}, "not one of /infer"),
    (b"{}", {"Inference-Header-Content-Length": "9" * 30}, "got '999"),
    (bytes(9000), {}, "more than 8192 bytes"),
]


@pytest.mark.parametrize(("body", "headers", "why"), HOSTILE)
def test_an_answer_that_makes_no_sense_is_one_error(
    elsewhere: Any, summing: Path, answers: Any, body: bytes, headers: Any, why: str
) -> None:
    limit = 8192 if len(body) == 9000 else 100_000
    far = opened(elsewhere.add("summing", summing), body_bytes_max=limit)
    elsewhere.fault = lambda call: answers[1](call, 200, body, headers) or True
    with pytest.raises(ModelError, match=why):
        far.run(ONES)
    elsewhere.fault = lambda _: False
    assert far.run(ONES)["sum"].tolist() == [[2, 2, 2]]
    far.close()


def test_one_that_is_not_there_or_has_no_such_model_is_one_line(
    elsewhere: Any, summing: Path
) -> None:
    url = elsewhere.add("summing", summing)
    with pytest.raises(ModelError, match="404: no model other"):
        opened(url.replace("summing", "other"))
    elsewhere.stop()
    with pytest.raises(LinkError, match="refused"):
        opened(url)


@pytest.fixture
def call(keys: Path, tls: Any) -> Callable[..., httpx.Response]:
    """POSTs to a gateway with a token."""
    token = sign_token("cam-1", load_device_key(keys, "cam-1"), "mastra-gateway")

    def ask(gateway: EmbeddedGateway, path: str, body: Any = None) -> httpx.Response:
        return httpx.request(
            *("GET" if body is None else "POST", f"{gateway.url}{path}"),
            json=body,
            headers={"Authorization": f"Bearer {token}"},
            verify=tls,
            timeout=30.0,
        )

    return ask


def test_a_gateway_serves_both_tensors_and_a_detector_from_elsewhere(
    start_gateway: Callable[..., EmbeddedGateway],
    bundle: Path,
    elsewhere: Any,
    summing: Path,
    call: Callable[..., httpx.Response],
    connect_device: Callable[..., Any],
    picture: Callable[..., np.ndarray],
) -> None:
    cells = elsewhere.add("cells", bundle / "cloud.onnx")
    gateway = start_gateway(
        upstream=(f"white_cells={cells}",),
        tensors=(f"far={elsewhere.add('summing', summing)}",),
        tensors_instances=2,
    )
    told = call(gateway, "/v2/models/white_cells").json()["parameters"]["engine"]
    assert told.startswith("upstream on cloud")
    device = connect_device(gateway, stream="far")
    found, _ = device.infer(1, picture((2, 3)))
    assert found.to_result().detections.boxes.tolist() == [[16, 24, 24, 32]]
    row = {"shape": [1, 3], "datatype": "FP32", "data": [1, 2, 3]}
    body = {"inputs": [{"name": name, **row} for name in ("a", "b")]}
    answer = call(gateway, "/v2/models/far/versions/7/infer", body).json()
    assert answer["outputs"][0]["data"] == [2, 4, 6]
    elsewhere.fault = lambda one: one.connection.close() or True
    for _ in range(3):
        assert call(gateway, "/v2/models/far/infer", body).status_code == 503
    assert call(gateway, "/v2/models/far/ready").status_code == 503
    assert call(gateway, "/v2/models/white_cells/ready").status_code == 200
    gateway.stop()


def test_what_is_sent_at_once_is_joined_elsewhere_too(elsewhere: Any, summing: Path) -> None:
    import asyncio

    from mastra_ros.gateway.tensors.served import ServedTensors

    async def ask() -> None:
        far = opened(elsewhere.add("summing", summing))
        served = ServedTensors("far", "1", [far], size_max=8, delay_ms=50.0, queue_max=64)
        asked = [{n: np.full((1, 3), i, np.float32) for n in ("a", "b")} for i in range(8)]
        answers = await asyncio.gather(*map(served.infer, asked))
        assert [one["sum"][0, 0] for one in answers] == [2 * i for i in range(8)]
        assert await served.close()

    elsewhere.runs.clear()
    asyncio.run(ask())
    assert elsewhere.runs == [8]
