"""Addresses, the circuit breaker, and how requests are joined."""

from __future__ import annotations

import numpy as np
import pytest

from mastra_ros.errors import ConfigError, ModelError
from mastra_ros.gateway.tensors.address import Address
from mastra_ros.gateway.tensors.breaker import Breaker
from mastra_ros.gateway.tensors.joining import cut, groups_of, join, pad, padded_rows, part
from mastra_ros.gateway.tensors.opening import TensorModel


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://triton:8000/resnet", Address("http", "triton", 8000, "resnet")),
        ("http://triton/resnet/3", Address("http", "triton", 8000, "resnet", "3")),
        ("https://x.y/resnet/", Address("https", "x.y", 443, "resnet")),
        ("GRPC://triton/r%20n", Address("grpc", "triton", 8001, "r n")),
        ("grpcs://[::1]:9/r", Address("grpcs", "::1", 9, "r")),
        (
            "https://host/serving/v2/models/m/versions/2",
            Address("https", "host", 443, "m", "2", "/serving"),
        ),
    ],
)
def test_a_url_says_where_a_model_is(url: str, expected: Address) -> None:
    assert Address.parse(url) == expected


@pytest.mark.parametrize(
    "url",
    [
        *("ftp://host/m", "http://host", "http://host/", "http:///m", "http://host:99999/m"),
        *("http://me:secret@host/m", "http://host/m?x=1", "http://host/m#x", "http://a/b/c/d", ""),
    ],
)
def test_what_is_no_such_url_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="expected http"):
        Address.parse(url)


@pytest.mark.parametrize("text", ["", "x", "=f.onnx", "a b=f.onnx", "x:=f.onnx", "x=", "x:1="])
def test_an_entry_without_a_name_or_file_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="expected NAME"):
        TensorModel.parse(text)


def test_the_breaker_opens_after_failures_in_a_row_and_tries_again_after_a_rest() -> None:
    breaker = Breaker(2, 5.0)
    breaker.failed(1.0)
    breaker.succeeded()
    breaker.failed(2.0)
    assert breaker.admits(2.0)
    breaker.failed(3.0)
    assert not breaker.admits(7.9)
    assert breaker.admits(8.0)
    breaker.failed(8.0)
    assert not breaker.admits(12.9)
    breaker.succeeded()
    assert breaker.admits(8.1)


def rows(count: int, width: int = 3, start: int = 0) -> dict[str, np.ndarray]:
    made = np.arange(start, start + count * width, dtype=np.float32).reshape(count, width)
    return {"a": made, "b": -made}


def test_requests_of_one_shape_share_a_run_up_to_its_size() -> None:
    requests = [rows(2), rows(1, 4), rows(2), rows(5), rows(3), rows(9)]
    assert groups_of(requests, 8) == [[0, 2], [1], [3, 4], [5]]
    uneven = {"a": np.zeros((1, 3)), "b": np.zeros((2, 3))}
    assert groups_of([rows(1), uneven, rows(1)], 8) == [[0, 2], [1]]


def test_answers_are_parted_as_the_requests_were_joined() -> None:
    requests = [rows(2), rows(1, start=50)]
    joined = join(requests)
    assert joined["a"].shape == (3, 3)
    for one, answer in zip(requests, part(joined, requests), strict=True):
        np.testing.assert_array_equal(one["b"], answer["b"])
    with pytest.raises(ModelError, match="expected 3 rows"):
        part({"a": np.zeros((2, 3))}, requests)


def test_an_entry_may_say_its_instances_and_the_sizes_of_its_runs() -> None:
    assert TensorModel.parse("bert:2*3@16/4/4/1=/m/bert.onnx") == TensorModel(
        "bert", "2", "/m/bert.onnx", 3, (1, 4, 16)
    )
    assert TensorModel.parse("bert*1=f.pt2") == TensorModel("bert", "", "f.pt2", 1)
    assert TensorModel.parse("bert@8=http://a/b") == TensorModel("bert", "", "http://a/b", 0, (8,))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("x*0=f.onnx", "expected 1 to 64 instances, got 0"),
        ("x*65=f.onnx", "expected 1 to 64 instances, got 65"),
        ("x@0/4=f.onnx", "expected runs of at least one row, got 0"),
        ("x@=f.onnx", "expected NAME"),
        ("x*=f.onnx", "expected NAME"),
        ("x@4,8=f.onnx", "expected NAME"),
        ("x@4*2=f.onnx", "expected NAME"),
    ],
)
def test_an_entry_with_senseless_instances_or_sizes_is_refused(text: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        TensorModel.parse(text)


@pytest.mark.parametrize(
    ("rows", "sizes", "padded"),
    [(1, (), 1), (1, (1, 4), 1), (2, (1, 4), 4), (4, (1, 4), 4), (5, (1, 4), 5), (3, (8,), 8)],
)
def test_a_run_has_the_smallest_size_that_holds_its_rows(
    rows: int, sizes: tuple[int, ...], padded: int
) -> None:
    assert padded_rows(rows, sizes) == padded


def test_rows_that_are_made_up_are_the_last_one_again_and_their_outputs_are_cut_off() -> None:
    inputs = {"a": np.array([[1, 2], [3, 4]]), "b": np.array([5, 6])}
    padded = pad(inputs, 4)
    assert padded["a"].tolist() == [[1, 2], [3, 4], [3, 4], [3, 4]]
    assert padded["b"].tolist() == [5, 6, 6, 6]
    assert pad(inputs, 2) is inputs
    assert cut({"s": padded["b"] * 2}, 4, 2)["s"].tolist() == [10, 12]
    with pytest.raises(ModelError, match=r"s: expected 4 rows, got shape \[3\]"):
        cut({"s": np.zeros(3)}, 4, 2)
