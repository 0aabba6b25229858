"""Scale and zero point of a TensorFlow Lite file's inputs and outputs, read from the file itself.

For runtimes that take such a file but do not tell its scales. Only the few fields that this needs
are read, at the places that schema.fbs gives them:
https://github.com/tensorflow/tensorflow/blob/master/tensorflow/compiler/mlir/lite/schema/schema.fbs
"""

from __future__ import annotations

import struct
from pathlib import Path

from ...errors import ModelError

SUBGRAPHS = 2  # of a model
TENSORS, INPUTS, OUTPUTS = 0, 1, 2  # of a subgraph
NAME, QUANTISATION = 3, 4  # of a tensor
SCALE, ZERO_POINT = 2, 3  # of a quantisation


def scales_of(path: Path) -> dict[str, tuple[float, int]]:
    """(scale, zero point) of each quantised input and output, by its name.

    Raises ModelError where the file cannot be read as such.
    """
    try:
        data = _Buffer(path.read_bytes())
        graph = data.tables(data.root(), SUBGRAPHS)[0]
        tensors = data.tables(graph, TENSORS)
        ends = [*data.integers(graph, INPUTS), *data.integers(graph, OUTPUTS)]
        return dict(_scale(data, tensors[at]) for at in ends)
    except (OSError, struct.error, IndexError, UnicodeDecodeError) as error:
        raise ModelError(f"{path}: no TensorFlow Lite file: {error}") from error


def _scale(data: _Buffer, tensor: int) -> tuple[str, tuple[float, int]]:
    name = data.text(tensor, NAME)
    quantisation = data.table(tensor, QUANTISATION)
    scales = data.values(quantisation, SCALE, "f") if quantisation else ()
    zero_points = data.values(quantisation, ZERO_POINT, "q") if quantisation else ()
    if len(scales) != 1:  # none, or one for each channel, which no input or output has
        return name, (0.0, 0)
    return name, (float(scales[0]), int(zero_points[0]) if zero_points else 0)


class _Buffer:
    """A FlatBuffer: https://flatbuffers.dev/internals. A place is an offset in bytes, 0 none."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def root(self) -> int:
        """The place of the outermost table."""
        return self._read("I", 0)

    def table(self, table: int, field: int) -> int:
        """The place of a table (or of a vector, or a string) that a field refers to."""
        place = self._field(table, field)
        return place + self._read("I", place) if place else 0

    def tables(self, table: int, field: int) -> list[int]:
        """The places of all tables in a vector."""
        start, count = self._vector(table, field)
        places = range(start, start + 4 * count, 4)
        return [place + self._read("I", place) for place in places]

    def integers(self, table: int, field: int) -> tuple[int, ...]:
        """A vector of int32."""
        return self.values(table, field, "i")

    def values(self, table: int, field: int, kind: str) -> tuple[int, ...]:
        """A vector of numbers, `kind` as struct names it."""
        start, count = self._vector(table, field)
        return struct.unpack_from(f"<{count}{kind}", self._data, start)

    def text(self, table: int, field: int) -> str:
        """A string."""
        start, count = self._vector(table, field)
        return self._data[start : start + count].decode()

    def _vector(self, table: int, field: int) -> tuple[int, int]:
        place = self.table(table, field)
        return (place + 4, self._read("I", place)) if place else (0, 0)

    def _field(self, table: int, field: int) -> int:
        """Where the field's value lies; 0 where the table leaves it out."""
        layout = table - self._read("i", table)
        entry = 4 + 2 * field
        if entry + 2 > self._read("H", layout):
            return 0
        offset = self._read("H", layout + entry)
        return table + offset if offset else 0

    def _read(self, kind: str, place: int) -> int:
        if place < 0:
            raise IndexError(f"place {place}")
        return int(struct.unpack_from(f"<{kind}", self._data, place)[0])
