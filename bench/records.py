"""Records up and artefacts down: how fast, at what cost to live frames, and whether any is lost.

    python -m bench.records [--parts rate cost kills artefact sets] [--seconds 8]
                            [--kills 20 --records 20000] [--long] [--out bench/results/records.json]

rate   records committed a second over TLS, from 1 and 16 devices that keep two messages of 64
       records each in flight; beside it SQLite alone, which commits the same groups in this process
cost   ages of live frames over a link of 5 Mbit/s: alone, with a backlog of records, and with a
       large artefact on its way down
kills  devices and gateway are killed (SIGKILL) in turn while records go up: none may be lost, none
       counted twice, and each kind in order
artefact  20 MB (--long: 200 MB) over 5 Mbit/s with cuts, beside live frames and their ages alone
sets   2,000 frames of a set through kills of both sides and cuts

Parts that are not named keep what `--out` has of them.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, closing
from pathlib import Path
from typing import Any

from websockets.asyncio.client import connect

import bench.pinned  # noqa: F401
from bench.bars import ABOVE, AT_LEAST, AT_MOST, Bar
from bench.records_artefact import artefact
from bench.records_cost import cost
from bench.records_kills import kills
from bench.records_sets import sets
from bench.tiny_model import write_tiny_bundle
from mastra_ros.config import GatewayConfig
from mastra_ros.gateway.embedded import EmbeddedGateway
from mastra_ros.protocol import Opened, Records, RecordsAck, Role, Send, Session
from mastra_ros.protocol.keys import add_device, init_keys, load_device_key
from mastra_ros.protocol.records import RecordItem
from mastra_ros.protocol.tls import client_context
from mastra_ros.protocol.tokens import sign_token
from mastra_ros.records import pack_body

PARTS = ("rate", "cost", "kills", "artefact", "sets")
ARTEFACT, ARTEFACT_LONG = 20_000_000, 200_000_000
GROUP = 64
IN_FLIGHT = 2
BODY = {"board": 7, "verdict": "reject", "frames": 9, "reason": "1 short", "defects": [
    {"label": "short", "score": 0.91, "box": [101.5, 20.0, 133.0, 61.5]}]}  # fmt: skip
EPOCH = "0" * 16


async def tell(port: int, keys: Path, device: str, stream: str, seconds: float) -> int:
    """One device: records that the gateway has acknowledged."""
    token = sign_token(device, load_device_key(keys, device), "mastra-gateway")
    session = Session(
        *(Role.DEVICE,), device=device, stream=stream, now_ns=0, extensions=("records",)
    )
    body = pack_body(BODY)
    sent = acknowledged = number = 0
    async with AsyncExitStack() as stack:
        websocket = await stack.enter_async_context(
            connect(
                f"wss://127.0.0.1:{port}/v1/stream",
                ssl=client_context(keys / "ca.crt"),
                additional_headers={"Authorization": f"Bearer {token}"},
                compression=None,
                proxy=None,
                ping_interval=None,
            )
        )
        await websocket.send(session.hello(0))
        until = time.perf_counter() + seconds
        in_flight = -IN_FLIGHT  # the welcome lets the first ones go
        while in_flight:
            data = await websocket.recv()
            assert isinstance(data, bytes)
            for event in session.receive(data, time.monotonic_ns()):
                if isinstance(event, Send):
                    await websocket.send(event.data)
                elif isinstance(event, Opened):
                    in_flight = 0
                elif isinstance(event, RecordsAck):
                    in_flight -= 1
                    if event.refused:
                        raise RuntimeError(f"refused: {event.refused}")
                    acknowledged = max(acknowledged, *(one.seq for one in event.all_committed()))
            while 0 <= in_flight < IN_FLIGHT and time.perf_counter() < until:
                number += 1
                items = tuple(
                    RecordItem("verdict", sent + n, sent + n - 1, 5, body).to_list()
                    for n in range(1, GROUP + 1)
                )
                sent += GROUP
                in_flight += 1
                message = Records(number, stream, EPOCH, items)
                await websocket.send(session.send(message, time.monotonic_ns()))
    return acknowledged


def rate(seconds: float) -> list[dict[str, Any]]:
    """Records a second from 1 and 16 devices, and into SQLite alone."""
    rows = []
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        keys = folder / "keys"
        init_keys(keys)
        for number in range(16):
            add_device(keys, f"bench-{number}")
        bundle = write_tiny_bundle(folder)
        config = GatewayConfig(applications=())
        with EmbeddedGateway(keys, [str(bundle)], state_dir=folder / "s", config=config) as gateway:
            for devices in (1, 16):

                async def all_of_them(count: int = devices) -> list[int]:
                    return await asyncio.gather(
                        *(
                            tell(gateway.port, keys, f"bench-{n}", f"of-{count}", seconds)
                            for n in range(count)
                        )
                    )

                started = time.perf_counter()
                count = sum(asyncio.run(all_of_them()))
                took_s = time.perf_counter() - started
                rows.append({"devices": devices, "records_per_s": round(count / took_s, 1)})
        rows.append({"sqlite_alone": True, "records_per_s": round(alone(folder, seconds), 1)})
    return rows


def alone(folder: Path, seconds: float) -> float:
    """Records a second that SQLite commits in groups of the same size, and nothing else."""
    body, count = pack_body(BODY), 0
    with closing(sqlite3.connect(folder / "alone.sqlite3", isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("CREATE TABLE record (id INTEGER PRIMARY KEY, seq INTEGER, body BLOB)")
        started = time.perf_counter()
        while time.perf_counter() - started < seconds:
            db.execute("BEGIN")
            rows = [(count + n, body) for n in range(GROUP)]
            db.executemany("INSERT INTO record (seq, body) VALUES (?, ?)", rows)
            db.execute("COMMIT")
            count += GROUP
        return count / (time.perf_counter() - started)


def bars(result: dict[str, Any]) -> Iterator[Bar]:
    """What the parts that were measured have to keep to."""
    for row in result.get("rate", ()):
        if row.get("devices") == 16:
            what = "records committed over TLS from 16 devices, a second"
            yield Bar(what, row["records_per_s"], AT_LEAST, 5000.0)
    if told := result.get("cost"):
        by = {row["beside"]: row for row in told["rows"]}
        ratio = by["records"]["age_ms"]["p50"] / by["nothing"]["age_ms"]["p50"]
        yield Bar("age of live frames beside records (p50), times", ratio, AT_MOST, 1.1)
        ratio = by["artefact"]["age_ms"]["p99"] / by["nothing"]["age_ms"]["p99"]
        yield Bar("age of live frames beside an artefact (p99), times", ratio, AT_MOST, 1.2)
        yield Bar("records that went up meanwhile", by["records"]["carried"], ABOVE, 0)
    if told := result.get("artefact"):
        yield Bar("artefacts that came whole, once", int(told["whole"] and told["arrived"] == 1),
                  AT_LEAST, 1)  # fmt: skip
        ratio = told["age_ms_beside"]["p99"] / told["age_ms_alone"]["p99"]
        yield Bar("age of live frames beside it through cuts (p99), times", ratio, AT_MOST, 1.2)
    if told := result.get("sets"):
        yield Bar("frames of a set lost through kills and cuts", told["lost"], AT_MOST, 0)
        yield Bar("frames of a set counted twice", told["counted_twice"], AT_MOST, 0)
        yield Bar("frames of a set out of order", int(not told["in_order"]), AT_MOST, 0)
    if told := result.get("kills"):
        yield Bar("records lost through kills", told["lost"], AT_MOST, 0)
        yield Bar("records counted twice through kills", told["counted_twice"], AT_MOST, 0)
        yield Bar("kinds out of order through kills", int(not told["in_order"]), AT_MOST, 0)


def main() -> int:
    """Measure and write the report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--seconds", type=float, default=8.0, help="of each run")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--records", type=int, default=20_000, help="told between the kills")
    parser.add_argument("--frames", type=int, default=2000, help="of the set")
    parser.add_argument("--artefact-bytes", type=int, default=ARTEFACT)
    parser.add_argument("--long", action="store_true", help="an artefact of 200 MB")
    parser.add_argument("--out", type=Path, default=Path("bench/results/records.json"))
    args = parser.parse_args()
    before = json.loads(args.out.read_text()) if args.out.exists() else {}
    result: dict[str, Any] = {
        **{part: before[part] for part in PARTS if part in before},
        "machine": {"cpu": platform.processor() or platform.machine(), "cores": os.cpu_count()},
        "load_average": os.getloadavg()[0],
        "group": GROUP,
        "body_bytes": len(pack_body(BODY)),
    }
    if "rate" in args.parts:
        result["rate"] = rate(args.seconds)
    if "cost" in args.parts:
        result["cost"] = cost(args.seconds)
    if "kills" in args.parts:
        result["kills"] = kills(args.kills, args.records)
    if "artefact" in args.parts:
        size = ARTEFACT_LONG if args.long else args.artefact_bytes
        result["artefact"] = artefact(size, 3 * args.seconds)
    if "sets" in args.parts:
        result["sets"] = sets(args.frames, max(2, args.kills // 2))
    result["bars"] = [bar.to_json() for bar in bars(result)]
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
