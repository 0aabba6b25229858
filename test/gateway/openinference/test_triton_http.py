"""NVIDIA's own HTTP client speaks with the gateway as with a Triton."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable
from typing import Any

import cv2
import httpx
import numpy as np
import pytest

pytest.importorskip("tritonclient.http", reason="tritonclient[http] is not installed")

from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput
from tritonclient.utils import InferenceServerException

Triton = Callable[..., Any]
Picture = Callable[..., np.ndarray]


def given(name: str, array: np.ndarray, kind: str, *, binary: bool = True) -> InferInput:
    made = InferInput(name, list(array.shape), kind)
    made.set_data_from_numpy(array, binary_data=binary)
    return made


def summands(rows: int = 2, *, binary: bool = True) -> list[InferInput]:
    a = np.arange(rows * 3, dtype=np.float32).reshape(rows, 3)
    return [given("a", a, "FP32", binary=binary), given("b", a.astype(np.int64) * 2, "INT64")]


def test_it_finds_out_what_is_served(triton: Triton) -> None:
    assert triton("is_server_live")
    assert triton("is_server_ready")
    assert triton("is_model_ready", "sums")
    assert triton("is_model_ready", "sums", "2")
    assert not triton("is_model_ready", "nothing")
    assert "model_repository" in triton("get_server_metadata")["extensions"]
    told = triton("get_model_metadata", "sums")
    assert told["versions"] == ["1", "2"]
    assert told["platform"] == "onnxruntime"
    assert told["inputs"][1] == {"name": "b", "datatype": "INT64", "shape": [-1, 3]}
    config = triton("get_model_config", "sums")
    assert config["max_batch_size"] == GatewayConfig().batch_size_max
    assert config["output"][1] == {"name": "big", "data_type": "TYPE_BOOL", "dims": [3]}
    assert triton("get_model_config", "white_cells")["max_batch_size"] == 0
    index = {
        (one["name"], one["version"], one["state"]) for one in triton("get_model_repository_index")
    }
    assert ("sums", "2", "READY") in index
    assert ("white_cells", "1.2.3", "READY") in index


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("named", [True, False])
def test_tensors_go_both_ways_as_bytes_and_as_json(
    triton: Triton, binary: bool, named: bool
) -> None:
    """Without names of outputs the client asks for all of them as binary data."""
    outputs = [InferRequestedOutput(n, binary_data=binary) for n in ("big", "sum")]
    options = {"outputs": outputs} if named else {}
    answer = triton("infer", "sums", summands(binary=binary), request_id="mine", **options)
    expected = np.arange(6, dtype=np.float32).reshape(2, 3) * 3
    np.testing.assert_array_equal(answer.as_numpy("sum"), expected)
    np.testing.assert_array_equal(answer.as_numpy("big"), expected > 10)
    assert answer.get_response()["id"] == "mine"
    assert answer.get_response()["model_version"] == "1"


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_bodies_are_compressed_both_ways(triton: Triton, coding: str) -> None:
    answer = triton(
        *("infer", "sums", summands(200)),
        request_compression_algorithm=coding,
        response_compression_algorithm=coding,
    )
    assert answer.as_numpy("sum")[199, 2] == 599 * 3


def test_several_versions_are_served_and_the_first_is_the_default(triton: Triton) -> None:
    one, two = (triton("infer", "sums", summands(), model_version=v) for v in ("1", "2"))
    np.testing.assert_array_equal(two.as_numpy("sum"), one.as_numpy("sum") * 2)
    with pytest.raises(InferenceServerException, match="version 3 is not served, 1, 2 is"):
        triton("infer", "sums", summands(), model_version="3")


def test_texts_are_tensors_too(triton: Triton) -> None:
    texts = np.array(["Zoll", "größer", ""], np.object_)
    answer = triton("infer", "texts", [given("text", texts, "BYTES")])
    assert [one.decode() for one in answer.as_numpy("same")] == ["Zoll", "größer", ""]
    told = [InferRequestedOutput("same", binary_data=False)]
    answer = triton("infer", "texts", [given("text", texts, "BYTES", binary=False)], outputs=told)
    assert list(answer.as_numpy("same")) == ["Zoll", "größer", ""]


def test_a_detector_takes_pixels_or_the_bytes_of_a_file(triton: Triton, picture: Picture) -> None:
    pixels = picture((2, 3), (5, 5))
    answers = [triton("infer", "white_cells", [given("image", pixels, "UINT8")])]
    for kind in (".jpg", ".png", ".webp"):
        data = cv2.imencode(kind, pixels)[1].tobytes()
        file = np.array([data], np.object_)
        answers.append(triton("infer", "white_cells", [given("image", file, "BYTES")]))
    for answer in answers:
        boxes = sorted(answer.as_numpy("boxes").tolist())
        assert boxes == [[16, 24, 24, 32], [40, 40, 48, 48]]
        assert answer.as_numpy("classes").dtype == np.int32


def test_a_file_in_json_is_base64(
    serving: Any, headers: dict[str, str], tls: Any, picture: Picture
) -> None:
    import base64

    data = base64.b64encode(cv2.imencode(".jpg", picture((2, 3)))[1].tobytes()).decode()
    tensor = {"name": "image", "shape": [1], "datatype": "BYTES", "data": [data]}
    answer = httpx.post(
        f"{serving.url}/v2/models/white_cells/infer",
        json={"inputs": [tensor]},
        headers=headers,
        verify=tls,
    )
    assert answer.json()["outputs"][0]["data"] == [16, 24, 24, 32]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"no picture", "expected jpeg, png or webp"),
        (b"", "expected jpeg"),
        (b"RIFF\x10\x00\x00\x00WEBP", "cut short"),
        (b"\xff\xd8\xff\xe0", "image"),
    ],
)
def test_bytes_that_are_no_picture_are_refused(triton: Triton, data: bytes, why: str) -> None:
    with pytest.raises(InferenceServerException, match=why):
        triton("infer", "white_cells", [given("image", np.array([data], np.object_), "BYTES")])


def test_a_picture_larger_than_allowed_is_refused_before_it_is_decoded(triton: Triton) -> None:
    data = cv2.imencode(".png", np.zeros((2000, 1000), np.uint8))[1].tobytes()
    with pytest.raises(InferenceServerException, match="at most 1000000 px, got 1000x2000"):
        triton("infer", "white_cells", [given("image", np.array([data], np.object_), "BYTES")])


@pytest.mark.parametrize(
    ("inputs", "why"),
    [
        ([("a", np.zeros((2, 3), np.float32), "FP32")], "expected the inputs"),
        ([("a", np.zeros((2, 3), np.float32), "FP32")] * 2, "expected the inputs"),
        (
            [
                ("a", np.zeros((2, 3), np.float64), "FP64"),
                ("b", np.zeros((2, 3), np.int64), "INT64"),
            ],
            "got a of FP64",
        ),
        (
            [
                ("a", np.zeros((2, 4), np.float32), "FP32"),
                ("b", np.zeros((2, 4), np.int64), "INT64"),
            ],
            r"expected a FP32 \[-1, 3\], got FP32 \[2, 4\]",
        ),
        (
            [
                ("a", np.zeros((1, 3), np.float32), "FP32"),
                ("b", np.zeros((2, 3), np.int64), "INT64"),
            ],
            None,
        ),
    ],
)
def test_tensors_that_do_not_fit_are_refused_and_the_next_are_answered(
    triton: Triton, inputs: list[Any], why: str | None
) -> None:
    """Rows that differ are the model's own business: it broadcasts them."""
    made = [given(*one) for one in inputs]
    if why is None:
        assert triton("infer", "sums", made).as_numpy("sum").shape == (2, 3)
    else:
        with pytest.raises(InferenceServerException, match=why):
            triton("infer", "sums", made)
    assert triton("infer", "sums", summands()).as_numpy("sum").shape == (2, 3)


