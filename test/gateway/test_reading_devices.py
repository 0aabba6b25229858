"""Pages of devices stay whole while devices come and go."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
from starlette.applications import Starlette

from mastra_ros.gateway.clients import CLIENT, Client
from mastra_ros.gateway.reading_devices import DeviceReading
from mastra_ros.gateway.statuses import Hearing, StatusBoard


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
