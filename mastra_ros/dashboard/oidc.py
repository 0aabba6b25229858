"""Log-in at a provider of OpenID Connect: authorization code flow with PKCE.

After RFC 6749 (code flow), RFC 7636 (PKCE, S256), OpenID Connect Core 1.0 (3.1.3.7, the checks of
the ID token) and RFC 9207 (the issuer in the answer). What a flow needs to be gone on with (state,
nonce, verifier) is in a signed cookie of the browser that began it, for ten minutes, so that no
flood of beginnings costs memory, and an answer that another browser began is none.
"""

from __future__ import annotations

import hmac
import secrets
import ssl
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx
import jwt
from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import AsyncOAuth2Client
from itsdangerous import BadData, URLSafeTimedSerializer

from ..errors import ConfigError
from .oidc_config import OidcConfig
from .people import NAME_CHARACTERS_MAX, ROLES, Person

FLOW_S = 600
"""From the beginning of a log-in to its end at the most."""
CALLBACK = "/oidc/callback"
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA")
"""Of ID tokens: of key pairs alone; `none` and those of shared secrets are refused."""
KEPT_S = 3600.0
AGAIN_S = 30.0
"""The provider's keys are asked for again so often where a token names one that is not known."""
LEEWAY_S = 60.0
TIMEOUT_S = 10.0
PREFIX = "oidc:"
"""Of the names of people from there, so that nobody passes for one of the file."""


class OidcError(Exception):
    """Somebody does not get in; the text is for the log, and holds no secret."""


@dataclass(frozen=True)
class Begun:
    """Where the browser is sent, and the cookie that it brings back."""

    url: str
    cookie: str


@dataclass(frozen=True)
class _Provider:
    authorization: str
    token: str
    jwks: str


