"""Requests and answers of `/infer` over HTTP: JSON, behind which tensors may follow as bytes."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from ...errors import ProtocolError
from .datatypes import (
    NAMES,
    Array,
    TensorSpec,
    check_shape,
    from_bytes,
    from_json,
    to_bytes,
    to_json,
)

BINARY_HEADER = "inference-header-content-length"
"""The header of requests and answers that says how much of the body is JSON."""
ID_MAX = 256
FORM_BYTES_MAX = 1024
FORMS_MAX = 512
_forms: dict[bytes, _Form] = {}
_to_json = msgspec.json.encode
_from_json = msgspec.json.decode
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class InferRequest:
    """The tensors that came, and how the answer is wanted."""

    inputs: Mapping[str, Array]
    outputs: tuple[str, ...] = ()  # names; none: all of them
    id: str = ""
    binary: Mapping[str, bool] = field(default_factory=dict)  # of outputs that say so themselves
    binary_otherwise: bool = False

    @property
    def nbytes(self) -> int:
        """What the tensors hold."""
        return sum(nbytes_of(array) for array in self.inputs.values())


@dataclass(frozen=True)
class InferAnswer:
    """What a model gave."""

    model: str
    version: str
    outputs: Mapping[str, Array]


def nbytes_of(array: Array) -> int:
    """What an array holds, texts included."""
    if array.dtype == object:
        return array.nbytes + sum(len(one) for one in array.ravel().tolist())
    return array.nbytes


@dataclass(frozen=True)
class _Form:
    """What JSON says of a request whose tensors are all bytes: a client's is often the same."""

    known: Mapping[str, Collection[str]]  # of the model that it was found good for
    tensors: tuple[tuple[str, str, tuple[int, ...], int], ...]
    nbytes: int  # of the tensors together
    wanted: InferRequest  # without its tensors

    def filled(self, data: memoryview) -> InferRequest:
        """The request with these tensors. Raises ProtocolError."""
        inputs, at = {}, 0
        for name, datatype, shape, size in self.tensors:
            inputs[name] = from_bytes(name, datatype, shape, data[at : at + size])
            at += size
        wanted = self.wanted
        return InferRequest(
            inputs, wanted.outputs, wanted.id, wanted.binary, wanted.binary_otherwise
        )


def read_request(
    body: bytes, header_bytes: int, known: Mapping[str, Collection[str]]
) -> InferRequest:
    """A request out of its body, of which so many bytes are JSON. Raises ProtocolError.

    `known` has the datatypes that each of the model's inputs may have.
    """
    text = body[:header_bytes]
    form = _forms.get(text)
    if form is not None and form.known == known and form.nbytes == len(body) - header_bytes:
        return form.filled(memoryview(body)[header_bytes:])
    request, tensors = _parsed(text, body, known)
    small = len(text) <= FORM_BYTES_MAX and not request.id  # which is another each time
    if small and all("data" not in one for one in tensors):
        if len(_forms) >= FORMS_MAX:
            _forms.clear()
        _forms[text] = _form_of(request, tensors, known, len(body) - header_bytes)
    return request


def _form_of(
    request: InferRequest,
    tensors: Sequence[dict[str, Any]],
    known: Mapping[str, Collection[str]],
    nbytes: int,
) -> _Form:
    told = (
        (
            *(one["name"], one["datatype"], request.inputs[one["name"]].shape),
            one["parameters"]["binary_data_size"],
        )
        for one in tensors
    )
    return _Form(known, tuple(told), nbytes, replace(request, inputs={}))


def _parsed(
    text: bytes, body: bytes, known: Mapping[str, Collection[str]]
) -> tuple[InferRequest, list[dict[str, Any]]]:
    """A request, and its tensors as JSON has them."""
    try:
        document = _loads(text)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"body: not JSON ({type(error).__name__})") from None
    if not isinstance(document, dict):
        raise ProtocolError("body: expected an object with `inputs`")
    rest = memoryview(body)[len(text) :]
    tensors = _objects_of(document, "inputs")
    check_known([(one.get("name"), one.get("datatype")) for one in tensors], known)
    inputs: dict[str, Array] = {}
    for tensor in tensors:
        inputs[tensor["name"]], rest = _tensor(tensor["name"], tensor, rest)
    if len(rest):
        raise ProtocolError(f"body: {len(rest)} bytes follow the inputs")
    wanted = _objects_of(document, "outputs")
    if not all(isinstance(one.get("name"), str) for one in wanted):
        raise ProtocolError("outputs: expected a name of each")
    binary = {one["name"]: _flag(one, "binary_data", None) for one in wanted}
    if any(_parameters(one).get("classification") for one in wanted):
        raise ProtocolError("outputs: the extension `classification` is not offered")
    request = InferRequest(
        inputs,
        tuple(binary),
        id_of(document.get("id", "")),
        {name: said for name, said in binary.items() if said is not None},
        bool(_flag(document, "binary_data_output", False)),
    )
    return request, tensors


def _loads(text: bytes) -> Any:
    """As `json.loads`, which has the last word on what the quicker reader does not take."""
    try:
        return _from_json(text)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return json.loads(text)


