"""Pages of the dashboard as clients of its socket, without a browser.

    python -m bench.dashboard_pages [--idle] URL COOKIE SECONDS PATH...

They stand for browsers on other machines: with --idle this process takes the class of scheduling
that runs only where a processor is free (SCHED_IDLE). Then numbers on its standard input, a line
each, say how many of the pages are seen from now on, the first of them; the others are hidden tabs.
It ends when SECONDS are over, or the input says `end`.

Each logs in with the cookie, gets its page, connects as NiceGUI's script does (python-socketio),
acknowledges what it is told every 3 s, and fetches the picture that it is told of. Of a message
the number alone is read. Prints, as JSON, how many messages came, how many bytes, how long each
page took from its request to an open socket, and the processor time of this process.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import sys
import time
import uuid
from typing import Any
from urllib.parse import urlencode

import aiohttp
import socketio

ACK_S = 3.0
READY_S = 60.0
QUERY = re.compile(r"""["']client_id["']: ["']([0-9a-f-]{36})["']""")
NEXT = re.compile(r"""["']next_message_id["']: (\d+)""")
SEEN = re.compile(
    r"""["']listener_id["']: ?["']([0-9a-f-]{36})["'], ?["']type["']: ?["']mastra_seen["']"""
)
NUMBER = re.compile(r'"_id":\s*(\d+)')


class Glance:
    """JSON of which only the kind of a message and its number are looked at."""

    bytes = 0

    @staticmethod
    def dumps(value: Any, **options: Any) -> str:
        """See json."""
        return json.dumps(value, **options)

    @classmethod
    def loads(cls, text: Any, **_: Any) -> Any:
        """A list of the event's name and a map with its number; all of it where it is short."""
        cls.bytes += len(text)
        if len(text) < 500:
            return json.loads(text)
        name = text[2 : text.index('"', 2)]
        number = NUMBER.search(text, max(0, len(text) - 40)) or NUMBER.search(text)
        return [name, {} if number is None else {"_id": int(number[1])}]


class Page:
    """One page."""

    def __init__(self, url: str, cookie: str, path: str) -> None:
        self._url, self._path = url, path
        self._headers = {"Cookie": f"mastra_session={cookie}", "Origin": url}
        self._next = 0
        self.client_id = ""
        self.messages = 0
        self.ready_s = 0.0
        self.html_bytes = 0
        self.closed = False
        self._socket: Any = None
        self._seen, self._listener = True, ""

    async def close(self) -> None:
        """Hang up."""
        if self._socket is not None:
            await self._socket.disconnect()

    async def see(self, *, seen: bool) -> None:
        """The tab comes to the front, or goes behind another."""
        if seen != self._seen:
            self._seen = seen
            event = {"id": 0, "client_id": self.client_id, "listener_id": self._listener}
            await self._socket.emit("event", {**event, "args": [json.dumps(seen)]})

    async def run(self, http: aiohttp.ClientSession, until: float, ready: asyncio.Event) -> None:
        """Look until then."""
        began = time.perf_counter()
        async with http.get(self._url + self._path, headers=self._headers) as answer:
            html = await answer.text()
        if answer.status != 200:
            raise RuntimeError(f"{self._path}: {answer.status} {html[:200]}")
        found, number = QUERY.search(html), NEXT.search(html)
        if found is None or number is None:
            raise RuntimeError(f"{self._path}: there is no client in {html[:200]!r}")
        self.client_id, self._next = found[1], int(number[1])
        listener = SEEN.search(html)
        if listener is None:
            raise RuntimeError(f"{self._path}: nobody asks whether it is seen")
        self._listener = listener[1]
        self.html_bytes = len(html)
        socket = self._socket = socketio.AsyncClient(
            json=Glance, reconnection=False, http_session=http
        )
        socket.on("*", self._heard)
        socket.on("disconnect", self._gone)
        query = {
            "client_id": self.client_id,
            "next_message_id": self._next,
            "implicit_handshake": "true",
            "document_id": str(uuid.uuid4()),
            "tab_id": str(uuid.uuid4()),
        }
        await socket.connect(
            f"{self._url}/?{urlencode(query)}",
            headers=self._headers,
            transports=["websocket"],
            socketio_path="/_nicegui_ws/socket.io",
            wait_timeout=int(READY_S),
        )
        self.ready_s = time.perf_counter() - began
        ready.set()
        while (left := until - time.perf_counter()) > 0 and not self.closed:
            await asyncio.sleep(min(ACK_S, left))
            told = {"client_id": self.client_id, "next_message_id": self._next}
            await socket.emit("ack", told)
        if self.closed:
            raise RuntimeError(f"{self._path}: the dashboard has hung up")

    async def _heard(self, _: str, *args: Any) -> None:
        self.messages += 1
        if args and isinstance(args[0], dict) and "_id" in args[0]:
            self._next = int(args[0]["_id"]) + 1

    def _gone(self, *_: Any) -> None:
        self.closed = True


async def look(
    url: str, cookie: str, seconds: float, paths: list[str], *, obey: bool
) -> dict[str, Any]:
    """Open the pages one after the other, and look with all of them; what they saw."""
    async with aiohttp.ClientSession() as http:
        until = time.perf_counter() + seconds + READY_S
        tasks, pages = [], []
        for path in paths:
            page, ready = Page(url, cookie, path), asyncio.Event()
            task = asyncio.ensure_future(page.run(http, until, ready))
            waiting = asyncio.ensure_future(ready.wait())
            await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                task.result()
            tasks.append(task)
            pages.append(page)
        print("ready", flush=True)
        began, cpu = time.perf_counter(), time.process_time()
        before = sum(page.messages for page in pages)
        Glance.bytes = 0
        with contextlib.suppress(asyncio.TimeoutError, TimeoutError):
            await asyncio.wait_for(_obey(pages) if obey else asyncio.Event().wait(), seconds)
        took_s = time.perf_counter() - began
        cpu_s = time.process_time() - cpu
        for task in tasks:
            if task.done():
                task.result()
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for page in pages:
            await page.close()
    return {
        "pages": len(pages),
        "messages": sum(page.messages for page in pages) - before,
        "bytes": Glance.bytes,
        "took_s": took_s,
        "cpu_s": cpu_s,
        "ready_s": [round(page.ready_s, 3) for page in pages],
        "html_bytes": [page.html_bytes for page in pages],
    }


async def _obey(pages: list[Page]) -> None:
    """Show as many as the standard input says, until it says `end`."""
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    try:
        while (line := (await reader.readline()).decode().strip()) != "end":
            if not line:  # nobody will say anything
                await asyncio.Event().wait()
            for place, page in enumerate(pages):
                await page.see(seen=place < int(line))
    finally:
        transport.close()


def _yield_to_others() -> None:
    with contextlib.suppress(OSError, AttributeError):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def main() -> None:
    """Print what was seen."""
    arguments = sys.argv[1:]
    if idle := arguments[0] == "--idle":
        arguments.pop(0)
        _yield_to_others()
    url, cookie, seconds, *paths = arguments
    print(json.dumps(asyncio.run(look(url, cookie, float(seconds), paths, obey=idle))))


if __name__ == "__main__":
    main()
