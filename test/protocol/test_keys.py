"""The folder of keys: made with closed modes, checked when read, and good for TLS 1.3 only."""

from __future__ import annotations

import os
import ssl
import stat
from pathlib import Path

import pytest
from cryptography import x509

from mastra_ros.errors import AuthenticationError, ConfigError
from mastra_ros.protocol import keys
from mastra_ros.protocol.tls import client_context, server_context
from mastra_ros.protocol.tokens import sign_token, verify_token


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    before = os.umask(0)  # the modes must not depend on it
    try:
        keys.init_keys(tmp_path / "keys", hosts=["gateway.local", "10.0.0.7"])
        keys.add_device(tmp_path / "keys", "camera-1")
        keys.add_device(tmp_path / "keys", "camera-2", algorithm="p256")
    finally:
        os.umask(before)
    return tmp_path / "keys"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def handshake(client: ssl.SSLContext, server: ssl.SSLContext, host: str) -> str:
    """The version of TLS that both ends agree on, in memory."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client.wrap_bio(to_client, to_server, server_hostname=host)
    theirs = server.wrap_bio(to_server, to_client, server_side=True)
    waiting = [ours, theirs]
    while waiting:  # each in turn, until it wants to read what the other has not said yet
        end = waiting.pop(0)
        try:
            end.do_handshake()
        except ssl.SSLWantReadError:
            waiting.append(end)
    return ours.version() or ""


def test_private_files_are_closed_to_others_whatever_the_umask(folder: Path) -> None:
    assert mode(folder) == mode(folder / "devices") == 0o700
    private = ["ca.key", "server.key", "devices/camera-1.key", "devices/camera-2.key"]
    assert {mode(folder / name) for name in private} == {0o600}
    assert not list(folder.glob("**/.*"))


def test_what_the_folder_holds_is_shown_without_secrets(folder: Path) -> None:
    shown = keys.show(folder)
    assert shown.devices == {"camera-1": "EdDSA", "camera-2": "ES256"}
    assert shown.server_names == ("localhost", "127.0.0.1", "::1", "gateway.local", "10.0.0.7")
    assert shown.authority.count(":") == 31
    assert "PRIVATE" not in repr(shown)


@pytest.mark.parametrize("name", ["camera-1", "camera-2"])
def test_a_device_signs_with_its_key_and_the_gateway_knows_its_public_one(
    folder: Path, name: str
) -> None:
    token = sign_token(name, keys.load_device_key(folder, name), "gateway")
    assert verify_token(token, keys.load_public_keys(folder), "gateway") == name


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1", "gateway.local", "10.0.0.7"])
def test_the_certificate_is_good_for_every_name_of_the_server(folder: Path, host: str) -> None:
    client = client_context(folder / "ca.crt")
    server = server_context(folder / "server.crt", folder / "server.key")
    assert handshake(client, server, host) == "TLSv1.3"


def test_another_name_and_another_authority_are_refused(folder: Path, tmp_path: Path) -> None:
    server = server_context(folder / "server.crt", folder / "server.key")
    with pytest.raises(ssl.SSLCertVerificationError, match="verify failed"):
        handshake(client_context(folder / "ca.crt"), server, "elsewhere")
    keys.init_keys(tmp_path / "other")
    with pytest.raises(ssl.SSLCertVerificationError, match="verify failed"):
        handshake(client_context(tmp_path / "other" / "ca.crt"), server, "localhost")


def test_neither_end_speaks_less_than_tls_1_3(folder: Path) -> None:
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    old.load_cert_chain(folder / "server.crt", folder / "server.key")
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError):
        handshake(client_context(folder / "ca.crt"), old, "localhost")
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.load_verify_locations(folder / "ca.crt")
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError):
        handshake(old, server_context(folder / "server.crt", folder / "server.key"), "localhost")


def test_the_certificates_say_what_they_are_for(folder: Path) -> None:
    server = x509.load_pem_x509_certificate((folder / "server.crt").read_bytes())
    authority = x509.load_pem_x509_certificate((folder / "ca.crt").read_bytes())
    assert not server.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert authority.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert authority.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    assert not server.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    server.verify_directly_issued_by(authority)


def test_a_second_init_keeps_the_authority_and_renews_the_server(folder: Path) -> None:
    authority = (folder / "ca.crt").read_bytes()
    certificate = (folder / "server.crt").read_bytes()
    keys.init_keys(folder, hosts=["new.local"])
    assert (folder / "ca.crt").read_bytes() == authority
    assert (folder / "server.crt").read_bytes() != certificate
    assert "new.local" in keys.show(folder).server_names


def test_a_device_is_never_replaced(folder: Path) -> None:
    before = (folder / "devices/camera-1.key").read_bytes()
    with pytest.raises(ConfigError, match="camera-1 has keys already"):
        keys.add_device(folder, "camera-1")
    assert (folder / "devices/camera-1.key").read_bytes() == before


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "a b", "x" * 65, "ä", "a\n"])
def test_a_name_that_could_be_a_path_is_refused(folder: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="expected a name"):
        keys.add_device(folder, name)
    with pytest.raises(ConfigError, match="expected a name"):
        keys.load_device_key(folder, name)


def test_an_exposed_file_or_folder_is_refused_with_the_cure(folder: Path) -> None:
    (folder / "devices/camera-1.key").chmod(0o640)
    with pytest.raises(AuthenticationError, match=r"mode 0640 is open to others.*chmod 600"):
        keys.load_device_key(folder, "camera-1")
    (folder / "devices/camera-1.key").chmod(0o600)
    folder.chmod(0o755)
    with pytest.raises(AuthenticationError, match=r"mode 0755 is open to others.*chmod 700"):
        keys.load_device_key(folder, "camera-1")
    with pytest.raises(AuthenticationError, match="0755"):
        keys.show(folder)


def test_what_is_missing_or_no_key_is_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(AuthenticationError, match=r"camera-3\.key: No such file"):
        keys.load_device_key(folder, "camera-3")
    with pytest.raises(AuthenticationError, match="nowhere: No such file"):
        keys.show(tmp_path / "nowhere")
    (folder / "devices/camera-9.pub").write_text("rubbish")
    with pytest.raises(AuthenticationError, match=r"camera-9\.pub: public key: not readable"):
        keys.load_public_keys(folder)
    with pytest.raises(AuthenticationError, match="no certificate"):
        client_context(folder / "devices/camera-9.pub")
    with pytest.raises(AuthenticationError, match="no usable certificate"):
        server_context(folder / "ca.crt", folder / "server.key")


def test_an_unknown_algorithm_or_host_is_refused(folder: Path) -> None:
    with pytest.raises(ConfigError, match="ed25519 or p256"):
        keys.add_device(folder, "camera-4", algorithm="rsa")
    with pytest.raises(ConfigError, match="host"):
        keys.init_keys(folder, hosts=["gä"])
    (folder / "ca.crt").unlink()
    with pytest.raises(ConfigError, match="belong together"):
        keys.init_keys(folder)


def test_a_new_folder_gets_an_audience_of_its_own_and_an_old_one_goes_on(tmp_path: Path) -> None:
    keys.init_keys(tmp_path / "new", own_audience=True)
    own = keys.audience_of(tmp_path / "new")
    assert own.startswith("mastra-gateway-")
    keys.init_keys(tmp_path / "new", hosts=["more.local"], own_audience=True)
    assert keys.audience_of(tmp_path / "new") == own
    keys.init_keys(tmp_path / "old")
    keys.init_keys(tmp_path / "old", own_audience=True)
    assert keys.audience_of(tmp_path / "old") == "mastra-gateway"
    (tmp_path / "old" / "audience").write_text("two\nlines\n")
    with pytest.raises(AuthenticationError, match="expected one line"):
        keys.audience_of(tmp_path / "old")
