"""What handlers of `/v1` share: one clear answer for what is refused, and checked parameters."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ..errors import StoreError
from ..protocol.checks import is_name
from .auth import DEVICE

_INT64 = 2**63


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


def whole_of(request: Request, what: str, low: int, high: int = _INT64 - 1) -> int | None:
    """A whole number of the query, None where there is none."""
    text = request.query_params.get(what)
    if text is None:
        return None
    digits = text.removeprefix("-")
    good = digits.isdecimal() and digits.isascii() and len(digits) <= 19
    if not good or not low <= int(text) <= high:
        raise Refused(400, f"{what}: expected a whole number {low} to {high}, got {text!r:.80}")
    return int(text)
