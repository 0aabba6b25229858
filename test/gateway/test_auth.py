"""Who is let in: the allowlist, tokens, TLS 1.3; each refusal is one line of log."""

from __future__ import annotations

import base64
import json
import socket
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from websockets.exceptions import InvalidMessage, InvalidStatus

from mastra_ros.errors import ConfigError
from mastra_ros.gateway.auth import Allowlist, PublicKeys
from mastra_ros.gateway.embedded import EmbeddedGateway
from mastra_ros.protocol.keys import add_device, device_key_path, init_keys, load_device_key
from mastra_ros.protocol.tokens import sign_token

AUDIENCE = "mastra-gateway"
ConnectDevice = Callable[..., Any]


def claims(device: str = "cam-1", **changes: Any) -> dict[str, Any]:
    now = int(time.time())
    made = {
        "iss": device,
        "sub": device,
        "aud": AUDIENCE,
        "iat": now,
        "nbf": now,
        "exp": now + 300,
        "jti": "0123456789abcdef",
    }
    made.update(changes)
    return {name: value for name, value in made.items() if value is not None}


def signed(
    keys: Path, device: str = "cam-1", headers: dict[str, Any] | None = None, **changes: Any
) -> str:
    key = load_device_key(keys, "cam-1")
    return jwt.encode(claims(device, **changes), key, "EdDSA", {"kid": device, **(headers or {})})


def unsigned(keys: Path) -> str:
    parts = [{"alg": "none", "typ": "JWT", "kid": "cam-1"}, claims()]
    coded = [base64.urlsafe_b64encode(json.dumps(p).encode()).rstrip(b"=").decode() for p in parts]
    return ".".join([*coded, ""])


def keyed_with_the_public_key(keys: Path) -> str:
    """HS256, with the public key as the shared secret."""
    public = load_device_key(keys, "cam-1").public_key()
    secret = public.public_bytes(Encoding.Raw, PublicFormat.Raw)
    # Without the padding PyJWT warns of a short secret; the attack is the same.
    return jwt.encode(claims(), secret.ljust(64, b"\0"), "HS256", {"kid": "cam-1"})


def of_another_device(keys: Path) -> str:
    return jwt.encode(claims("cam-1"), load_device_key(keys, "cam-2"), "ES256", {"kid": "cam-2"})


def by_a_stranger(keys: Path) -> str:
    return jwt.encode(claims(), Ed25519PrivateKey.generate(), "EdDSA", {"kid": "cam-1"})


NOW = time.time()
BAD_TOKENS: dict[str, tuple[Callable[[Path], str], str]] = {
    "expired": (lambda k: signed(k, exp=int(NOW - 100), iat=int(NOW - 200), nbf=0), "expired"),
    "not yet valid": (lambda k: signed(k, nbf=int(NOW + 3000)), "not valid for another"),
    "unsigned": (unsigned, "expected algorithm EdDSA"),
    "HS256": (keyed_with_the_public_key, "expected algorithm EdDSA"),
    "wrong audience": (lambda k: signed(k, aud="elsewhere"), "not meant for audience"),
    "of another device": (of_another_device, "issuer is not cam-2"),
    "by a stranger": (by_a_stranger, "not signed by cam-1"),
    "unknown device": (lambda k: signed(k, "nobody"), "device nobody is unknown"),
    "a path for a device": (lambda k: signed(k, "../cam-1"), "names no device"),
    "critical extension": (lambda k: signed(k, headers={"crit": ["x"], "x": 1}), "critical"),
    "no jti": (lambda k: signed(k, jti=None), "jti missing"),
    "lives too long": (lambda k: signed(k, exp=int(NOW + 90_000)), "a life up to"),
    "rubbish": (lambda k: "abc.def", "not a JSON Web Token"),
}