def write_answer(request: InferRequest, answer: InferAnswer) -> tuple[bytes, int]:
    """The body of an answer, and how much of it is JSON: 0 where all of it is. ProtocolError."""
    outputs, tail = [], []
    for name in request.outputs or tuple(answer.outputs):
        array = answer.outputs[name]
        told: dict[str, Any] = {
            "name": name,
            "datatype": NAMES[array.dtype],
            "shape": list(array.shape),
        }
        if request.binary.get(name, request.binary_otherwise):
            tail.append(to_bytes(array))
            told["parameters"] = {"binary_data_size": len(tail[-1])}
        else:
            told["data"] = to_json(array)
        outputs.append(told)
    document = {"model_name": answer.model, "model_version": answer.version}
    document |= {"id": request.id} if request.id else {}
    head = _to_json({**document, "outputs": outputs})
    return head + b"".join(tail), len(head) if tail else 0


def write_request(inputs: Mapping[str, Array], outputs: Sequence[str]) -> tuple[bytes, int]:
    """The body of a request whose tensors, and those of its answer, are bytes; length of JSON."""
    tensors, tail = [], []
    for name, array in inputs.items():
        tail.append(to_bytes(array))
        tensors.append(
            {
                "name": name,
                "datatype": NAMES[array.dtype],
                "shape": list(array.shape),
                "parameters": {"binary_data_size": len(tail[-1])},
            }
        )
    wanted = [{"name": name, "parameters": {"binary_data": True}} for name in outputs]
    head = json.dumps({"inputs": tensors, "outputs": wanted}).encode()
    return head + b"".join(tail), len(head)


def read_answer(body: bytes, header_bytes: int) -> dict[str, Array]:
    """The outputs out of the body of an answer. Raises ProtocolError."""
    try:
        document = json.loads(body[:header_bytes])
        tensors = document["outputs"]
    except (ValueError, RecursionError, KeyError, TypeError) as error:
        raise ProtocolError(f"answer: not one of /infer ({type(error).__name__})") from None
    rest = memoryview(body)[header_bytes:]
    outputs: dict[str, Array] = {}
    for tensor in _objects_of({"outputs": tensors}, "outputs"):
        name = str(tensor.get("name"))
        outputs[name], rest = _tensor(name, tensor, rest)
    return outputs


def check_known(given: Sequence[tuple[Any, Any]], known: Mapping[str, Collection[str]]) -> None:
    """Raise ProtocolError unless these are the model's inputs, by name and datatype, once each."""
    names = [name for name, _ in given]
    if (
        len(names) == len(known)
        and all(isinstance(name, str) and name in known for name in names)
        and len(set(names)) == len(names)
        and all(isinstance(kind, str) and kind in known[name] for name, kind in given)
    ):
        return
    told = ", ".join(f"`{name}` of datatype {' or '.join(known[name])}" for name in known)
    got = ", ".join(f"{name!s:.50} of {kind!s:.20}" for name, kind in given[:8]) or "none"
    raise ProtocolError(f"inputs: expected the input{'s' * (len(known) > 1)} {told}, got {got}")


def check_shapes(specs: Sequence[TensorSpec], inputs: Mapping[str, Array]) -> None:
    """Raise ProtocolError unless the inputs of a model have its shapes."""
    for spec in specs:
        array = inputs[spec.name]
        if not spec.fits(array):
            got = f"{NAMES[array.dtype]} {list(array.shape)}"
            raise ProtocolError(f"inputs: expected {spec}, got {got}")


def check_outputs(known: Sequence[str], wanted: Sequence[str]) -> None:
    """Raise ProtocolError unless a model has all the outputs that are wanted."""
    if not set(wanted) <= set(known):
        raise ProtocolError(f"outputs: expected some of {', '.join(known)}")


def id_of(given: Any) -> str:
    """The request's own id, which comes back in the answer; text that is no Unicode cannot."""
    text = str(given)[:ID_MAX]
    if _SURROGATE.search(text):
        raise ProtocolError("id: expected a text in Unicode")
    return text


def _tensor(name: str, tensor: dict[str, Any], rest: memoryview) -> tuple[Array, memoryview]:
    shape = check_shape(name, tensor.get("shape"))
    datatype = tensor.get("datatype")
    size = _parameters(tensor).get("binary_data_size")
    if _parameters(tensor).get("shared_memory_region") is not None:
        raise ProtocolError(f"{name}: shared memory is not offered")
    if size is None:
        return from_json(name, str(datatype), shape, tensor.get("data")), rest
    if type(size) is not int or not 0 <= size <= len(rest):
        raise ProtocolError(f"{name}: expected {size} bytes of data, got {len(rest)}")
    return from_bytes(name, str(datatype), shape, rest[:size]), rest[size:]


def _objects_of(document: dict[str, Any], key: str) -> list[dict[str, Any]]:
    found = document.get(key, [])
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise ProtocolError(f"{key}: expected a list of objects")
    return found


def _parameters(owner: dict[str, Any]) -> dict[str, Any]:
    found = owner.get("parameters", {})
    return found if isinstance(found, dict) else {}


def _flag(owner: dict[str, Any], name: str, otherwise: bool | None) -> bool | None:
    value = _parameters(owner).get(name, otherwise)
    return otherwise if value is None else bool(value)
