"""`mastra keys`: a folder that gateway and devices can use."""

from __future__ import annotations

import stat
import time
from pathlib import Path

import pytest

from mastra_ros.cli.main import main
from mastra_ros.protocol.clients import ClientKeys, client_audience, role_of
from mastra_ros.protocol.keys import audience_of, load_public_keys, show
from mastra_ros.protocol.tokens import verify_token


@pytest.fixture
def keys(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    folder = tmp_path / "keys"
    assert main(["keys", "init", str(folder), "--host", "gateway.local", "--host", "10.0.0.7"]) == 0
    assert "authority" in capsys.readouterr().out
    return folder


def test_init_makes_a_private_folder_for_the_hosts(keys: Path) -> None:
    assert stat.S_IMODE(keys.stat().st_mode) == 0o700
    assert stat.S_IMODE((keys / "ca.key").stat().st_mode) == 0o600
    assert {"gateway.local", "10.0.0.7", "localhost", "127.0.0.1"} <= set(show(keys).server_names)


@pytest.mark.parametrize(("algorithm", "kind"), [("ed25519", "EdDSA"), ("es256", "ES256")])
def test_add_device_makes_a_key_pair(
    keys: Path, algorithm: str, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["keys", "add-device", str(keys), "cam", "--algorithm", algorithm]) == 0
    assert str(keys / "devices" / "cam.key") in capsys.readouterr().out
    assert show(keys).devices == {"cam": kind}


def test_show_tells_no_secret(keys: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["keys", "add-device", str(keys), "cam"])
    assert main(["keys", "show", str(keys)]) == 0
    shown = capsys.readouterr().out
    assert "cam (EdDSA)" in shown
    assert "gateway.local" in shown
    assert "PRIVATE" not in shown


def test_a_token_is_accepted_by_the_gateway(keys: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["keys", "add-device", str(keys), "cam"])
    capsys.readouterr()
    assert main(["keys", "token", str(keys), "cam", "--lifetime", "60"]) == 0
    token = capsys.readouterr().out.strip()
    audience = audience_of(keys)
    assert audience.startswith("mastra-gateway-"), "a new installation has one of its own"
    assert verify_token(token, load_public_keys(keys), audience, time.time()) == "cam"


def test_add_client_makes_keys_whose_tokens_are_for_clients_alone(
    keys: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["keys", "add-client", str(keys), "ada", "--role", "operator"]) == 0
    assert str(keys / "clients" / "ada.key") in capsys.readouterr().out
    assert stat.S_IMODE((keys / "clients" / "ada.key").stat().st_mode) == 0o600
    assert main(["keys", "token", str(keys), "ada", "--client"]) == 0
    token = capsys.readouterr().out.strip()
    audience = client_audience(keys)
    assert audience != audience_of(keys)
    assert verify_token(token, ClientKeys(keys), audience, time.time()) == "ada"
    assert role_of(keys, "ada") == "operator"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["add-device", "{keys}", "../cam"], "expected a name"),
        (["add-device", "{keys}", "twice"], "has keys already"),
        (["add-device", "{keys}/nowhere", "cam"], "No such file"),
        (["show", "{keys}/nowhere"], "No such file"),
        (["token", "{keys}", "nobody"], "No such file"),
        (["init", "{keys}", "--host", "ä ö"], "expected a name"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    keys: Path, arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["keys", "add-device", str(keys), "twice"])
    capsys.readouterr()
    assert main(["keys", *(text.format(keys=keys) for text in arguments)]) in (1, 2)
    shown = capsys.readouterr().err
    assert shown.startswith("mastra: ")
    assert shown.count("\n") == 1
    assert complaint in shown
