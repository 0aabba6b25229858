"""Device-signed tokens: who opens a session (JSON Web Tokens, RFC 7519; practices of RFC 8725).

The device signs with its private key, EdDSA for Ed25519 and ES256 for P-256; the gateway knows
only public keys. The algorithm follows from the key and never from the token, so neither `none`
nor HS256 keyed with a public key can pass. Header: alg, typ, kid = device. Claims, all required:
iss = sub = device, aud, exp, nbf, iat, jti.
"""

from __future__ import annotations

import math
import secrets
import time
from collections import OrderedDict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from ..errors import AuthenticationError
from .checks import is_name, printable

AUDIENCE = "mastra-gateway"
"""The audience where an installation has none of its own."""

LIFETIME_MAX_S = 3600.0
TOKEN_CHARACTERS_MAX = 4096
REQUIRED = ("iss", "sub", "aud", "exp", "nbf", "iat", "jti")

LEEWAY_S = 30.0
"""By how much clocks may differ."""

PublicKey = Ed25519PublicKey | EllipticCurvePublicKey
PrivateKey = Ed25519PrivateKey | EllipticCurvePrivateKey


class TokenRefused(AuthenticationError):  # noqa: N818 - named for what happened
    """A token is refused; `kind` is the reason in words of ours alone, for counting and logs."""

    def __init__(self, text: str, kind: str = "") -> None:
        super().__init__(f"token: {text}")
        self.kind = kind or text


@dataclass(frozen=True)
class Verified:
    """What a good token says. Times in seconds since 1970."""

    device: str
    expires_s: float
    life_s: float
    key: bytes  # the public key that it was verified with, DER


def load_private_key(pem: bytes) -> PrivateKey:
    """A device's private key from PEM; AuthenticationError unless Ed25519 or P-256."""
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise AuthenticationError(f"private key: not readable ({error})") from None
    if isinstance(key, (Ed25519PrivateKey, EllipticCurvePrivateKey)):
        algorithm_of(key)
        return key
    raise AuthenticationError("private key: expected Ed25519 or P-256")


def load_public_key(pem: bytes) -> PublicKey:
    """A device's public key from PEM; AuthenticationError unless Ed25519 or P-256."""
    try:
        key = load_pem_public_key(pem)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise AuthenticationError(f"public key: not readable ({error})") from None
    if isinstance(key, (Ed25519PublicKey, EllipticCurvePublicKey)):
        algorithm_of(key)
        return key
    raise AuthenticationError("public key: expected Ed25519 or P-256")


def algorithm_of(key: PublicKey | PrivateKey) -> str:
    """The only algorithm that this key may be used with: EdDSA or ES256."""
    if isinstance(key, (Ed25519PublicKey, Ed25519PrivateKey)):
        return "EdDSA"
    if isinstance(key.curve, SECP256R1):
        return "ES256"
    raise AuthenticationError(f"key: expected Ed25519 or P-256, got {key.curve.name}")


def sign_token(
    device: str,
    private_key: bytes | PrivateKey,
    audience: str,
    lifetime_s: float = 300.0,
    now_s: float | None = None,
) -> str:
    """A token for `device`, valid from now (seconds since 1970) for `lifetime_s`."""
    if not is_name(device):
        raise AuthenticationError(f"token: {device!r} is no name of a device")
    if not 0.0 < lifetime_s <= LIFETIME_MAX_S:
        raise AuthenticationError(f"token: expected a life up to {LIFETIME_MAX_S:g} s")
    key = load_private_key(private_key) if isinstance(private_key, bytes) else private_key
    now = int(time.time() if now_s is None else now_s)
    claims = {
        "iss": device,
        "sub": device,
        "aud": audience,
        "iat": now,
        "nbf": now,
        "exp": now + math.ceil(lifetime_s),
        "jti": secrets.token_urlsafe(16),
    }
    return jwt.encode(claims, key, algorithm=algorithm_of(key), headers={"kid": device})


def verify_token(
    token: str,
    public_keys: Mapping[str, bytes | PublicKey],
    audience: str | Collection[str],
    now_s: float | None = None,
    *,
    leeway_s: float = LEEWAY_S,
    replay: ReplayGuard | None = None,
) -> str:
    """The device that signed `token`; AuthenticationError names the reason when refused.

    `now_s` is seconds since 1970. Clocks may differ by `leeway_s`.
    """
    return check_token(token, public_keys, audience, now_s, leeway_s=leeway_s, replay=replay).device


def check_token(
    token: str,
    public_keys: Mapping[str, bytes | PublicKey],
    audience: str | Collection[str],
    now_s: float | None = None,
    *,
    leeway_s: float = LEEWAY_S,
    replay: ReplayGuard | None = None,
) -> Verified:
    """As `verify_token`, with all that the token says; `audience` may be one of several."""
    device = _device_of(token)
    known = public_keys.get(device)
    if known is None:
        raise TokenRefused(f"device {device} is unknown", "device is unknown")
    key = load_public_key(known) if isinstance(known, bytes) else known
    audiences = (audience,) if isinstance(audience, str) else tuple(audience)
    claims = _verified_claims(token, key, device, audiences)
    now = time.time() if now_s is None else now_s
    expires = _check_times(claims, now, leeway_s)
    jti = claims["jti"]
    if type(jti) is not str or not 8 <= len(jti) <= 128 or not jti.isascii():
        raise TokenRefused("expected a jti of 8 to 128 characters")
    if replay is not None:
        replay.admit(device, jti, expires + leeway_s, now)
    return Verified(device, expires, expires - float(claims["iat"]), key_bytes(key))


