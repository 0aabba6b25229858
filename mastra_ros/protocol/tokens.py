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
from collections.abc import Mapping
from typing import Any

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from ..errors import AuthenticationError
from .checks import is_name

LIFETIME_MAX_S = 3600.0
TOKEN_CHARACTERS_MAX = 4096
REQUIRED = ("iss", "sub", "aud", "exp", "nbf", "iat", "jti")

PublicKey = Ed25519PublicKey | EllipticCurvePublicKey
PrivateKey = Ed25519PrivateKey | EllipticCurvePrivateKey


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
    audience: str,
    now_s: float | None = None,
    *,
    leeway_s: float = 30.0,
    replay: ReplayGuard | None = None,
) -> str:
    """The device that signed `token`; AuthenticationError names the reason when refused.

    `now_s` is seconds since 1970. Clocks may differ by `leeway_s`.
    """
    device = _device_of(token)
    known = public_keys.get(device)
    if known is None:
        raise AuthenticationError(f"token: device {device} is unknown")
    key = load_public_key(known) if isinstance(known, bytes) else known
    claims = _verified_claims(token, key, device, audience)
    now = time.time() if now_s is None else now_s
    expires = _check_times(claims, now, leeway_s)
    jti = claims["jti"]
    if type(jti) is not str or not 8 <= len(jti) <= 128:
        raise AuthenticationError("token: expected a jti of 8 to 128 characters")
    if replay is not None:
        replay.admit(device, jti, expires + leeway_s, now)
    return device


def _device_of(token: str) -> str:
    """The device that the unverified header names: it only says which key to try."""
    if type(token) is not str or len(token) > TOKEN_CHARACTERS_MAX:
        raise AuthenticationError(f"token: expected at most {TOKEN_CHARACTERS_MAX} characters")
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.InvalidTokenError, ValueError, RecursionError) as error:
        raise AuthenticationError(f"token: not a JSON Web Token ({str(error)[:100]})") from None
    if "crit" in header or "b64" in header:
        raise AuthenticationError("token: critical extensions are not understood")
    if header.get("typ", "JWT") != "JWT":
        raise AuthenticationError("token: expected the type JWT")
    device = header.get("kid")
    if not isinstance(device, str) or not is_name(device):
        raise AuthenticationError("token: the header names no device (kid)")
    return device


def _verified_claims(token: str, key: PublicKey, device: str, audience: str) -> dict[str, Any]:
    """Claims of a token whose signature, names and audience are right; times are not checked."""
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=[algorithm_of(key)],
            audience=audience,
            issuer=device,
            options={
                "require": list(REQUIRED),
                "strict_aud": True,
                # The library's clock cannot be given; `_check_times` looks at these.
                "verify_exp": False,
                "verify_nbf": False,
                "verify_iat": False,
            },
        )
    except jwt.InvalidAlgorithmError:
        raise AuthenticationError(f"token: expected algorithm {algorithm_of(key)}") from None
    except jwt.InvalidSignatureError:
        raise AuthenticationError(f"token: not signed by {device}") from None
    except jwt.InvalidAudienceError:
        raise AuthenticationError(f"token: not meant for audience {audience}") from None
    except jwt.InvalidIssuerError:
        raise AuthenticationError(f"token: issuer is not {device}") from None
    except jwt.MissingRequiredClaimError as error:
        raise AuthenticationError(f"token: claim {error.claim} missing") from None
    except (jwt.PyJWTError, ValueError, RecursionError) as error:
        raise AuthenticationError(f"token: refused ({type(error).__name__})") from None
    if claims["sub"] != device:
        raise AuthenticationError(f"token: subject is not {device}")
    return claims


def _check_times(claims: Mapping[str, Any], now: float, leeway_s: float) -> float:
    """Expiry of the token, after checking that now lies within its (short) life."""
    times = []
    for name in ("nbf", "iat", "exp"):
        value = claims[name]
        if type(value) not in (int, float) or not -1e15 < value < 1e15:
            raise AuthenticationError(f"token: claim {name} is no time")
        times.append(float(value))
    not_before, issued, expires = times
    if now - leeway_s >= expires:
        raise AuthenticationError(f"token: expired {now - expires:.0f} s ago")
    if now + leeway_s < max(not_before, issued):
        raise AuthenticationError(
            f"token: not valid for another {max(not_before, issued) - now:.0f} s; check the clocks"
        )
    if expires - min(not_before, issued) > LIFETIME_MAX_S:
        raise AuthenticationError(f"token: expected a life up to {LIFETIME_MAX_S:g} s")
    return expires


class ReplayGuard:
    """Remembers the tokens that were used, until they expire; bounded in number."""

    def __init__(self, tokens_max: int = 100_000) -> None:
        self._used: OrderedDict[tuple[str, str], float] = OrderedDict()
        self._tokens_max = tokens_max

    def admit(self, device: str, jti: str, expires_s: float, now_s: float) -> None:
        """Remember a token; AuthenticationError when it was used before."""
        while self._used:
            oldest, until = next(iter(self._used.items()))
            if until > now_s and len(self._used) < self._tokens_max:
                break
            del self._used[oldest]
        if (device, jti) in self._used:
            raise AuthenticationError("token: used before")
        self._used[device, jti] = expires_s