def test_what_is_not_offered_says_so(triton: Triton) -> None:
    for call in (("load_model", "sums"), ("unload_model", "sums")):
        with pytest.raises(InferenceServerException, match="by the gateway's parameters alone"):
            triton(*call)
    outputs = [InferRequestedOutput("sum", class_count=2)]
    with pytest.raises(InferenceServerException, match="`classification` is not offered"):
        triton("infer", "sums", summands(), outputs=outputs)


def test_statistics_count_what_was_inferred(triton: Triton) -> None:
    before = triton("get_inference_statistics", "sums", "2")["model_stats"][0]
    for _ in range(3):
        triton("infer", "sums", summands(), model_version="2")
    (after,) = triton("get_inference_statistics", "sums", "2")["model_stats"]
    assert after["inference_count"] - before["inference_count"] == 3
    spent = after["inference_stats"]
    assert spent["success"]["count"] == after["inference_count"]
    assert spent["compute_infer"]["ns"] > 0
    assert after["last_inference"] > 1e12
    names = {one["name"] for one in triton("get_inference_statistics")["model_stats"]}
    assert names == {"sums", "texts", "white_cells"}


def test_requests_at_once_share_runs(triton: Triton, serving: Any, keys: Any, headers: Any) -> None:
    """As many as the clients send at once; each gets its own rows."""
    from mastra_ros.protocol.tls import client_context

    client = InferenceServerClient(
        serving.url.removeprefix("https://"),
        ssl=True,
        ssl_context_factory=lambda: client_context(keys / "ca.crt"),
        concurrency=8,
    )
    asked = []
    for number in range(24):
        a = np.full((1, 3), number, np.float32)
        tensors = [given("a", a, "FP32"), given("b", np.ones((1, 3), np.int64), "INT64")]
        asked.append(client.async_infer("sums", tensors, headers=dict(headers)))
    for number, one in enumerate(asked):
        assert one.get_result().as_numpy("sum").tolist() == [[number + 1] * 3]
    client.close()


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("gzip;q=0, deflate", "deflate"),
        ("br, gzip", "gzip"),
        ("gzip; q=0.0", None),
        ("identity", None),
    ],
)
def test_an_answer_is_coded_as_the_client_accepts(
    serving: Any, headers: dict[str, str], tls: Any, accepted: str, coding: str | None
) -> None:
    rows = [[1.0] * 3] * 200
    body = {
        "inputs": [
            {"name": "a", "shape": [200, 3], "datatype": "FP32", "data": rows},
            {"name": "b", "shape": [200, 3], "datatype": "INT64", "data": [[1] * 3] * 200},
        ]
    }
    with httpx.stream(
        *("POST", f"{serving.url}/v2/models/sums/infer"),
        json=body,
        headers={**headers, "Accept-Encoding": accepted},
        verify=tls,
    ) as answer:
        raw = b"".join(answer.iter_raw())
    assert answer.headers.get("content-encoding") == coding
    undo = {"gzip": gzip.decompress, "deflate": zlib.decompress, None: bytes}[coding]
    assert json.loads(undo(raw))["outputs"][0]["data"] == [2.0] * 600
