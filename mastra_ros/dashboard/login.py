"""The log-in: a form without scripts, slowed down for who guesses."""

from __future__ import annotations

import asyncio
import html
import logging
import time
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from .guard import cookie_of, header_of
from .logins import AGE_S, COOKIE, Logins
from .oidc import CALLBACK, FLOW_S, Oidc, OidcError
from .people import People, Person
from .texts import language_of, text
from .throttle import Throttle

logger = logging.getLogger(__name__)

FORM_BYTES_MAX = 4096
FLOW_COOKIE = "mastra_oidc"
VERIFYING_MAX = 2
"""Passwords that are checked at once: each takes 64 MiB and a core."""


class Login:
    """Answers `/login` and `/logout`."""

    def __init__(
        self, people: People, logins: Logins, *, secure: bool, oidc: Oidc | None = None
    ) -> None:
        """secure: the page is served over TLS, and so the cookie must not travel without.

        oidc: a provider at which people may log in, too.
        """
        self._oidc = oidc
        self._people = people
        self._logins = logins
        self._secure = secure
        self._throttle = Throttle()
        self._verifying = asyncio.Semaphore(VERIFYING_MAX)

    def app(self) -> Starlette:
        """The application behind the guard's open paths."""
        ways = (
            []
            if self._oidc is None
            else [
                Route("/oidc/start", self._begin, methods=["GET"]),
                Route(CALLBACK, self._finish, methods=["GET"]),
            ]
        )
        return Starlette(
            routes=[
                *ways,
                Route("/login", self._form, methods=["GET"]),
                Route("/login", self._enter, methods=["POST"]),
                Route("/logout", self._leave, methods=["POST"]),
                Route("/healthz", self._health, methods=["GET"]),
                Route("/favicon.ico", self._no_icon, methods=["GET"]),
            ]
        )

    async def _no_icon(self, _: Request) -> Response:
        return Response(status_code=204)

    async def _health(self, _: Request) -> Response:
        return PlainTextResponse("ok")

    async def _leave(self, request: Request) -> Response:
        self._logins.close(cookie_of(request.scope))
        left = RedirectResponse("/login", 303)
        left.delete_cookie(COOKIE, path="/")
        return left

    async def _form(self, request: Request) -> Response:
        return self._page(request, "")

    async def _enter(self, request: Request) -> Response:
        fields = await _fields(request)
        if fields is None:
            return PlainTextResponse("expected a form with name and password", 400)
        name, password = fields
        address = request.client.host if request.client else ""
        wait_s = self._throttle.wait_s(address, name, time.monotonic())
        if wait_s > 0:
            answer = self._page(request, "login.wait", 429, seconds=int(wait_s) + 1)
            answer.headers["Retry-After"] = str(int(wait_s) + 1)
            return answer
        async with self._verifying:
            person = await asyncio.to_thread(self._people.verify, name, password)
        if person is None:
            self._throttle.failed(address, name, time.monotonic())
            logger.warning("log-in of %.80s from %s refused", ascii(name), address)
            return self._page(request, "login.wrong", 401)
        self._throttle.succeeded(address, name)
        return self._entered(request, person, RedirectResponse("/", 303))

    def _entered(
        self, request: Request, person: Person, answer: Response, *, elsewhere: bool = False
    ) -> Response:
        address = request.client.host if request.client else ""
        logger.info("%s logged in from %s as %s", person.name, address, person.role)
        # One that was there before is not gone on with (session fixation).
        self._logins.close(cookie_of(request.scope))
        answer.set_cookie(
            COOKIE,
            self._logins.open(person, elsewhere=elsewhere),
            max_age=int(AGE_S),
            httponly=True,
            secure=self._secure,
            samesite="strict",
            path="/",
        )
        return answer

    async def _begin(self, request: Request) -> Response:
        assert self._oidc is not None
        try:
            begun = await self._oidc.begin(header_of(request.scope, b"host"))
        except OidcError as error:
            logger.warning("log-in at the provider: %s", error)
            return self._page(request, "login.provider", 502)
        sent = RedirectResponse(begun.url, 303)
        sent.set_cookie(
            FLOW_COOKIE,
            begun.cookie,
            max_age=FLOW_S,
            httponly=True,
            secure=self._secure,
            samesite="lax",  # it has to come along when the provider sends the browser back
            path=CALLBACK,
        )
        return sent

    async def _finish(self, request: Request) -> Response:
        assert self._oidc is not None
        address = request.client.host if request.client else ""
        wait_s = self._throttle.wait_s(address, CALLBACK, time.monotonic())
        if wait_s > 0:
            return self._page(request, "login.wait", 429, seconds=int(wait_s) + 1)
        try:
            person = await self._oidc.finish(
                header_of(request.scope, b"host"),
                dict(request.query_params),
                request.cookies.get(FLOW_COOKIE, ""),
            )
        except OidcError as error:
            # By address alone: nobody shuts the provider's door for others.
            self._throttle.failed(address, f"{CALLBACK} {address}", time.monotonic())
            logger.warning("log-in at the provider from %s refused: %s", address, error)
            answer = self._page(request, "login.refused", 403)
        else:
            # A redirect that a foreign page began carries no cookie that is SameSite=Strict.
            answer = self._entered(request, person, HTMLResponse(_ONWARD), elsewhere=True)
        answer.delete_cookie(FLOW_COOKIE, path=CALLBACK)
        return answer

    def _page(self, request: Request, key: str, status: int = 200, **values: int) -> Response:
        language = language_of(request.headers.get("accept-language", ""))
        complaint = text(key, language, **values) if key else ""
        marks = {
            one: html.escape(text(f"login.{one}", language))
            for one in ("title", "name", "password", "enter")
        }
        alert = f'<p role="alert">{html.escape(complaint)}</p>' if complaint else ""
        other = html.escape(text("login.other", language))
        way = f'<p><a href="/oidc/start">{other}</a></p>' if self._oidc else ""
        return HTMLResponse(_PAGE.format(lang=language, alert=alert, way=way, **marks), status)


async def _fields(request: Request) -> tuple[str, str] | None:
    """Name and password of a form; None for what is no such form."""
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > FORM_BYTES_MAX:
            return None
    try:
        fields = parse_qs(body.decode("utf-8"), keep_blank_values=True, max_num_fields=8)
        (name,), (password,) = fields["name"], fields["password"]
    except (UnicodeError, ValueError, KeyError):
        return None
    return name, password


_ONWARD = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Mastra</title>
<meta http-equiv="refresh" content="0; url=/"></head><body><a href="/">Mastra</a></body></html>
"""

_PAGE = """<!doctype html>
<html lang="{lang}"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 16px/1.5 system-ui, sans-serif; display: grid; place-items: center; }}
form {{ display: grid; gap: .5rem; width: 18rem; }}
input, button {{ font: inherit; padding: .5rem; }}
[role=alert] {{ margin: 0; font-weight: 600; }}
a {{ color: inherit; }}
</style></head>
<body><main><h1>{title}</h1>{alert}
<form method="post" action="/login">
<label for="name">{name}</label>
<input id="name" name="name" autocomplete="username" required autofocus>
<label for="password">{password}</label>
<input id="password" name="password" type="password" autocomplete="current-password" required>
<button type="submit">{enter}</button>
</form>{way}</main></body></html>
"""
