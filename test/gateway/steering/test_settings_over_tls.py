"""Operators change settings of devices over HTTP; devices hear of it, and the audit knows."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from mastra_ros.config import remote_parameters
from mastra_ros.config.remote import ITEMS_MAX, TEXT_CHARACTERS_MAX
from mastra_ros.gateway.embedded import EmbeddedGateway
from mastra_ros.protocol import Settings, Welcome, decode, encode
from mastra_ros.protocol.clients import add_client, client_audience, load_client_key
from mastra_ros.protocol.keys import audience_of, load_device_key
from mastra_ros.protocol.tokens import sign_token

DEADLINE_S = 30.0
PATH = "/v1/devices/cam-1/settings"
Ask = Callable[..., httpx.Response]


@pytest.fixture(scope="module")
def steered(
    keys: Path,
    start_gateway: Callable[..., EmbeddedGateway],
    tmp_path_factory: pytest.TempPathFactory,
) -> EmbeddedGateway:
    """A gateway that asks all of its devices for a quality."""
    for name, role in (("olga", "operator"), ("rita", "reader"), ("adam", "admin")):
        add_client(keys, name, role)
    folder = tmp_path_factory.mktemp("steering") / "state"
    return start_gateway(folder, device_settings=("compression.quality=61",))


@pytest.fixture(scope="module")
def ask(steered: EmbeddedGateway, keys: Path, tls: ssl.SSLContext) -> Iterator[Ask]:
    """Asks as a client or a device."""
    with httpx.Client(base_url=steered.url, verify=tls, timeout=60) as client:

        def request(path: str, who: str = "olga", method: str = "GET", **options: Any) -> Any:
            if who.startswith("cam"):
                token = sign_token(who, load_device_key(keys, who), audience_of(keys))
            else:
                token = sign_token(who, load_client_key(keys, who), client_audience(keys))
            headers = {"Authorization": f"Bearer {token}", **options.pop("headers", {})}
            return client.request(method, path, headers=headers, **options)

        yield request


def change(ask: Ask, values: Any, who: str = "olga", path: str = PATH, **headers: str) -> Any:
    return ask(path, who, "PATCH", json={"values": values}, headers=headers)


def hears_settings(device: Any) -> dict[str, Any]:
    deadline_s = time.monotonic() + DEADLINE_S
    while True:
        left_s = max(0.0, deadline_s - time.monotonic())
        message = decode(device.websocket.recv(timeout=left_s))
        if isinstance(message, Settings):
            return dict(message.values)


def test_a_device_that_is_connected_is_told_at_once(
    ask: Ask, steered: EmbeddedGateway, connect_device: Callable[..., Any]
) -> None:
    device = connect_device(steered, stream="told")
    answer = change(ask, {"scheduling.load_high": 0.75}, "adam")
    assert answer.status_code == 200, answer.text
    assert answer.json()["connected"]
    assert answer.json()["wanted"]["scheduling.load_high"] == 0.75
    assert hears_settings(device) == {"scheduling.load_high": 0.75}


def test_a_device_that_comes_later_is_told_in_its_welcome(
    ask: Ask, steered: EmbeddedGateway, connect_device: Callable[..., Any]
) -> None:
    path = "/v1/devices/cam-2/settings"
    answer = change(ask, {"scheduling.deadline_ms": 200, "compression.quality": 40}, path=path)
    assert not answer.json()["connected"]
    device = connect_device(steered, "cam-2", greet=False)
    assert device.open().settings == {"compression.quality": 40, "scheduling.deadline_ms": 200.0}
    again = change(ask, {"compression.quality": None, "scheduling.deadline_ms": None}, path=path)
    assert again.json()["wanted"] == {"compression.quality": 61}
    assert hears_settings(device) == {"compression.quality": 61}


def test_the_audit_says_who_changed_what_and_for_whom(ask: Ask) -> None:
    change(ask, {"compression.quality": 30}, **{"X-Mastra-Person": "Ada Lovelace"})
    change(ask, {"compression.quality": 35})
    told = ask("/v1/audit?device=cam-1&limit=2", "rita").json()
    newest, before = told["audit"]
    assert (newest["who"], newest["role"], newest["action"]) == ("olga", "operator", "set")
    assert (newest["name"], newest["old"], newest["new"]) == ("compression.quality", 30, 35)
    assert before["who"] == "olga for Ada Lovelace"
    older = ask(f"/v1/audit?device=cam-1&before={told['next']}&limit=1", "rita").json()["audit"]
    assert older[0]["id"] < before["id"]


def test_a_person_may_have_a_name_of_any_script(ask: Ask) -> None:
    for person, said in (("%E6%9D%8E%E9%9B%B7", "李雷"), ("100%25 Ada", "100% Ada")):
        change(ask, {"compression.quality": 30}, **{"X-Mastra-Person": person})
        newest = ask("/v1/audit?device=cam-1&limit=1", "rita").json()["audit"][0]
        assert newest["who"] == f"olga for {said}"


def test_readers_and_devices_change_nothing(ask: Ask) -> None:
    before = ask(PATH).json()["wanted"]
    for who in ("rita", "cam-1", "cam-2"):
        assert change(ask, {"compression.quality": 1}, who).status_code == 403
    assert ask(PATH).json()["wanted"] == before
    assert ask(PATH, "cam-1").status_code == 200
    assert ask(PATH, "cam-2").status_code == 403
    assert ask("/v1/audit", "cam-1").status_code == 403


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"compression.quality": 101}, "expected 0 to 100"),
        ({"compression.quality": "high"}, "expected int"),
        ({"privacy.mode": "off"}, "expected stage.parameter"),
        ({"bridge.device": "other"}, "expected stage.parameter"),
        ({"compression.quality": 50, "scheduling.load_high": [0.5]}, "expected float"),
        ({"scheduling.load_high": float("inf")}, "expected 0 to 1"),
        ({"x" * 5000: 1}, "expected stage.parameter"),
        ({"ultrasound.tgc_db": "1," * 600}, "expected at most 1024 characters"),
        ({"ultrasound.calipers": ["1,1 2,2"] * 65}, "expected at most 64"),
        ({"ultrasound.calipers": ["1" * 1025]}, "expected at most 1024 characters"),
    ],
)
def test_what_no_device_may_take_is_refused_whole_and_written_down(
    ask: Ask, values: Any, complaint: str
) -> None:
    before = ask(PATH).json()["wanted"]
    answer = ask(PATH, "olga", "PATCH", content=_json({"values": values}))
    assert answer.status_code == 422
    assert complaint in answer.json()["error"]
    assert ask(PATH).json()["wanted"] == before
    assert ask("/v1/audit?limit=1").json()["audit"][0]["action"] == "refused"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"[]", 400),
        (b'{"values": []}', 400),
        (b'{"values": {}}', 400),
        (b'{"values": ' + b"[" * 8000 + b"]" * 8000 + b"}", 400),
        (b'{"values": {"compression.quality": ' + b"1" * 20_000 + b"}}", 413),
    ],
)
def test_a_body_that_makes_no_sense_is_one_line(ask: Ask, body: bytes, status: int) -> None:
    answer = ask(PATH, "olga", "PATCH", content=body)
    assert answer.status_code == status
    assert len(answer.text) < 300


@pytest.mark.parametrize("device", ["nobody", "..%2Fcam-1", "a%20b", "%3Cscript%3E"])
def test_a_device_that_there_is_not_is_404(ask: Ask, device: str) -> None:
    assert ask(f"/v1/devices/{device}/settings").status_code == 404
    answer = change(ask, {"compression.quality": 1}, path=f"/v1/devices/{device}/settings")
    assert answer.status_code == 404


def test_a_person_is_a_short_line(ask: Ask) -> None:
    for person in ("x" * 65, "a\tb", "a%0Ab", "%1b[2J", "%ff", "%E2%80%AE" + "x", "%41" * 65):
        answer = change(ask, {"compression.quality": 1}, **{"X-Mastra-Person": person})
        assert answer.status_code == 400


def test_the_declarations_have_types_ranges_and_units(ask: Ask) -> None:
    told = {one["name"]: one for one in ask("/v1/settings", "rita").json()["settings"]}
    deadline = told["scheduling.deadline_ms"]
    assert (deadline["type"], deadline["unit"]) == ("float", "ms")
    assert deadline["minimum"] < deadline["default"] < deadline["maximum"]
    assert "local" in told["scheduling.route"]["choices"]
    assert not any(name.startswith(("privacy.", "bridge.", "gateway.")) for name in told)


def test_settings_survive_a_restart_of_the_gateway(
    keys: Path,
    tmp_path: Path,
    tls: ssl.SSLContext,
    start_gateway: Callable[..., EmbeddedGateway],
    connect_device: Callable[..., Any],
) -> None:
    token = sign_token("olga", load_client_key(keys, "olga"), client_audience(keys))
    first = start_gateway(tmp_path / "state")
    url = f"{first.url}{PATH}"
    headers = {"Authorization": f"Bearer {token}"}
    values = {"values": {"scheduling.policy": "dta"}}
    assert httpx.patch(url, json=values, headers=headers, verify=tls).status_code == 200
    first.stop()
    again = start_gateway(tmp_path / "state")
    assert connect_device(again, greet=False).open().settings == {"scheduling.policy": "dta"}


def _json(value: Any) -> bytes:
    import json

    return json.dumps(value).encode()


def test_all_that_may_be_wanted_together_fits_into_one_welcome() -> None:
    longest = {
        name: ("x" * TEXT_CHARACTERS_MAX,) * ITEMS_MAX if one.type is tuple else one.default
        for name, one in remote_parameters().items()
    }
    encode(Welcome(1, "session", {name: _plain(value) for name, value in longest.items()}))


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
