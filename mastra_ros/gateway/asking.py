"""What handlers of `/v1` share: clear refusals, checked parameters, pages, and who may see what."""

from __future__ import annotations

import json
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from ..errors import StoreError
from ..protocol.checks import is_name
from .auth import DEVICE
from .clients import CLIENT

INT64 = 2**63
LIMIT, LIMIT_MAX = 100, 1000
NDJSON = "application/x-ndjson"

Page = Callable[[int, int], tuple[list[dict[str, Any]], int]]
"""From behind a place, so many: what there is, and the place of the last one."""


class Refused(Exception):  # noqa: N818 - an answer and no fault of ours
    """The request is answered with this status and text."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def answered(
    handler: Callable[[Request], Awaitable[Response]],
) -> Callable[[Request], Awaitable[Response]]:
    """The handler, with refusals and stores that cannot be read made into answers."""

    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except Refused as refused:
            return JSONResponse({"error": str(refused)}, refused.status)
        except StoreError:
            return JSONResponse(
                {"error": "this cannot be read or kept now"}, 503, {"Retry-After": "1"}
            )

    return answer


def own_device(request: Request) -> str:
    """The device whose token this is; empty for a client."""
    return str(request.scope.get(DEVICE, ""))


def name_of(request: Request, what: str) -> str:
    """A name of the query, empty where there is none."""
    text = request.query_params.get(what, "")
    if text and not is_name(text.removeprefix("@")):
        raise Refused(400, f"{what}: expected a name, got {text!r:.80}")
    return text


def whole_of(request: Request, what: str, low: int, high: int = INT64 - 1) -> int | None:
    """A whole number of the query, None where there is none."""
    text = request.query_params.get(what)
    if text is None:
        return None
    digits = text.removeprefix("-")
    good = digits.isdecimal() and digits.isascii() and len(digits) <= 19
    if not good or not low <= int(text) <= high:
        raise Refused(400, f"{what}: expected a whole number {low} to {high}, got {text!r:.80}")
    return int(text)


def seconds_between(request: Request) -> tuple[float, float]:
    """`from_ns` and `to_ns` of the query as s since 1970, infinite where they are not given."""
    from_ns, to_ns = (whole_of(request, what, -INT64) for what in ("from_ns", "to_ns"))
    low_s = -math.inf if from_ns is None else from_ns / 1e9
    return low_s, math.inf if to_ns is None else to_ns / 1e9


def whose(request: Request, device: str = "") -> str:
    """Of which device is read, as the query or the path says; empty: of all of them."""
    device = device or name_of(request, "device")
    own = own_device(request)
    if request.scope.get(CLIENT) is not None:
        return device
    if device not in ("", own):
        raise Refused(403, f"a device may read its own only, not that of {device}")
    return own


async def paged(request: Request, what: str, page: Page) -> Response:
    """A page of it, or all of it a line each."""
    after = whole_of(request, "after", 0) or 0
    limit = whole_of(request, "limit", 1, LIMIT_MAX) or LIMIT
    if NDJSON in request.headers.get("accept", ""):
        return StreamingResponse(_lines(page, after), media_type=NDJSON)
    body = await run_in_threadpool(_page, page, what, after, limit)
    return Response(body, media_type="application/json")


def _page(page: Page, what: str, after: int, limit: int) -> str:
    told, last = page(after, limit)
    return told_as(
        {"next": str(last) if len(told) == limit else None}, what, (plain_json(one) for one in told)
    )


def told_as(more: dict[str, Any], name: str, items: Iterable[str]) -> str:
    """A JSON object of `more` and of a list of texts that are JSON each; made in a thread.

    Each is made by itself: what makes all of a long list at once holds up the loop, and with it
    frames, for as long as it takes, since it does not let go of the interpreter.
    """
    return f"{plain_json({**more, name: None})[: -len('null}')]}[{','.join(items)}]}}"


def plain_json(value: Any) -> str:
    """As answers have it. Raises ValueError where a number is none."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


async def _lines(page: Page, after: int) -> AsyncIterator[str]:
    while True:
        told, last = await run_in_threadpool(page, after, LIMIT_MAX)
        for one in told:
            yield json.dumps(one) + "\n"
        if len(told) < LIMIT_MAX:
            return
        after = last


async def json_of(request: Request, bytes_max: int) -> Any:
    """What the body says, None where it is no JSON. Raises Refused where it is larger."""
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > bytes_max:
            raise Refused(413, f"expected at most {bytes_max} bytes")
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