@pytest.mark.parametrize("kind", BAD_TOKENS)
def test_a_bad_token_is_refused_in_one_line(
    gateway: EmbeddedGateway, connect_device: ConnectDevice, keys: Path, kind: str
) -> None:
    make, why = BAD_TOKENS[kind]
    before = gateway.log_path.read_text()
    with pytest.raises(InvalidStatus) as refused:
        connect_device(gateway, token=make(keys))
    assert refused.value.response.status_code == 401
    assert refused.value.response.headers["WWW-Authenticate"] == "Bearer"
    logged = gateway.log_path.read_text().removeprefix(before).splitlines()
    assert len(logged) <= 1, "one line a kind and minute"
    assert all("WARNING" in line and why in line for line in logged)
    assert why in gateway.log_path.read_text()
    assert why in refused.value.response.body.decode()


def test_no_token_and_other_schemes_are_refused(http: Callable[..., Any]) -> None:
    assert http("/v2", token="").status_code == 401
    assert http("/v2", headers={"Authorization": "Basic Y2FtOmNhbQ=="}).status_code == 401
    twice = [("Authorization", "Bearer a.b.c"), ("Authorization", "Bearer a.b.c")]
    assert http("/v2", headers=twice).status_code == 401


def test_a_token_opens_only_one_session(
    gateway: EmbeddedGateway, connect_device: ConnectDevice, keys: Path
) -> None:
    token = sign_token("cam-1", load_device_key(keys, "cam-1"), AUDIENCE)
    connect_device(gateway, stream="replay", token=token)
    with pytest.raises(InvalidStatus) as refused:
        connect_device(gateway, stream="replay", token=token)
    assert refused.value.response.status_code == 401
    assert b"used before" in refused.value.response.body


def test_an_address_that_is_not_on_the_allowlist_is_refused_before_the_handshake(
    start_gateway: Callable[..., EmbeddedGateway], connect_device: ConnectDevice
) -> None:
    gateway = start_gateway(allow=("10.0.0.0/8",))
    for _ in range(3):
        with pytest.raises((OSError, EOFError, InvalidMessage)):
            connect_device(gateway)
    lines = gateway.log_path.read_text().splitlines()
    assert len([line for line in lines if "refused 127.0.0.1: not on the allowlist" in line]) == 1
    gateway.stop()


def test_tls_below_1_3_is_refused(gateway: EmbeddedGateway, keys: Path) -> None:
    old = ssl.create_default_context(cafile=keys / "ca.crt")
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with (
        pytest.raises(ssl.SSLError, match=r"PROTOCOL_VERSION|protocol version"),
        _connection(gateway.port) as raw,
        old.wrap_socket(raw, server_hostname="127.0.0.1"),
    ):
        pass
    new = ssl.create_default_context(cafile=keys / "ca.crt")
    with (
        _connection(gateway.port) as raw,
        new.wrap_socket(raw, server_hostname="127.0.0.1") as sock,
    ):
        assert sock.version() == "TLSv1.3"


def _connection(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=30.0)


def test_an_allowlist_knows_both_families() -> None:
    allowlist = Allowlist(["10.1.0.0/16", "fd00::/8"])
    assert allowlist.admits("10.1.2.3")
    assert allowlist.admits("::ffff:10.1.2.3")
    assert allowlist.admits("fd00::1")
    assert not allowlist.admits("10.2.0.1")
    assert not allowlist.admits("fe80::1")
    assert not allowlist.admits("")
    assert not Allowlist([]).admits("127.0.0.1")


def test_a_wrong_network_is_one_clear_error() -> None:
    with pytest.raises(ConfigError, match=r"10\.1\.0\.1/16"):
        Allowlist(["10.1.0.1/16"])


def test_devices_are_added_and_removed_while_the_gateway_runs(tmp_path: Path) -> None:
    own_keys = tmp_path / "keys"
    init_keys(own_keys)
    add_device(own_keys, "cam-1")
    known = PublicKeys(own_keys)
    assert list(known) == ["cam-1"]
    assert known.get("cam-3") is None
    add_device(own_keys, "cam-3")
    assert known.get("cam-3") is not None
    assert len(known) == 2
    device_key_path(own_keys, "cam-1").with_suffix(".pub").unlink()
    assert known.get("cam-1") is None
