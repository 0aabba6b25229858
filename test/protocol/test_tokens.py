"""Tokens: what the device signs is accepted, and every forgery is refused with its reason."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization as coding
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from mastra_ros.errors import AuthenticationError
from mastra_ros.protocol.tokens import (
    PrivateKey,
    ReplayGuard,
    load_private_key,
    load_public_key,
    sign_token,
    verify_token,
)

NOW = 1_800_000_000.0
ED = ed25519.Ed25519PrivateKey.generate()
P256 = ec.generate_private_key(ec.SECP256R1())
KEYS: dict[str, Any] = {"camera-1": ED.public_key(), "camera-2": P256.public_key()}


def public_pem(key: PrivateKey) -> bytes:
    return key.public_key().public_bytes(
        coding.Encoding.PEM, coding.PublicFormat.SubjectPublicKeyInfo
    )


def private_pem(key: Any) -> bytes:
    pem: bytes = key.private_bytes(
        coding.Encoding.PEM, coding.PrivateFormat.PKCS8, coding.NoEncryption()
    )
    return pem


def verify(token: str, now_s: float = NOW, **options: Any) -> str:
    return verify_token(token, KEYS, "gateway", now_s, **options)


def forged(
    claims: dict[str, Any] | None = None, header: dict[str, Any] | None = None, key: Any = ED,
    algorithm: str = "EdDSA", drop: str = "",
) -> str:  # fmt: skip
    """A token signed by hand, right but for what is changed."""
    full: dict[str, Any] = {
        "iss": "camera-1", "sub": "camera-1", "aud": "gateway", "jti": "0123456789abcdef",
        "iat": NOW, "nbf": NOW, "exp": NOW + 300, **(claims or {}),
    }  # fmt: skip
    full.pop(drop, None)
    return jwt.encode(full, key, algorithm, headers={"kid": "camera-1", **(header or {})})


def raw(header: dict[str, Any], claims: dict[str, Any], sign: Callable[[bytes], bytes]) -> str:
    """A token made without the library, which would refuse to make it."""

    def part(value: Any) -> bytes:
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        return base64.urlsafe_b64encode(data).rstrip(b"=")

    signed = part(header) + b"." + part(claims)
    return (signed + b"." + part(sign(signed))).decode()


@pytest.mark.parametrize(("device", "key"), [("camera-1", ED), ("camera-2", P256)])
def test_a_device_is_known_by_its_token(device: str, key: PrivateKey) -> None:
    token = sign_token(device, private_pem(key), "gateway", 300, NOW)
    assert verify(token) == device
    pems = {device: public_pem(key)}
    assert verify_token(token, pems, "gateway", NOW) == device


def test_a_token_has_the_claims_that_the_protocol_names() -> None:
    token = sign_token("camera-1", ED, "gateway", 300, NOW)
    assert jwt.get_unverified_header(token) == {"alg": "EdDSA", "typ": "JWT", "kid": "camera-1"}
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims.pop("jti")
    assert claims == {
        "iss": "camera-1", "sub": "camera-1", "aud": "gateway",
        "iat": NOW, "nbf": NOW, "exp": NOW + 300,
    }  # fmt: skip


def test_two_tokens_are_never_the_same() -> None:
    assert sign_token("a", ED, "gateway", 300, NOW) != sign_token("a", ED, "gateway", 300, NOW)


@pytest.mark.parametrize(
    ("token", "said"),
    [
        (forged({"aud": "other"}), "audience"),
        (forged({"aud": ["gateway", "other"]}), "audience"),
        (forged({"iss": "camera-2"}), "issuer"),
        (forged({"sub": "camera-2"}), "subject"),
        (forged({"jti": "short"}), "jti"),
        (forged({"exp": NOW + 3700}), "life"),
        (forged({"nbf": NOW - 3500}), "life"),
        (forged({"exp": True}), "exp"),
        (forged({"exp": float("inf")}), "exp"),
        (forged({"nbf": NOW + 100}), "check the clocks"),
        (forged({"iat": NOW + 100}), "check the clocks"),
        (forged(key=ed25519.Ed25519PrivateKey.generate()), "not signed by camera-1"),
        (forged(header={"kid": "camera-3"}), "camera-3 is unknown"),
        (forged(header={"kid": "../camera-1"}), "names no device"),
        (forged(header={"crit": ["exp"]}), "critical"),
        (forged(header={"typ": "at+jwt"}), "type"),
        (forged(key=P256, algorithm="ES256"), "expected algorithm EdDSA"),
        (forged(key=P256, algorithm="ES256", header={"kid": "camera-2"}), "issuer"),
        ("", "not a JSON Web Token"),
        ("a.b.c", "not a JSON Web Token"),
        ("x" * 5000, "at most 4096"),
    ],
)  # fmt: skip
def test_a_forged_token_is_refused_with_its_reason(token: str, said: str) -> None:
    with pytest.raises(AuthenticationError, match=said):
        verify(token)


@pytest.mark.parametrize("claim", ["iss", "sub", "aud", "exp", "nbf", "iat", "jti"])
def test_every_claim_is_required(claim: str) -> None:
    with pytest.raises(AuthenticationError, match=f"(claim {claim} missing|audience)"):
        verify(forged(drop=claim))


CLAIMS = {
    "iss": "camera-1", "sub": "camera-1", "aud": "gateway", "jti": "0123456789abcdef",
    "iat": NOW, "nbf": NOW, "exp": NOW + 300,
}  # fmt: skip


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", ""])
def test_an_unsigned_token_is_refused(algorithm: str) -> None:
    token = raw({"alg": algorithm, "kid": "camera-1"}, CLAIMS, lambda _: b"")
    with pytest.raises(AuthenticationError):
        verify(token)


@pytest.mark.parametrize("encoding", ["pem", "raw"])
def test_a_public_key_is_no_shared_secret(encoding: str) -> None:
    public = ED.public_key()
    secret = public_pem(ED) if encoding == "pem" else public.public_bytes_raw()
    token = raw(
        {"alg": "HS256", "kid": "camera-1"},
        CLAIMS,
        lambda signed: hmac.new(secret, signed, hashlib.sha256).digest(),
    )
    with pytest.raises(AuthenticationError, match="expected algorithm EdDSA"):
        verify(token)


def test_a_header_without_a_device_is_refused() -> None:
    for header in ({"alg": "EdDSA"}, {"alg": "EdDSA", "kid": 7}):
        with pytest.raises(AuthenticationError):
            verify(raw(header, CLAIMS, ED.sign))


def test_a_changed_claim_breaks_the_signature() -> None:
    head, _, signature = forged().split(".")
    body = json.dumps({**CLAIMS, "exp": NOW + 3000}).encode()
    token = f"{head}.{base64.urlsafe_b64encode(body).rstrip(b'=').decode()}.{signature}"
    with pytest.raises(AuthenticationError, match="not signed"):
        verify(token)


def test_clocks_may_differ_by_the_leeway() -> None:
    token = sign_token("camera-1", ED, "gateway", 300, NOW)
    assert verify(token, NOW + 329) == "camera-1"
    assert verify(token, NOW - 29) == "camera-1"
    with pytest.raises(AuthenticationError, match="expired 31 s ago"):
        verify(token, NOW + 331)
    with pytest.raises(AuthenticationError, match="check the clocks"):
        verify(token, NOW - 31)
    with pytest.raises(AuthenticationError, match="expired"):
        verify(token, NOW + 301, leeway_s=0.0)


def test_a_used_token_is_refused_where_replays_are_watched() -> None:
    guard = ReplayGuard()
    token = forged()
    assert verify(token, replay=guard) == "camera-1"
    with pytest.raises(AuthenticationError, match="used before"):
        verify(token, replay=guard)


def test_a_device_that_uses_up_its_tokens_keeps_out_only_itself_and_only_for_their_life() -> None:
    guard = ReplayGuard(tokens_max=2)
    guard.admit("camera-2", "the-other-one", NOW + 300, NOW)
    for n in range(2):
        guard.admit("camera-1", f"token-{n}", NOW + 300, NOW)
    with pytest.raises(AuthenticationError, match="2 tokens of camera-1 are still good"):
        guard.admit("camera-1", "token-2", NOW + 300, NOW)
    with pytest.raises(AuthenticationError, match="used before"):
        guard.admit("camera-2", "the-other-one", NOW + 300, NOW)
    guard.admit("camera-1", "token-2", NOW + 600, NOW + 300)


def test_a_life_above_an_hour_cannot_be_signed() -> None:
    with pytest.raises(AuthenticationError, match="life"):
        sign_token("camera-1", ED, "gateway", 3601, NOW)
    with pytest.raises(AuthenticationError, match="no name"):
        sign_token("../x", ED, "gateway", 300, NOW)


@pytest.mark.parametrize(
    "key",
    [rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP384R1())],
    ids=["RSA", "P-384"],
)
def test_only_ed25519_and_p256_are_keys(key: Any) -> None:
    with pytest.raises(AuthenticationError, match="expected Ed25519 or P-256"):
        load_private_key(private_pem(key))
    with pytest.raises(AuthenticationError, match="expected Ed25519 or P-256"):
        load_public_key(public_pem(key))


def test_rubbish_is_no_key() -> None:
    with pytest.raises(AuthenticationError, match="not readable"):
        load_private_key(b"rubbish")
    with pytest.raises(AuthenticationError, match="not readable"):
        load_public_key(private_pem(ED))
