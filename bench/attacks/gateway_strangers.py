"""Rows of who is let in: forged tokens, and TLS that is too old, too weak or none at all."""

from __future__ import annotations

import base64
import json
import secrets
import socket
import ssl
import time
import warnings
from collections.abc import Iterator
from typing import Any

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mastra_ros.protocol.keys import audience_of, load_device_key

from .healthy import tls_of
from .row import Record, row
from .site import Site, Sites

ITEM = "6 strangers"
NAME, OTHER = "evil-1", "evil-2"
PATH = "/v2"


def _coded(value: Any) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _claims(site: Site, **changes: Any) -> dict[str, Any]:
    now = int(time.time())
    made = {
        "iss": NAME,
        "sub": NAME,
        "aud": audience_of(site.keys),
        "iat": now,
        "nbf": now,
        "exp": now + 300,
        "jti": secrets.token_hex(8),
    }
    made.update(changes)
    return {name: value for name, value in made.items() if value != "left out"}


def _signed(site: Site, claims: dict[str, Any], **headers: Any) -> str:
    key = load_device_key(site.keys, NAME)
    return jwt.encode(claims, key, "EdDSA", {"kid": NAME, **headers})


WRONG_VALUES: tuple[Any, ...] = ("left out", None, "", [], {}, True, -1, 1e308, "x" * 2000, "\x00")


def _wrong_claims(site: Site) -> Iterator[tuple[str, str]]:
    """One claim at a time missing, of another type, or absurd; each is signed by the device."""
    for name in ("iss", "sub", "aud", "exp", "jti"):
        for value in WRONG_VALUES:
            if name in ("iss", "sub", "jti") and value == "x" * 2000:
                continue  # its length alone is no fault of a jti; the others are with the names
            yield (
                f"{name} {value!r:.20}",
                _raw(site, {"alg": "EdDSA", "kid": NAME}, _claims(site, **{name: value})),
            )
    now = int(time.time())
    absurd: dict[str, dict[str, Any]] = {
        "expired": {"exp": now - 100, "iat": now - 200, "nbf": now - 200},
        "not yet": {"nbf": now + 3000},
        "a life of a day and more": {"exp": now + 90_000},
        "another's audience": {"aud": "mastra-gateway-elsewhere"},
        "issued in the future": {"iat": now + 3000, "nbf": now + 3000},
        "of another": {"iss": OTHER, "sub": OTHER},
        "a path": {"iss": f"../{NAME}", "sub": f"../{NAME}"},
    }
    for text, changes in absurd.items():
        yield text, _raw(site, {"alg": "EdDSA", "kid": NAME}, _claims(site, **changes))


def _raw(site: Site, header: dict[str, Any], claims: dict[str, Any]) -> str:
    """Signed with the device's key, whatever stands in it: no library looks at it before."""
    key: Any = load_device_key(site.keys, NAME)
    signed = f"{_coded(header)}.{_coded(claims)}"
    return f"{signed}.{_coded(key.sign(signed.encode()))}"


def _wrong_headers(site: Site) -> Iterator[tuple[str, str]]:
    """The algorithm or the key is another than that of the device."""
    claims = _claims(site)
    for alg in ("none", "None", "HS256", "HS512", "RS256", "ES256", "PS384", "", "eddsa", None, 7):
        forged = {"alg": alg, "kid": NAME}
        yield f"alg {alg!r}", _raw(site, forged, claims)
        yield f"alg {alg!r}, unsigned", f"{_coded(forged)}.{_coded(claims)}."
    for kid in (OTHER, "nobody", f"../{NAME}", f"{NAME}\x00", "/etc/passwd", "", 7, None, [NAME]):
        yield f"kid {kid!r}", _raw(site, {"alg": "EdDSA", "kid": kid}, claims)
    yield "critical", _raw(site, {"alg": "EdDSA", "kid": NAME, "crit": ["x"], "x": 1}, claims)
    for name in ("jwk", "jku", "x5u"):
        stranger = Ed25519PrivateKey.generate()
        public = stranger.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        bait: Any = {"kty": "OKP", "crv": "Ed25519", "x": _coded(public)}
        header: dict[str, Any] = {
            "kid": NAME,
            name: bait if name == "jwk" else "https://127.0.0.1/key",
        }
        yield f"its own {name}", jwt.encode(claims, stranger, "EdDSA", header)
    key: Any = load_device_key(site.keys, NAME)
    public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    secret = public.ljust(64, b"\0")
    yield "keyed with the public key", jwt.encode(claims, secret, "HS256", {"kid": NAME})
    other = load_device_key(site.keys, OTHER)
    yield "signed by another device", jwt.encode(claims, other, "EdDSA", {"kid": NAME})


