"""Reads .tflite files and writes them small.

Converters name a tensor after every class on the way to it, several hundred bytes each, and give
each channel of an int8 weight a zero point of its own, which is 0. In a small model that is half
of the file. Here names become short and equal lists are stored once, as the format allows.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DependencyError, ModelError

LENGTH_MAX = 48
ALIGNMENT = 16  # of weights, in bytes
_SEGMENT = re.compile(r"^(?:[\w<>]+\.)*[A-Za-z0-9<>]+_(?P<attribute>\w+)$")


def schema() -> Any:
    """The classes of the file format. Raises DependencyError without LiteRT."""
    try:
        from ai_edge_litert import schema_py_generated
    except ImportError as error:
        raise DependencyError("LiteRT is needed here: pip install ai-edge-litert") from error
    return schema_py_generated


def read_model(path: Path) -> Any:
    """A file as the ModelT of its format, weights inside. Raises ModelError where it is none."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror}") from error
    if data[4:8] != b"TFL3":
        raise ModelError(f"{path}: not a TensorFlow Lite model")
    try:
        model = schema().ModelT.InitFromPackedBuf(bytearray(data), 0)
    except Exception as error:  # a damaged file makes the parser stumble anywhere
        raise ModelError(f"{path}: a damaged TensorFlow Lite model") from error
    for buffer in model.buffers:
        if buffer.offset:  # weights behind the flatbuffer: TFLM and older runtimes know no such
            inside = data[buffer.offset : buffer.offset + buffer.size]
            buffer.data = np.frombuffer(inside, np.uint8)
            buffer.offset = buffer.size = 0
    return model


def write_model(model: Any, path: Path) -> None:
    """Write a ModelT, equal lists once, weights aligned as the format demands."""
    builder = _builder_class()(1 << 20)
    builder.Finish(model.Pack(builder), b"TFL3")
    path.write_bytes(bytes(builder.Output()))


@lru_cache(maxsize=1)
def _builder_class() -> Any:
    import flatbuffers

    class SharingBuilder(flatbuffers.Builder):  # type: ignore[misc, unused-ignore]
        """Stores a list of numbers once, however often it occurs."""

        def __init__(self, size: int) -> None:
            super().__init__(size)
            self._made: dict[tuple[str, bytes], int] = {}

        def CreateNumpyVector(self, x: NDArray[Any]) -> int:  # noqa: N802 - the library's name
            data = np.ascontiguousarray(x).tobytes()
            key = (x.dtype.str, data)
            if key not in self._made:
                alignment = ALIGNMENT if x.dtype == np.uint8 else x.dtype.alignment
                self.StartVector(x.itemsize, x.size, alignment)
                self.head = self.Head() - len(data)
                self.Bytes[self.head : self.head + len(data)] = data
                self.vectorNumElems = x.size
                self._made[key] = int(self.EndVector())
            return self._made[key]

    return SharingBuilder


def short_name(name: str) -> str:
    """`torch…Sequential_features/…Conv2d_0;1` -> `features.0`.

    The first of several merged layers counts; a name of another form stays, cut to LENGTH_MAX.
    """
    attributes = []
    for segment in name.split(";")[0].split("/"):
        found = _SEGMENT.match(segment)
        if found and found["attribute"] != "network":
            attributes.append(found["attribute"])
    text = ".".join(attributes) if "/" in name and attributes else name
    return text[-LENGTH_MAX:]


def shorten(path: Path) -> None:
    """Rewrite a model with short names, all different; inputs and outputs keep theirs."""
    model = read_model(path)
    for graph in model.subgraphs:
        kept = {int(i) for i in [*graph.inputs, *graph.outputs]}
        used: Counter[str] = Counter()
        for i, tensor in enumerate(graph.tensors):
            if i not in kept:
                short = short_name(name_of(tensor))
                used[short] += 1
                tensor.name = short if used[short] == 1 else f"{short}:{used[short]}"
    write_model(model, path)


def name_of(tensor: Any) -> str:
    """The name of a TensorT."""
    name = tensor.name
    return name.decode(errors="replace") if isinstance(name, bytes) else name or ""
