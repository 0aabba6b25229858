"""The bars of `bench.gateway` and `bench.gateway_gpu`, and how their values are worked out."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

AT_LEAST, AT_MOST = "at least", "at most"
Result = dict[str, Any]


class Value(NamedTuple):
    """A bar as `bench.bars` takes it."""

    what: str
    value: float
    way: str
    bar: float


def gateway_values(result: Result) -> Iterator[Value]:
    """What is held against a bar: name, value, way and bar. NaN was not measured."""
    runs = {run["devices"]: run for run in result.get("tiny", {}).get("gateway", ())}
    many = runs.get(16, {})
    what = "16 devices over TLS: frames committed a second"
    yield Value(what, _number(many, "frames_per_s"), AT_LEAST, 3000.0)
    beats = _number(many.get("heartbeat_ms", {}), "p99")
    yield Value("16 devices: round trip of another's heartbeat, p99, ms", beats, AT_MOST, 15.0)
    refused = sum(run["refused"] for run in runs.values()) if runs else math.nan
    yield Value("frames refused", refused, AT_MOST, 0)
    memory = many.get("memory_mib", ())
    grown = memory[-1][1] / memory[1][1] if len(memory) > 2 else math.nan
    what = "16 devices: memory after the last round, times that after the second"
    yield Value(what, round(grown, 3), AT_MOST, 1.05)
    yield from _beside(result.get("beside", {"rows": {}}))
    share = _number(result.get("board_defects", {}), "share_of_alone")
    what = "board's network through the whole gateway, share of the engine alone"
    yield Value(what, share, AT_LEAST, 0.95)


def _beside(told: Result) -> Iterator[Value]:
    """Beside Triton, the better of one and two instances, all behind TLS."""
    rows = {(name, row["clients"]): row for name, some in told["rows"].items() for row in some}

    def triton(work: str, clients: int, key: str) -> list[float]:
        found = (rows.get((f"triton of {n}, {work}, TLS", clients), {}) for n in (1, 2))
        return [_number(one, key) for one in found if key in one]

    v2 = _number(rows.get(("mastra /v2, infer, TLS", 16), {}), "per_s")
    yield Value("16 clients: requests a second to /v2 over TLS", v2, AT_LEAST, 4500.0)
    best = max(triton("infer", 16, "per_s"), default=math.nan)
    what = "16 clients: requests a second to /v2 over TLS, times Triton's (a goal)"
    yield Value(what, round(v2 / best, 3), AT_LEAST, 1.0)
    for clients in (1, 16, 64):
        ours = _number(rows.get(("mastra stream, commit, TLS", clients), {}), "per_s")
        best = max(triton("commit", clients, "per_s"), default=math.nan)
        what = f"{clients} devices: frames kept a second, times Triton's on the equal work"
        yield Value(what, round(ours / best, 3), AT_LEAST, 1.0)
    ours = _number(rows.get(("mastra stream, commit, TLS", 1), {}), "p50_ms")
    best = min(triton("commit", 1, "p50_ms"), default=math.nan)
    yield Value("1 device: p50 of a frame, times Triton's", round(ours / best, 3), AT_MOST, 1.2)
    ours = _number(rows.get(("mastra /v2, infer, TLS", 1), {}), "p50_ms")
    best = min(triton("infer", 1, "p50_ms"), default=math.nan)
    what = "1 client of /v2: p50 of a request, times Triton's"
    yield Value(what, round(ours / best, 3), AT_MOST, 1.2)


OF_TRITON, SEQUENCES_PER_S, P99_MS, OVERHEAD = 0.9, 1000.0, 130.0, 1.15


def gpu_values(result: Result) -> Iterator[Value]:
    """The encoder of BERT's size at two lengths, and the board's network."""
    lengths = result.get("encoder", {})
    for length in (128, 384):
        told = lengths.get(str(length), {})
        what = f"encoder, sequences of {length}: sequences a second, share of Triton's"
        yield Value(what, _number(told, "share_of_triton"), AT_LEAST, OF_TRITON)
        what = f"encoder, sequences of {length}: time of a batch, times that of bare PyTorch"
        yield Value(what, _number(told, "overhead"), AT_MOST, OVERHEAD)
    told = lengths.get("384", {})
    what = "encoder, sequences of 384: a second, with p99 within its bar"
    yield Value(what, _number(told, "per_s"), AT_LEAST, SEQUENCES_PER_S)
    what = "encoder, sequences of 384: p99 at that rate, ms"
    yield Value(what, _number(told, "p99_ms"), AT_MOST, P99_MS)
    board = result.get("board", {})
    what = "board's network: pictures a second, share of Triton's"
    yield Value(what, _number(board, "share_of_triton"), AT_LEAST, OF_TRITON)


def _number(values: Result, name: str) -> float:
    value = values.get(name)
    return math.nan if value is None else float(value)