def _wrong_bytes(site: Site) -> Iterator[tuple[str, str]]:
    """A good token that was changed, cut, or is none."""
    good = _signed(site, _claims(site))
    head, body, signature = good.split(".")
    for n, part in enumerate((head, body, signature)):
        for at in (0, len(part) // 2):
            flipped = part[:at] + ("A" if part[at] != "A" else "B") + part[at + 1 :]
            parts = [head, body, signature]
            parts[n] = flipped
            yield f"part {n} changed at {at}", ".".join(parts)
        parts = [head, body, signature]
        parts[n] = ""
        yield f"part {n} empty", ".".join(parts)
    for text in (
        *(f"{head}.{body}", f"{good}.{signature}", f"{body}.{head}.{signature}", "a.b.c", ".."),
        *("=" * 40, "x" * 8000, good[: len(good) // 2], good + "A" * 4000),
    ):
        yield f"{text[:12]} of {len(text)}", text


def _refused(sites: Sites, record: Record, tokens: Any) -> None:
    """Each gets 401, and a good one afterwards 200."""
    site = sites.site()
    with (
        site.watched(record, least_s=sites.least_s),
        httpx.Client(
            base_url=f"https://127.0.0.1:{site.port}", verify=tls_of(site.keys), timeout=20.0
        ) as client,
    ):
        for what, token in tokens(site):
            record.attempts += 1
            headers = {"Authorization": f"Bearer {token}"}
            status = client.get(PATH, headers=headers).status_code
            record.expect(status == 401, f"a token ({what}) got {status}")
        good = {"Authorization": f"Bearer {_signed(site, _claims(site))}"}
        record.expect(client.get(PATH, headers=good).status_code == 200, "a good one is refused")


@row(ITEM, "tokens with wrong, missing and absurd claims")
def wrong_claims(sites: Sites, record: Record) -> None:
    """Signed by a registered device."""
    _refused(sites, record, _wrong_claims)


@row(ITEM, "tokens whose algorithm or key is another")
def wrong_headers(sites: Sites, record: Record) -> None:
    """None is taken, no key is fetched."""
    _refused(sites, record, _wrong_headers)


@row(ITEM, "tokens that were changed, cut, or are none")
def wrong_bytes(sites: Sites, record: Record) -> None:
    """Whatever the bytes are."""
    _refused(sites, record, _wrong_bytes)


@row(ITEM, "TLS of other versions, with other suites, and none at all")
def other_tls(sites: Sites, record: Record) -> None:
    """Only 1.3 is spoken; who speaks something else is refused in its own words."""
    site = sites.site()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        versions = (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2)
    suites = ("ALL", "AES128-SHA", "ECDHE-RSA-AES256-GCM-SHA384", "NULL:eNULL", "ADH")
    with site.watched(record, least_s=sites.least_s):
        for version in versions:
            for suite in suites:
                record.attempts += 1
                record.expect(
                    not _shakes_hands(site, version, suite), f"{version.name} with {suite} got in"
                )
        for plain in (
            b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
            b"\x80\x2e\x01\x00\x02",
            b"\xff",
        ):
            record.attempts += 1
            with socket.create_connection(("127.0.0.1", site.port), timeout=20.0) as sock:
                sock.sendall(plain.ljust(64, b"\0"))
                heard = _heard(sock)
                record.expect(not heard or heard[0] == 21, f"{plain[:8]!r} was answered {heard!r}")
        record.expect(_shakes_hands(site, ssl.TLSVersion.TLSv1_3, ""), "TLS 1.3 is refused")


def _heard(sock: socket.socket) -> bytes:
    try:
        return sock.recv(64)
    except ConnectionError:
        return b""


def _shakes_hands(site: Site, version: ssl.TLSVersion, suites: str) -> bool:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(site.keys / "ca.crt")
    try:
        if suites:
            context.set_ciphers(f"{suites}:@SECLEVEL=0")
        with warnings.catch_warnings():  # that these versions are old is the point
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
            context.maximum_version = version
    except (ssl.SSLError, ValueError):
        return False  # this machine's OpenSSL cannot even ask for it
    try:
        with (
            socket.create_connection(("127.0.0.1", site.port), timeout=20.0) as sock,
            context.wrap_socket(sock, server_hostname="127.0.0.1") as wrapped,
        ):
            return wrapped.version() is not None
    except OSError:
        return False