def key_bytes(key: PublicKey) -> bytes:
    """A public key as DER, to compare it with another."""
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _device_of(token: str) -> str:
    """The device that the unverified header names: it only says which key to try."""
    if type(token) is not str or len(token) > TOKEN_CHARACTERS_MAX:
        raise TokenRefused(f"expected at most {TOKEN_CHARACTERS_MAX} characters")
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.InvalidTokenError, ValueError, RecursionError) as error:
        raise TokenRefused(
            f"not a JSON Web Token ({printable(str(error)[:100])})", "not a JSON Web Token"
        ) from None
    if "crit" in header or "b64" in header:
        raise TokenRefused("critical extensions are not understood")
    if header.get("typ", "JWT") != "JWT":
        raise TokenRefused("expected the type JWT")
    device = header.get("kid")
    if not isinstance(device, str) or not is_name(device):
        raise TokenRefused("the header names no device (kid)")
    return device


def _verified_claims(
    token: str, key: PublicKey, device: str, audiences: Collection[str]
) -> dict[str, Any]:
    """Claims of a token whose signature, names and audience are right; times are not checked."""
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=[algorithm_of(key)],
            issuer=device,
            options={
                "require": list(REQUIRED),
                "verify_aud": False,  # below: exactly one, and one of ours
                # The library's clock cannot be given; `_check_times` looks at these.
                "verify_exp": False,
                "verify_nbf": False,
                "verify_iat": False,
            },
        )
    except jwt.InvalidAlgorithmError:
        raise TokenRefused(f"expected algorithm {algorithm_of(key)}") from None
    except jwt.InvalidSignatureError:
        raise TokenRefused(f"not signed by {device}", "wrong signature") from None
    except jwt.InvalidIssuerError:
        raise TokenRefused(f"issuer is not {device}", "wrong issuer") from None
    except jwt.MissingRequiredClaimError as error:
        raise TokenRefused(f"claim {error.claim} missing") from None
    except (jwt.PyJWTError, ValueError, RecursionError) as error:
        raise TokenRefused(f"refused ({type(error).__name__})") from None
    if claims["sub"] != device:
        raise TokenRefused(f"subject is not {device}", "wrong subject")
    if type(claims["aud"]) is not str or claims["aud"] not in audiences:
        raise TokenRefused(f"not meant for audience {' or '.join(audiences)}")
    return claims


def _check_times(claims: Mapping[str, Any], now: float, leeway_s: float) -> float:
    """Expiry of the token, after checking that now lies within its (short) life."""
    times = []
    for name in ("nbf", "iat", "exp"):
        value = claims[name]
        if type(value) not in (int, float) or not -1e15 < value < 1e15:
            raise TokenRefused(f"claim {name} is no time")
        times.append(float(value))
    not_before, issued, expires = times
    if now - leeway_s >= expires:
        raise TokenRefused(f"expired {now - expires:.0f} s ago", "expired")
    if now + leeway_s < max(not_before, issued):
        raise TokenRefused(
            f"not valid for another {max(not_before, issued) - now:.0f} s; check the clocks",
            "not valid yet",
        )
    if expires - min(not_before, issued) > LIFETIME_MAX_S:
        raise TokenRefused(f"expected a life up to {LIFETIME_MAX_S:g} s")
    return expires


class ReplayGuard:
    """Remembers the tokens that were used, until they expire; bounded in number for each device.

    So a device that uses up its number keeps out itself alone, and none of the others' tokens is
    forgotten before its time.
    """

    def __init__(self, tokens_max: int = 10_000, devices_max: int = 100_000) -> None:
        self._used: dict[str, OrderedDict[str, float]] = {}
        self._tokens_max = tokens_max
        self._devices_max = devices_max

    def admit(self, device: str, jti: str, expires_s: float, now_s: float) -> None:
        """Remember a token; AuthenticationError when it was used before."""
        used = self._used.get(device)
        if used is None:
            self._forget_devices(now_s)
            used = self._used.setdefault(device, OrderedDict())
        while used and next(iter(used.values())) <= now_s:
            used.popitem(last=False)
        if jti in used:
            raise TokenRefused("used before")
        if len(used) >= self._tokens_max:
            raise TokenRefused(f"{len(used)} tokens of {device} are still good", "too many tokens")
        self.remember(device, jti, expires_s)

    def remember(self, device: str, jti: str, expires_s: float) -> None:
        """Take a token down as used."""
        self._used.setdefault(device, OrderedDict())[jti] = expires_s

    def _forget_devices(self, now_s: float) -> None:
        """Only devices that are known get here, so there are few, unless keys come and go."""
        if len(self._used) < self._devices_max:
            return
        for device, used in list(self._used.items()):
            if all(until <= now_s for until in used.values()):
                del self._used[device]
