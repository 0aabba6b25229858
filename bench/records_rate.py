"""Records committed a second over TLS, beside NATS JetStream and SQLite alone. See records.py."""

from __future__ import annotations

import asyncio
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import AsyncExitStack, ExitStack, closing
from functools import partial
from pathlib import Path
from typing import Any

from websockets.asyncio.client import connect

from bench.records_nats import JetStream, missing
from bench.tiny_model import write_tiny_bundle
from mastra_ros.config import GatewayConfig
from mastra_ros.gateway.embedded import EmbeddedGateway
from mastra_ros.protocol import Opened, Records, RecordsAck, Role, Send, Session
from mastra_ros.protocol.keys import add_device, init_keys, load_device_key
from mastra_ros.protocol.records import RecordItem
from mastra_ros.protocol.tls import client_context
from mastra_ros.protocol.tokens import sign_token
from mastra_ros.records import pack_body

GROUP = 64
IN_FLIGHT = 2
DEVICES = (1, 16)
ROUNDS = 3
"""In each, all are measured after each other; told is the median."""
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
    with tempfile.TemporaryDirectory() as text, ExitStack() as stack:
        folder = Path(text)
        keys = folder / "keys"
        init_keys(keys)
        for number in range(max(DEVICES)):
            add_device(keys, f"bench-{number}")
        bundle = write_tiny_bundle(folder)
        config = GatewayConfig(applications=())
        gateway = stack.enter_context(
            EmbeddedGateway(keys, [str(bundle)], state_dir=folder / "s", config=config)
        )
        nats = JetStream.opened(folder, keys, stack)
        ways: dict[tuple[str, int], Callable[[int], float]] = {}
        for devices in DEVICES:
            ways["mastra", devices] = partial(_ours, gateway.port, keys, devices, seconds)
            if nats is not None:
                ways[nats.name, devices] = partial(_theirs, nats, devices, seconds)
        ways["sqlite alone", 0] = partial(_alone, folder, seconds)
        found: dict[tuple[str, int], list[float]] = {way: [] for way in ways}
        for turn in range(ROUNDS):
            for way, measure in ways.items():
                found[way].append(measure(turn))
    rows: list[dict[str, Any]] = [
        {
            "of": name,
            **({"devices": devices} if devices else {}),
            "records_per_s": round(statistics.median(values), 1),
            "rounds": [round(value, 1) for value in values],
        }
        for (name, devices), values in found.items()
    ]
    if nats is None:
        rows.append({"of": "NATS JetStream", "not_installed": missing()})
    return rows


def _ours(port: int, keys: Path, devices: int, seconds: float, turn: int) -> float:
    async def all_of_them() -> list[int]:
        return await asyncio.gather(
            *(
                tell(port, keys, f"bench-{n}", f"of-{devices}-{turn}", seconds)
                for n in range(devices)
            )
        )

    started = time.perf_counter()
    count = sum(asyncio.run(all_of_them()))
    return count / (time.perf_counter() - started)


def _theirs(nats: JetStream, devices: int, seconds: float, _: int) -> float:
    return nats.rate(devices, GROUP * IN_FLIGHT, pack_body(BODY), seconds)


def _alone(folder: Path, seconds: float, turn: int) -> float:
    return alone(folder / f"{turn}.sqlite3", seconds)


def alone(path: Path, seconds: float) -> float:
    """Records a second that SQLite commits in groups of the same size, and nothing else."""
    body, count = pack_body(BODY), 0
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
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