class Oidc:
    """Used in one event loop."""

    def __init__(self, config: OidcConfig, origins: Collection[str]) -> None:
        """origins: those of the dashboard; an answer is sent to no other."""
        self._config = config
        self._origins = {origin.partition("://")[2]: origin for origin in origins}
        self._flows = URLSafeTimedSerializer(secrets.token_bytes(32), salt="mastra oidc")
        try:
            self._tls = ssl.create_default_context(cafile=config.ca)
        except OSError as error:
            raise ConfigError(f"oidc: {config.ca}: {error}") from None
        self._tls.minimum_version = ssl.TLSVersion.TLSv1_2
        self._known: _Provider | None = None
        self._keys: dict[str, Any] = {}
        self._known_s = self._keys_s = float("-inf")

    async def begin(self, host: str) -> Begun:
        """Begin a log-in for a browser that knows us as `host`. Raises OidcError."""
        redirect = self._redirect(host)
        provider = await self._provider()
        flow = {one: secrets.token_urlsafe(32) for one in ("nonce", "verifier")}
        async with self._client(redirect) as client:
            url, state = client.create_authorization_url(
                provider.authorization, code_verifier=flow["verifier"], nonce=flow["nonce"]
            )
        return Begun(str(url), str(self._flows.dumps({**flow, "state": state})))

    async def finish(self, host: str, query: Mapping[str, str], cookie: str) -> Person:
        """Who it is, by what the provider sent the browser back with. Raises OidcError."""
        try:
            flow = self._flows.loads(cookie, max_age=FLOW_S)
        except BadData:
            raise OidcError("the log-in was not begun in this browser, or long ago") from None
        if not hmac.compare_digest(flow["state"].encode(), query.get("state", "").encode()):
            raise OidcError("the state is not that of the log-in that was begun")
        if query.get("iss", self._config.issuer) != self._config.issuer:
            raise OidcError("the answer is of another provider")
        if error := query.get("error"):
            raise OidcError(f"the provider refuses: {error!r:.80}")
        code = query.get("code", "")
        if not 0 < len(code) <= 4096:
            raise OidcError("the answer has no code")
        provider = await self._provider()
        try:
            async with self._client(self._redirect(host)) as client:
                told = await client.fetch_token(
                    provider.token, code=code, code_verifier=flow["verifier"]
                )
        except (OAuthError, httpx.HTTPError, ValueError) as error:
            raise OidcError(f"the provider gives no token ({type(error).__name__})") from None
        claims = await self._claims(told.get("id_token"), flow["nonce"])
        return self._person(claims)

    async def _claims(self, token: Any, nonce: str) -> dict[str, Any]:
        config = self._config
        if not isinstance(token, str):
            raise OidcError("the provider gives no ID token")
        try:
            head = jwt.get_unverified_header(token)
            key = await self._key(str(head.get("kid", "")))
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=list(ALGORITHMS),
                audience=config.client_id,
                issuer=config.issuer,
                leeway=LEEWAY_S,
                options={"require": ["exp", "iat", "iss", "aud", "sub"]},
            )
        except jwt.PyJWTError as error:
            raise OidcError(f"the ID token does not hold ({type(error).__name__})") from None
        told = claims.get("nonce")
        if not isinstance(told, str) or not hmac.compare_digest(told.encode(), nonce.encode()):
            raise OidcError("the ID token is of another log-in")
        several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
        if (several or "azp" in claims) and claims.get("azp") != config.client_id:
            raise OidcError("the ID token was made for another client")
        return claims

    def _person(self, claims: Mapping[str, Any]) -> Person:
        config = self._config
        given = _claim(claims, config.role_claim)
        values = given if isinstance(given, list) else [given]
        found = {config.roles[one] for one in values if isinstance(one, str) if one in config.roles}
        name = _claim(claims, config.name_claim)
        name = name if isinstance(name, str) and name else claims["sub"]
        name = f"{PREFIX}{name}"
        if not name.isprintable() or len(name) > NAME_CHARACTERS_MAX:
            raise OidcError(
                f"the name {name!r:.80} is none of 1 to {NAME_CHARACTERS_MAX} characters"
            )
        if not found:
            raise OidcError(f"{name!a:.80} has no role: the claim is {given!r:.100}")
        return Person(name, max(found, key=ROLES.index))

    def _redirect(self, host: str) -> str:
        origin = self._origins.get(host)
        if origin is None:
            raise OidcError("the host is not one of this dashboard")
        return f"{origin}{CALLBACK}"

    def _client(self, redirect: str) -> AsyncOAuth2Client:
        return AsyncOAuth2Client(
            self._config.client_id,
            self._config.secret,
            scope="openid profile email",
            redirect_uri=redirect,
            code_challenge_method="S256",
            verify=self._tls,
            timeout=TIMEOUT_S,
            trust_env=False,
        )

    async def _provider(self) -> _Provider:
        if self._known is None or time.monotonic() - self._known_s > KEPT_S:
            issuer = self._config.issuer
            told = await self._fetch(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
            if told.get("issuer") != issuer:
                raise OidcError("the provider says that it is another")
            urls = [
                told.get(one) for one in ("authorization_endpoint", "token_endpoint", "jwks_uri")
            ]
            for url in urls:
                if not isinstance(url, str) or urlsplit(url).scheme != "https":
                    raise OidcError("the provider names addresses without TLS, or none")
            self._known, self._known_s = _Provider(*map(str, urls)), time.monotonic()
        return self._known

    async def _key(self, name: str) -> Any:
        now_s = time.monotonic()
        old = now_s - self._keys_s > KEPT_S
        if old or (name not in self._keys and now_s - self._keys_s > AGAIN_S):
            told = await self._fetch((await self._provider()).jwks)
            found = jwt.PyJWKSet.from_dict(told).keys
            self._keys, self._keys_s = {str(one.key_id or ""): one for one in found}, now_s
        key = self._keys.get(name)
        if key is None and not name and len(self._keys) == 1:
            key = next(iter(self._keys.values()))
        if key is None:
            raise jwt.InvalidKeyError("no such key")
        return key

    async def _fetch(self, url: str) -> dict[str, Any]:
        try:
            async with httpx.AsyncClient(
                verify=self._tls, timeout=TIMEOUT_S, trust_env=False
            ) as client:
                answer = (await client.get(url)).raise_for_status()
            told = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise OidcError(f"the provider does not answer ({type(error).__name__})") from None
        if not isinstance(told, dict):
            raise OidcError("the provider answers something else")
        return told


def _claim(claims: Mapping[str, Any], name: str) -> Any:
    """The claim of this name, or of this path."""
    if name in claims:
        return claims[name]
    found: Any = claims
    for part in name.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found
