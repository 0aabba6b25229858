"""Rows of what others make a device log: one line each, few lines a minute, none forged."""

from __future__ import annotations

import asyncio
import contextlib
import time

from websockets.datastructures import Headers
from websockets.http11 import Response

from mastra_ros.protocol import FrameMessage, Goodbye, Message, Nack

from .row import Record, row
from .scene import Scene, scene
from .site import Sites, wait_until

ITEM = "10 logs"
FORGED = "bye\n2026-01-01 00:00:00,000 ERROR forged: line\r\x1b[2J\u2028\u202eforged\x00"
LINES_MAX = 40


def _check(at: Scene, record: Record, logged: int, said: str) -> None:
    """The log has grown by few lines, of which none is what the other side has written."""
    # A kind is told once a minute: the line may be an earlier row's, of the same device.
    with contextlib.suppress(TimeoutError):
        wait_until(lambda: said in at.device.log)
    text = at.device.log[logged:]
    lines = [line for line in text.split("\n") if line]
    record.expect(said in at.device.log, f"the log does not tell of it: {text[-200:]}")
    record.expect(len(lines) <= LINES_MAX, f"{len(lines)} lines in the log")
    forged = [line for line in lines if line.startswith("2026-01-01 00:00:00,000")]
    record.expect(not forged, f"a line of the log is forged: {forged[:1]}")
    odd = [one for one in "\r\x1b\u2028\u202e\x00" if one in text]
    record.expect(not odd, f"the log has {odd} of the other side")


@row(ITEM, "a gateway's goodbyes, with text that forges lines")
def goodbyes(sites: Sites, record: Record) -> None:
    """Each session ends with one."""
    at = scene(sites)
    with at.talking(sites, record) as stamps:
        logged = len(at.device.log)
        stamps += at.device.do("send", count=5, late=True)
        for n in range(sites.over_runs(8, 200)):
            wait_until(at.connected)
            with contextlib.suppress(Exception):
                at.gateway.say(Goodbye("overloaded", f"{FORGED} {n}"))
            record.attempts += 1
        _check(at, record, logged, "goodbye")


@row(ITEM, "reasons of closing, with text that forges lines")
def reasons(sites: Sites, record: Record) -> None:
    """They stand in the frame that closes a WebSocket."""
    at = scene(sites)
    with at.talking(sites, record) as stamps:
        logged = len(at.device.log)
        stamps += at.device.do("send", count=5, late=True)
        for _ in range(sites.over_runs(5, 200)):
            wait_until(at.connected)
            loop = at.gateway._loop
            assert loop is not None
            for websocket in list(at.gateway._connections):
                with contextlib.suppress(Exception):
                    closing = websocket.close(1011, FORGED[:60])
                    asyncio.run_coroutine_threadsafe(closing, loop).result(5)
            record.attempts += 1
        _check(at, record, logged, "closed")


@row(ITEM, "refusals over HTTP, with bodies and headers that forge lines")
def refusals(sites: Sites, record: Record) -> None:
    """The device asks again, and says so once."""
    at = scene(sites)
    answers = [
        Response(403, "Forbidden", Headers(), FORGED.encode()),
        Response(503, "Busy", Headers(), FORGED.encode() * 20),
        Response(101, "Switching", Headers({"Upgrade": "forged", "Connection": "forged"}), b""),
        Response(302, "Found", Headers({"Location": "https://example.com/\x85forged"}), b""),
    ]
    count = [0]

    def refuse() -> Response:
        count[0] += 1
        return answers[count[0] % len(answers)]

    with at.talking(sites, record) as stamps:
        logged = len(at.device.log)
        stamps += at.device.do("send", count=5, late=True)
        at.gateway.refuse_with = refuse
        at.hang_up()
        wait_until(lambda: count[0] >= sites.many(4, 12))
        at.gateway.refuse_with = None
        record.attempts += count[0]
        _check(at, record, logged, "refused with HTTP")


@row(ITEM, "a refusal of each frame, with text that forges lines")
def nacks(sites: Sites, record: Record) -> None:
    """Frames that a gateway calls corrupt are given up, and told in a line or two."""
    at = scene(sites)
    number = sites.over_runs(100, 4000)
    codes = ("corrupt", "failed", "forbidden")

    def refuse(frame: FrameMessage) -> list[Message]:
        code = codes[frame.stamp_ns // 1000 % len(codes)]
        return [Nack(frame.stream, frame.stamp_ns, code, FORGED, frame.id)]

    with at.talking(sites, record):
        logged = len(at.device.log)
        at.gateway.answer = refuse
        at.device.do("send", count=number, late=True)
        wait_until(lambda: at.device.status["dropped"] >= number)
        record.attempts += number
        _check(at, record, logged, "refused the frame")


@row(ITEM, "a gateway that hangs up on every connection")
def hang_ups(sites: Sites, record: Record) -> None:
    """Different words each time make no more lines."""
    at = scene(sites)
    with at.talking(sites, record):
        logged = len(at.device.log)
        until_s = time.monotonic() + sites.many(2, 5)
        number = 0
        while time.monotonic() < until_s:
            number += 1
            word = "".join(chr(97 + int(digit)) for digit in str(number))
            with contextlib.suppress(Exception):
                at.gateway.say(Goodbye("overloaded", f"{word}"))
            time.sleep(0.005)
        record.attempts += number
        _check(at, record, logged, "goodbye")
