"""The answer to `GET /v1/traffic/flow`.

device, stream, lane    whose; default: all
from_ns, to_ns          by the stamps of the cameras; default: the last hour that is known
interval_s              whole minutes, 60 to 86400; default: 300
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mastra_ros.pipeline.application import Question

from ..flow.camera import INTERVAL_NS, INTERVAL_S, CameraFlow

HOUR_NS = 3600 * 10**9
ROWS_MAX = 20_000
KNOWN = ("device", "stream", "lane", "from_ns", "to_ns", "interval_s")


def answer(cameras: Mapping[tuple[str, str], CameraFlow], question: Question) -> dict[str, Any]:
    """Flow by camera; ValueError where the question makes no sense."""
    query = question.query
    if unknown := set(query) - set(KNOWN):
        raise ValueError(f"expected some of {', '.join(KNOWN)}, got {min(unknown)!r:.80}")
    interval_s = _whole(query, "interval_s", 300, INTERVAL_S, 86400)
    if interval_s % INTERVAL_S:
        raise ValueError(f"interval_s: expected whole minutes, got {interval_s}")
    device = question.device or query.get("device", "")
    told, rows = [], 0
    for (of, stream), camera in sorted(cameras.items()):
        if device not in ("", of) or query.get("stream", stream) != stream:
            continue
        to_ns = _whole(query, "to_ns", camera.newest_ns + 1, -(2**62), 2**62)
        from_ns = _whole(query, "from_ns", to_ns - HOUR_NS, -(2**62), 2**62)
        from_ns = max(from_ns, camera.oldest_ns())
        to_ns = min(to_ns, camera.newest_ns + INTERVAL_NS)
        every = interval_s // INTERVAL_S
        lanes = camera.intervals(from_ns, to_ns, every, query.get("lane", ""))
        rows += len(lanes)
        if rows > ROWS_MAX:
            raise ValueError(f"more than {ROWS_MAX} rows: ask for less time, or longer intervals")
        told.append(
            {
                "device": of,
                "stream": stream,
                "state": camera.state,
                "newest_ns": camera.newest_ns,
                "lanes": lanes,
                "turning": camera.turns(from_ns, to_ns),
                "gaps": camera.gaps(from_ns, to_ns),
                "wrong_way": camera.wrong_way,
                "stopped": camera.stopped,
                "dropped": camera.dropped,
            }
        )
    return {"interval_s": interval_s, "cameras": told}


def _whole(query: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    text = query.get(name)
    if text is None:
        return default
    digits = text.removeprefix("-")
    if not (digits.isdecimal() and digits.isascii() and len(digits) <= 19):
        raise ValueError(f"{name}: expected a whole number, got {text!r:.80}")
    if not low <= int(text) <= high:
        raise ValueError(f"{name}: expected {low} to {high}, got {text}")
    return int(text)
