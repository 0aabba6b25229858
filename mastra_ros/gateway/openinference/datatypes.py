"""Tensors of the protocol: datatypes, and their values as bytes and as JSON."""

from __future__ import annotations

import struct
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import ProtocolError

Array = NDArray[Any]

BYTES = "BYTES"
"""Texts or files, one an element; as bytes each with its length of 4 bytes, little-endian."""
DTYPES: dict[str, np.dtype[Any]] = {
    "BOOL": np.dtype(np.bool_),
    **{f"UINT{bits}": np.dtype(f"u{bits // 8}") for bits in (8, 16, 32, 64)},
    **{f"INT{bits}": np.dtype(f"i{bits // 8}") for bits in (8, 16, 32, 64)},
    **{f"FP{bits}": np.dtype(f"f{bits // 8}") for bits in (16, 32, 64)},
    BYTES: np.dtype(np.object_),
}
NAMES = {dtype: name for name, dtype in DTYPES.items()}
RANK_MAX = 16
ELEMENTS_MAX = 2**31 - 1
_LENGTH = struct.Struct("<I")
LITTLE = sys.byteorder == "little"


@dataclass(frozen=True)
class TensorSpec:
    """An input or output of a served model; a side of -1 may have any size."""

    name: str
    datatype: str
    shape: tuple[int, ...]

    def fits(self, array: Array) -> bool:
        """Whether an array may be this tensor."""
        return (
            array.dtype == DTYPES[self.datatype]
            and array.ndim == len(self.shape)
            and all(side in (-1, got) for side, got in zip(self.shape, array.shape, strict=True))
        )

    def to_json(self) -> dict[str, Any]:
        """As metadata tell it."""
        return {"name": self.name, "datatype": self.datatype, "shape": list(self.shape)}

    def __str__(self) -> str:
        return f"{self.name} {self.datatype} {list(self.shape)}"


def check_shape(name: str, shape: Any) -> tuple[int, ...]:
    """The shape of a tensor that was sent. Raises ProtocolError."""
    sides = list(shape) if isinstance(shape, Sequence) and not isinstance(shape, str) else None
    if (
        sides is None
        or len(sides) > RANK_MAX
        or not all(type(side) is int and 0 <= side <= ELEMENTS_MAX for side in sides)
        or elements(sides) > ELEMENTS_MAX
    ):
        raise ProtocolError(
            f"{name}: expected a shape of up to {RANK_MAX} sides, got {shape!r:.80}"
        )
    return tuple(sides)


def elements(shape: Sequence[int]) -> int:
    """How many values that is; of Python's integers, which do not overflow."""
    count = 1
    for side in shape:
        count *= side
    return count


def from_bytes(name: str, datatype: str, shape: tuple[int, ...], raw: bytes | memoryview) -> Array:
    """An array (a view where it can be one) out of its bytes. Raises ProtocolError."""
    if datatype == BYTES:
        return _texts_from_bytes(name, shape, memoryview(raw))
    dtype = dtype_of(name, datatype)
    expected = elements(shape) * dtype.itemsize
    if len(raw) != expected:
        raise ProtocolError(f"{name}: expected {expected} bytes of data, got {len(raw)}")
    if datatype == "BOOL" and len(raw) and np.frombuffer(raw, np.uint8).max() > 1:
        raise ProtocolError(f"{name}: expected bytes of 0 or 1 for BOOL")
    return np.frombuffer(raw, dtype.newbyteorder("<")).astype(dtype, copy=False).reshape(shape)


def to_bytes(array: Array) -> bytes:
    """The bytes of an array."""
    if array.dtype == np.object_:
        return b"".join(_LENGTH.pack(len(one)) + one for one in array.ravel().tolist())
    if not LITTLE:
        array = array.astype(array.dtype.newbyteorder("<"))
    return array.tobytes()


def from_json(name: str, datatype: str, shape: tuple[int, ...], data: Any) -> Array:
    """An array out of a list, nested or flat, of JSON. Raises ProtocolError."""
    size = elements(shape)
    if datatype == BYTES:
        texts = _flat(data)
        if texts is None or not all(isinstance(one, str) for one in texts):
            raise ProtocolError(f"{name}: expected texts in data")
        return _objects(name, shape, [one.encode("utf-8", "replace") for one in texts])
    dtype = dtype_of(name, datatype)
    try:
        values = np.asarray(data)
        if values.dtype.kind not in "biuf":
            raise TypeError(values.dtype)
    except (TypeError, ValueError, OverflowError, RecursionError):
        raise ProtocolError(f"{name}: expected numbers in data") from None
    values = values.ravel()
    if values.size != size:
        raise ProtocolError(f"{name}: expected {size} numbers in data, got {values.size}")
    _check_range(name, dtype, values)
    with np.errstate(over="ignore"):
        return values.astype(dtype).reshape(shape)


def to_json(array: Array) -> list[Any]:
    """The values of an array, flat, as JSON has them. Raises ProtocolError for bytes that no text.

    A number that JSON does not know (NaN, an infinity) is null.
    """
    if array.dtype == np.object_:
        try:
            return [one.decode("utf-8") for one in array.ravel().tolist()]
        except UnicodeDecodeError:
            raise ProtocolError("an output is no text: ask for it as binary data") from None
    values: list[Any] = array.ravel().tolist()
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        return [value if np.isfinite(value) else None for value in values]
    return values


def dtype_of(name: str, datatype: Any) -> np.dtype[Any]:
    """The type of an array's values. Raises ProtocolError for a datatype that is unknown."""
    if not isinstance(datatype, str) or datatype not in DTYPES:
        known = ", ".join(DTYPES)
        raise ProtocolError(f"{name}: expected a datatype of {known}, got {datatype!r:.30}")
    return DTYPES[datatype]


def _check_range(name: str, dtype: np.dtype[Any], values: Array) -> None:
    if dtype.kind == "f" or not values.size:
        return
    low, high = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    whole = values.dtype.kind != "f" or bool((values == np.floor(values)).all())
    if not (whole and low <= values.min().item() and values.max().item() <= high):
        raise ProtocolError(f"{name}: expected whole numbers {low} to {high} in data")


def _texts_from_bytes(name: str, shape: tuple[int, ...], raw: memoryview) -> Array:
    size, at = elements(shape), 0
    texts: list[bytes] = []
    while at < len(raw) and len(texts) < size:
        end = at + 4 + _LENGTH.unpack_from(raw, at)[0] if at + 4 <= len(raw) else len(raw) + 1
        if end > len(raw):
            raise ProtocolError(f"{name}: element {len(texts)} of BYTES ends early")
        texts.append(bytes(raw[at + 4 : end]))
        at = end
    if at != len(raw):
        raise ProtocolError(f"{name}: {len(raw) - at} bytes follow the {size} elements of BYTES")
    return _objects(name, shape, texts)


def _objects(name: str, shape: tuple[int, ...], texts: list[bytes]) -> Array:
    if len(texts) != elements(shape):
        raise ProtocolError(f"{name}: expected {elements(shape)} elements, got {len(texts)}")
    array = np.empty(len(texts), np.object_)
    array[:] = texts
    return array.reshape(shape)


def _flat(data: Any) -> list[Any] | None:
    if not isinstance(data, list):
        return None
    flat: list[Any] = []
    stack = [iter(data)]
    while stack:
        if len(stack) > RANK_MAX:
            return None
        for one in stack[-1]:
            if isinstance(one, list):
                stack.append(iter(one))
                break
            flat.append(one)
        else:
            stack.pop()
    return flat
