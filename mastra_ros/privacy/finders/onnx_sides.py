"""Frees the sides that an ONNX file has fixed, without the package onnx (devices have none).

CenterFace's file says 10x3x32x32 though its network takes any size, and names its weights as inputs
as well, so that ONNX Runtime folds no constants. Both are entries at the top of the graph; the rest
of the file is copied as it is.
"""

from __future__ import annotations

from collections.abc import Iterator

from ...errors import ModelError

_MODEL_GRAPH = 7
_GRAPH_INITIALIZER, _GRAPH_INPUT, _GRAPH_OUTPUT, _GRAPH_VALUE_INFO = 5, 11, 12, 13
_TENSOR_NAME, _VALUE_NAME = 8, 1
_FLOAT = 1
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def with_free_sides(model: bytes, channels: dict[str, int]) -> bytes:
    """The model whose inputs and outputs are float (N, channels, height, width) of any size.

    channels: of each input and output, by name. ModelError where the file is no such model.
    """
    try:
        return b"".join(
            _field(number, _graph(value, channels)) if number == _MODEL_GRAPH else raw
            for number, value, raw in _fields(model)
        )
    except (IndexError, ValueError) as error:
        raise ModelError(f"not an ONNX file: {error}") from error


def _graph(graph: bytes, channels: dict[str, int]) -> bytes:
    weights = {
        _text(value, _TENSOR_NAME)
        for number, value, _ in _fields(graph)
        if number == _GRAPH_INITIALIZER
    }
    made = []
    for number, value, raw in _fields(graph):
        if number == _GRAPH_VALUE_INFO:
            continue
        if number in (_GRAPH_INPUT, _GRAPH_OUTPUT):
            name = _text(value, _VALUE_NAME)
            if name in weights:
                continue
            if name not in channels:
                raise ValueError(f"an input or output {name!r} was not expected")
            raw = _field(number, _value(name, channels[name], f"{name}."))
        made.append(raw)
    return b"".join(made)


def _value(name: str, channels: int, prefix: str) -> bytes:
    """A ValueInfoProto of a float tensor."""
    sides = [_field(2, f"{prefix}{side}".encode()) for side in ("n", "", "high", "wide")]
    sides[1] = _varint(1 << 3) + _varint(channels)
    shape = b"".join(_field(1, side) for side in sides)
    tensor = _varint(1 << 3) + _varint(_FLOAT) + _field(2, shape)
    return _field(_VALUE_NAME, name.encode()) + _field(2, _field(1, tensor))


def _fields(message: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Each field of a protobuf message: its number, its bytes, and all of it as it stands."""
    at = 0
    while at < len(message):
        start = at
        key, at = _read(message, at)
        number, kind = key >> 3, key & 7
        if kind == _BYTES:
            size, at = _read(message, at)
            value = message[at : at + size]
            if len(value) != size:
                raise ValueError("it is cut short")
            at += size
        elif kind == _VARINT:
            value = b""
            _, at = _read(message, at)
        elif kind in (_FIXED64, _FIXED32):
            value = b""
            at += 8 if kind == _FIXED64 else 4
        else:
            raise ValueError(f"a field of kind {kind}")
        yield number, value, message[start:at]


def _text(message: bytes, wanted: int) -> str:
    for number, value, _ in _fields(message):
        if number == wanted:
            return value.decode()
    return ""


def _read(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def _varint(value: int) -> bytes:
    made = bytearray()
    while value > 0x7F:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    made.append(value)
    return bytes(made)


def _field(number: int, value: bytes) -> bytes:
    return _varint(number << 3 | _BYTES) + _varint(len(value)) + value
