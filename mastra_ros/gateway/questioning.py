"""Asking applications: `GET /v1/NAME/PATH`, where NAME is that of an application which runs.

Whoever may read records may ask: a client about all devices, a device about itself.
"""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ..errors import StoreError
from .applications.hosts import Applications
from .auth import DEVICE
from .clients import CLIENT

WITHIN_S = 30.0
"""An application that does not answer by then is not waited for."""
QUERY_CHARACTERS_MAX = 2000
RETRY = {"Retry-After": "1"}


class Questioning:
    """Handlers of these paths."""

    def __init__(self, applications: Applications | None, within_s: float = WITHIN_S) -> None:
        self._applications = applications
        self._within_s = within_s

    @property
    def paths(self) -> tuple[str, ...]:
        """What clients may ask, each with all that is below it."""
        names = () if self._applications is None else self._applications.names
        return tuple(f"/v1/{name}" for name in names)

    def routes(self) -> list[Route]:
        """The routes."""
        below = [Route(f"{path}/{{path:path}}", self._answer) for path in self.paths]
        return [*(Route(path, self._answer) for path in self.paths), *below]

    async def _answer(self, request: Request) -> Response:
        assert self._applications is not None
        name = request.url.path.split("/")[2]
        query = dict(request.query_params)
        if len(str(request.url.query)) > QUERY_CHARACTERS_MAX:
            text = f"expected a query of at most {QUERY_CHARACTERS_MAX} characters"
            return JSONResponse({"error": text}, 400)
        own = "" if request.scope.get(CLIENT) is not None else request.scope.get(DEVICE, "")
        if own and query.get("device", own) != own:
            text = f"a device may read its own only, not that of {query['device']:.80}"
            return JSONResponse({"error": text}, 403)
        answer = self._applications.ask(
            name, {"get": [request.path_params.get("path", ""), query, own]}
        )
        try:
            told = await asyncio.wait_for(asyncio.wrap_future(answer), self._within_s)
        except (StoreError, asyncio.TimeoutError):
            return JSONResponse({"error": f"{name} cannot be asked now"}, 503, RETRY)
        return _response(name, told)


def _response(name: str, told: dict[str, Any]) -> Response:
    if "json" in told:
        return Response(told["json"], media_type="application/json")
    if told.get("status") in (400, 404):
        return JSONResponse({"error": told["error"]}, told["status"])
    return JSONResponse({"error": f"a fault of the application {name}"}, 500)
