"""Pages of devices stay whole while devices come and go."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import httpx
from starlette.applications import Starlette

from mastra_ros.gateway.clients import CLIENT, Client
from mastra_ros.gateway.reading_devices import DeviceReading
from mastra_ros.gateway.statuses import Hearing, StatusBoard
from mastra_ros.protocol.statuses import StatusReport
from mastra_ros.statuses import pack_status


def test_a_device_that_comes_between_two_pages_shifts_nothing() -> None:
    there = ["cam-2", "cam-4", "cam-6", "cam-8"]
    reading = DeviceReading(
        StatusBoard(), Hearing(), devices=lambda: there, connected=list, look=lambda: None
    )
    inside = Starlette(routes=reading.routes())

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await inside({**scope, CLIENT: Client("rita", "reader")}, receive, send)

    async def get(query: str) -> dict[str, Any]:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
            told: dict[str, Any] = (await client.get(f"/v1/devices?{query}")).json()
            return told

    async def pages() -> list[str]:
        names: list[str] = []
        after = "0"
        while True:
            told = await get(f"limit=2&after={after}")
            names += [one["device"] for one in told["devices"]]
            if told["next"] is None:
                return names
            after = told["next"]
            if "cam-1" not in there:
                there.insert(0, "cam-1")
                there.remove("cam-2")

    assert asyncio.run(pages()) == ["cam-2", "cam-4", "cam-6", "cam-8", "cam-1"]
    assert asyncio.run(pages()) == ["cam-4", "cam-6", "cam-8", "cam-1"]


def test_who_asks_often_hears_who_is_there_without_what_they_have_told() -> None:
    board, hearing, now_s = StatusBoard(), Hearing(), time.time()
    for name in ("cam-1", "cam-2"):
        told = pack_status({"load": {"cpu": 0.5}, "versions": {"name": "\u4e2d\u6587"}})
        assert board.take(name, "main", StatusReport(1, 1, told), now_s) is None
        hearing.saw(name, "main", now_s, 60.0)
    reading = DeviceReading(
        board, hearing, devices=lambda: ["cam-1"], connected=list, look=lambda: None
    )
    inside = Starlette(routes=reading.routes())

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await inside({**scope, CLIENT: Client("rita", "reader")}, receive, send)

    async def get(path: str) -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
            return await client.get(path)

    (brief,) = asyncio.run(get("/v1/devices?status=none")).json()["devices"]
    (whole,) = asyncio.run(get("/v1/devices")).json()["devices"]
    entry = whole.pop("status")["main"]
    assert whole == brief, "all but what it has told"
    assert entry["status"] == {"load": {"cpu": 0.5}, "versions": {"name": "\u4e2d\u6587"}}
    (stream,) = asyncio.run(get("/v1/devices/cam-1/status")).json()["streams"]
    assert stream["newest"] == entry
    assert stream["history"] == [entry]
    assert asyncio.run(get("/v1/devices?status=all")).status_code == 400
