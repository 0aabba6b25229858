"""What the dashboard asks of a gateway: over HTTP alone, with a client's key."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from ..errors import AuthenticationError, LinkError
from ..protocol.clients import client_audience, load_client_key
from ..protocol.tls import client_context
from ..protocol.tokens import sign_token

TOKEN_LIFE_S, RENEW_S = 300.0, 240.0
TIMEOUT_S = 5.0
ANSWER_BYTES_MAX = 8 * 2**20
JPEG = b"\xff\xd8"


class GatewayError(LinkError):
    """The gateway refuses something, or does not answer; the text says which."""


class PictureWithheld(GatewayError):  # noqa: N818 - it is the device's answer
    """A device shows no picture; the text says why."""


class GatewayClient:
    """Asks one gateway; used in one event loop."""

    def __init__(self, url: str, keys_dir: Path, name: str) -> None:
        """Raises AuthenticationError where the client has no key."""
        self._keys_dir = keys_dir
        self._name = name
        self._key = load_client_key(keys_dir, name)
        self._audience = client_audience(keys_dir)
        self._token, self._signed_s = "", -RENEW_S
        self._http = httpx.AsyncClient(
            base_url=url,
            verify=client_context(keys_dir / "ca.crt"),
            timeout=TIMEOUT_S,
            trust_env=False,
            follow_redirects=False,
        )

    async def get(self, path: str, **query: Any) -> Any:
        """The JSON at a path. Raises GatewayError."""
        return await self._ask("GET", path, params=query)

    async def picture(self, device: str) -> bytes:
        """The newest picture of a device as JPEG, asked of it where it sends none by itself.

        Raises GatewayError, also where there is none, PictureWithheld where the device says why.
        """
        status, body = await self._fetch("GET", f"/v1/devices/{device}/picture")
        if status == 200 and body.startswith(JPEG):
            return body
        try:
            told = json.loads(body)
        except ValueError:
            told = None
        why = told.get("withheld") if isinstance(told, dict) else None
        if isinstance(why, str):
            raise PictureWithheld(why[:300])
        raise GatewayError("there is no picture")

    async def set(self, device: str, values: Mapping[str, Any], person: str) -> Any:
        """Ask for settings of a device on behalf of a person; None takes one back."""
        path = f"/v1/devices/{device}/settings"
        body = {"values": dict(values)}
        return await self._ask("PATCH", path, json=body, headers=_on_behalf_of(person))

    async def post(self, path: str, asked: Mapping[str, Any], person: str) -> Any:
        """Ask for something on behalf of a person. Raises GatewayError."""
        return await self._ask("POST", path, json=dict(asked), headers=_on_behalf_of(person))

    async def close(self) -> None:
        """Hang up."""
        await self._http.aclose()

    async def _fetch(self, method: str, path: str, **options: Any) -> tuple[int, bytes]:
        headers = {**options.pop("headers", {}), "Authorization": f"Bearer {self._fresh()}"}
        try:
            async with self._http.stream(method, path, headers=headers, **options) as answer:
                body = b""
                async for piece in answer.aiter_bytes():
                    body += piece
                    if len(body) > ANSWER_BYTES_MAX:
                        raise GatewayError(f"{path}: the answer is larger than expected")
        except httpx.HTTPError as error:
            raise GatewayError(f"the gateway does not answer ({type(error).__name__})") from None
        return answer.status_code, body

    async def _ask(self, method: str, path: str, **options: Any) -> Any:
        status, body = await self._fetch(method, path, **options)
        try:
            told = json.loads(body)
        except ValueError:
            told = {}
        if status >= 400:
            why = told.get("error", "") if isinstance(told, dict) else ""
            raise GatewayError(str(why)[:300] or f"the gateway answers {status}")
        return told

    def _fresh(self) -> str:
        now_s = time.monotonic()
        if now_s - self._signed_s >= RENEW_S:
            try:
                self._token = sign_token(self._name, self._key, self._audience, TOKEN_LIFE_S)
            except AuthenticationError as error:
                raise GatewayError(str(error)) from None
            self._signed_s = now_s
        return self._token


def _on_behalf_of(person: str) -> dict[str, str]:
    """Names may be of any script, and headers are ASCII."""
    return {"X-Mastra-Person": quote(person, safe=" :@")}
