"""Ways between frames over transforms that are named `AToB`, as PLUS names them."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
NAME = re.compile(r"(.+?)To([A-Z0-9].*)")
"""`ToolToTracker` leads from Tool to Tracker: a frame's own name may begin with `To`."""
SINGULAR = 1e-9


def ends_of(name: str) -> tuple[str, str] | None:
    """From which frame to which a transform of this name leads; None where it does not say."""
    found = NAME.fullmatch(name)
    return None if found is None else (found[1], found[2])


def frames_of(names: Iterable[str]) -> list[str]:
    """Every frame that the transforms of these names lead from or to, in their order."""
    ends = (ends_of(name) or () for name in names)
    return list(dict.fromkeys(frame for pair in ends for frame in pair))


def way(known: Mapping[str, Array], start: str, end: str) -> Array | None:
    """(4, 4) from one frame to another, forwards and back; None: no way.

    One that cannot be inverted, or is not finite, is no step of a way.
    """
    steps: dict[str, list[tuple[str, Array]]] = {}
    for name, matrix in known.items():
        ends = ends_of(name)
        if ends is None or not np.isfinite(matrix).all() or abs(np.linalg.det(matrix)) < SINGULAR:
            continue
        here, there = ends
        steps.setdefault(here, []).append((there, matrix))
        steps.setdefault(there, []).append((here, np.linalg.inv(matrix)))
    queue: deque[tuple[str, Array]] = deque([(start, np.eye(4))])
    seen = {start}
    while queue:
        place, so_far = queue.popleft()
        if place == end:
            return so_far if start in steps or start == end else None
        for there, matrix in steps.get(place, ()):
            if there not in seen:
                seen.add(there)
                queue.append((there, matrix @ so_far))
    return None
