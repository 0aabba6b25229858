"""Requests whose JSON was seen before: what it says is kept, what follows it is read each time."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from mastra_ros.errors import ProtocolError
from mastra_ros.gateway.openinference.exchange import (
    FORM_BYTES_MAX,
    FORMS_MAX,
    _forms,
    read_request,
    write_request,
)

KNOWN = {"a": ("UINT8",), "b": ("BYTES",)}


def body_of(value: int, text: bytes = b"text") -> tuple[bytes, int]:
    inputs = {"a": np.full((2, 3), value, np.uint8), "b": np.array([text], object)}
    return write_request(inputs, ["x", "y"])


def test_each_request_has_its_own_tensors() -> None:
    for value in (1, 2, 250):
        read = read_request(*body_of(value, b"%04d" % value), KNOWN)
        assert read.inputs["a"].tolist() == [[value] * 3] * 2
        assert read.inputs["b"].tolist() == [b"%04d" % value]
        assert read.outputs == ("x", "y")
        assert read.binary == {"x": True, "y": True}


@pytest.mark.parametrize("change", [lambda body: body[:-1], lambda body: body + b"x"])
def test_tensors_that_do_not_fit_are_refused_as_the_first_time(change: Any) -> None:
    body, head = body_of(7)
    told = []
    for _ in range(2):
        _forms.clear()
        with pytest.raises(ProtocolError) as refused:
            read_request(change(body), head, KNOWN)
        told.append(str(refused.value))
    assert read_request(body, head, KNOWN).inputs["a"][0, 0] == 7
    with pytest.raises(ProtocolError) as refused:  # the JSON is known by now
        read_request(change(body), head, KNOWN)
    assert {str(refused.value)} == set(told)


def test_contents_are_checked_though_their_sizes_are_known() -> None:
    body, head = body_of(7)
    read_request(body, head, KNOWN)
    with pytest.raises(ProtocolError, match="element 0 of BYTES ends early"):
        read_request(body[:-8] + b"\xff\0\0\0text", head, KNOWN)


def test_what_is_right_for_one_model_is_not_for_another() -> None:
    body, head = body_of(7)
    read_request(body, head, KNOWN)
    for known in ({"a": ("UINT8",)}, {**KNOWN, "c": ("FP32",)}, {"a": ("INT8",), "b": ("BYTES",)}):
        with pytest.raises(ProtocolError, match="expected the input"):
            read_request(body, head, known)
    assert read_request(body, head, KNOWN).inputs["a"][0, 0] == 7


def test_numbers_in_json_and_ids_are_not_kept() -> None:
    _forms.clear()
    plain = {"name": "a", "datatype": "UINT8", "shape": [2], "data": [1, 2]}
    body = json.dumps({"inputs": [plain]}).encode()
    for _ in range(2):
        assert read_request(body, len(body), {"a": ("UINT8",)}).inputs["a"].tolist() == [1, 2]
    for name in ("7", "8"):
        parameters = {"binary_data_size": 2}
        told = {"name": "a", "datatype": "UINT8", "shape": [2], "parameters": parameters}
        text = json.dumps({"id": name, "inputs": [told]}).encode()
        assert read_request(text + b"ab", len(text), {"a": ("UINT8",)}).id == name
    assert not _forms


def test_what_is_kept_is_bounded() -> None:
    _forms.clear()
    parameters = {"binary_data_size": 1}
    for n in range(FORMS_MAX + 50):
        told = {"name": "a", "datatype": "UINT8", "shape": [1], "parameters": parameters}
        text = json.dumps({"inputs": [told], "parameters": {"n": n}}).encode()
        read_request(text + b"a", len(text), {"a": ("UINT8",)})
    assert 0 < len(_forms) <= FORMS_MAX
    before = len(_forms)
    text = text.ljust(FORM_BYTES_MAX + 1)
    read_request(text + b"a", len(text), {"a": ("UINT8",)})
    assert len(_forms) == before
