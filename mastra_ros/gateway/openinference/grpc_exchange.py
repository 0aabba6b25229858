"""Requests and answers of ModelInfer, as messages of gRPC."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from ...errors import ProtocolError
from .datatypes import (
    BYTES,
    NAMES,
    Array,
    check_shape,
    dtype_of,
    elements,
    from_bytes,
    from_json,
    to_bytes,
)
from .exchange import InferAnswer, InferRequest, check_known, id_of
from .messages import CONTENTS, message


def read_message(asked: Any, known: Mapping[str, Collection[str]]) -> InferRequest:
    """A request out of ModelInferRequest. Raises ProtocolError."""
    check_known([(one.name, one.datatype) for one in asked.inputs], known)
    inputs = dict(_tensors(asked.inputs, asked.raw_input_contents))
    return InferRequest(inputs, tuple(one.name for one in asked.outputs), id_of(asked.id))


def write_message(request: InferRequest, answer: InferAnswer) -> Any:
    """ModelInferResponse, whose tensors are raw."""
    names = request.outputs or tuple(answer.outputs)
    made = message("ModelInferResponse")(
        model_name=answer.model, model_version=answer.version, id=request.id
    )
    _put(made.outputs, made.raw_output_contents, {name: answer.outputs[name] for name in names})
    return made


def write_asked(
    model: str, version: str, inputs: Mapping[str, Array], outputs: Sequence[str]
) -> Any:
    """ModelInferRequest, whose tensors are raw."""
    made = message("ModelInferRequest")(model_name=model, model_version=version)
    _put(made.inputs, made.raw_input_contents, inputs)
    for name in outputs:
        made.outputs.add(name=name)
    return made


def read_answered(answer: Any) -> dict[str, Array]:
    """The outputs out of ModelInferResponse. Raises ProtocolError."""
    return dict(_tensors(answer.outputs, answer.raw_output_contents))


def _put(tensors: Any, raw: Any, arrays: Mapping[str, Array]) -> None:
    for name, array in arrays.items():
        tensors.add(name=name, datatype=NAMES[array.dtype], shape=array.shape)
        raw.append(to_bytes(array))


def _tensors(tensors: Any, raw: Any) -> list[tuple[str, Array]]:
    """Every tensor; either all of them are raw, or none."""
    if len(raw) not in (0, len(tensors)):
        raise ProtocolError(f"raw contents: expected {len(tensors)} or none, got {len(raw)}")
    found = []
    for at, one in enumerate(tensors):
        name, datatype, shape = one.name, one.datatype, check_shape(one.name, list(one.shape))
        if raw:
            if one.HasField("contents"):
                raise ProtocolError(f"{name}: expected contents or raw contents, got both")
            found.append((name, from_bytes(name, datatype, shape, raw[at])))
        else:
            found.append((name, _plain(name, datatype, shape, one.contents)))
    return found


def _plain(name: str, datatype: str, shape: tuple[int, ...], contents: Any) -> Array:
    dtype_of(name, datatype)
    if datatype not in CONTENTS:
        raise ProtocolError(f"{name}: {datatype} is sent as raw contents only")
    values = getattr(contents, CONTENTS[datatype])
    if datatype != BYTES:
        return from_json(name, datatype, shape, np.array(values))
    if len(values) != elements(shape):
        raise ProtocolError(f"{name}: expected {elements(shape)} elements, got {len(values)}")
    array = np.empty(len(values), np.object_)
    array[:] = list(values)
    return array.reshape(shape)
