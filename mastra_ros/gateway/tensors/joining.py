"""Several requests in one run: tensors joined along their first side, and the answers parted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...errors import ModelError
from ..openinference.datatypes import Array
from .backend import Tensors


def rows_of(tensors: Tensors) -> int:
    """How many rows a request has; 0 where its inputs do not agree."""
    counts = {array.shape[0] for array in tensors.values()}
    return counts.pop() if len(counts) == 1 else 0


def groups_of(requests: Sequence[Tensors], rows_max: int) -> list[list[int]]:
    """Which requests go into one run: of the same shapes behind the first side, in order."""
    groups: list[list[int]] = []
    open_groups: dict[object, tuple[list[int], int]] = {}
    for at, tensors in enumerate(requests):
        rows = rows_of(tensors)
        kind = tuple((name, array.shape[1:]) for name, array in sorted(tensors.items()))
        group, held = open_groups.get(kind, ([], 0))
        if not rows or not group or held + rows > rows_max:
            group, held = [], 0
            groups.append(group)
        group.append(at)
        if rows:
            open_groups[kind] = group, held + rows
    return groups


def padded_rows(rows: int, sizes: Sequence[int]) -> int:
    """The smallest of the sizes that holds so many rows; as many where none does."""
    return min((size for size in sizes if size >= rows), default=rows)


def pad(tensors: Tensors, rows: int) -> Tensors:
    """The inputs with so many rows: the last one again, which a model takes as it took it once."""
    more = rows - rows_of(tensors)
    if more <= 0:
        return tensors
    return {
        name: np.concatenate([array, np.repeat(array[-1:], more, axis=0)])
        for name, array in tensors.items()
    }


def cut(outputs: Tensors, padded: int, rows: int) -> dict[str, Array]:
    """The outputs of the rows before those that were put there by `pad`. Raises ModelError."""
    if rows == padded:
        return dict(outputs)
    for name, array in outputs.items():
        if array.ndim == 0 or array.shape[0] != padded:
            raise ModelError(f"{name}: expected {padded} rows, got shape {list(array.shape)}")
    return {name: array[:rows] for name, array in outputs.items()}


def join(requests: Sequence[Tensors]) -> Tensors:
    """The inputs of all of them, one behind the other."""
    if len(requests) == 1:
        return requests[0]
    return {name: np.concatenate([one[name] for one in requests]) for name in requests[0]}


def part(outputs: Tensors, requests: Sequence[Tensors]) -> list[dict[str, Array]]:
    """Each request's own rows of the outputs. Raises ModelError where there are not as many."""
    if len(requests) == 1:
        return [dict(outputs)]
    ends = np.cumsum([rows_of(one) for one in requests]).tolist()
    for name, array in outputs.items():
        if array.ndim == 0 or array.shape[0] != ends[-1]:
            raise ModelError(f"{name}: expected {ends[-1]} rows, got shape {list(array.shape)}")
    begins = [0, *ends[:-1]]
    return [
        {name: array[begin:end] for name, array in outputs.items()}
        for begin, end in zip(begins, ends, strict=True)
    ]
