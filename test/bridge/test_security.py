"""The bridge trusts one authority and TLS 1.3, and says clearly what is refused, either way."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mastra_ros.bridge import BridgeClient
from mastra_ros.bridge.clearing import NothingToHide
from mastra_ros.errors import AuthenticationError, ConfigError
from mastra_ros.protocol import Goodbye
from mastra_ros.protocol.keys import add_device, init_keys


@pytest.fixture
def old_server(keys: Path) -> Iterator[tuple[str, list[str]]]:
    """A server that knows only TLS 1.2: its address, and what its handshakes came to."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(keys / "server.crt", keys / "server.key")
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    outcomes: list[str] = []

    def serve() -> None:
        while not closing.is_set():
            client, _ = listener.accept()
            try:
                with client, context.wrap_socket(client, server_side=True) as secured:
                    outcomes.append(secured.version() or "")
            except OSError as error:
                outcomes.append(str(error))

    closing = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        port = listener.getsockname()[1]
        yield f"wss://127.0.0.1:{port}", outcomes
        closing.set()
        socket.create_connection(("127.0.0.1", port)).close()
        thread.join()


@pytest.fixture
def other_keys(tmp_path: Path) -> Path:
    init_keys(tmp_path / "other")
    add_device(tmp_path / "other", "camera-1")
    return tmp_path / "other"


def make(config: Any) -> BridgeClient:
    return BridgeClient(
        config, on_result=print, on_failed=print, on_status=print, clearer=NothingToHide()
    )


def test_the_session_runs_over_tls_1_3(connected: Any) -> None:
    client = connected()
    seen: list[str] = []
    done = threading.Event()

    def look() -> None:
        seen.append(client._uplink._websocket.transport.get_extra_info("ssl_object").version())
        done.set()

    client._loop.call_soon_threadsafe(look)
    assert done.wait(20.0)
    assert seen == ["TLSv1.3"]


def test_a_gateway_that_knows_only_tls_1_2_is_refused(
    bridge: Any, config: Any, old_server: tuple[str, list[str]], ears: Any
) -> None:
    address, outcomes = old_server
    bridge(config(gateway=address))
    ears.wait_status(lambda s: "TLS 1.3" in s.error)
    ears.wait(lambda: outcomes)
    assert "TLSv1.2" not in outcomes
    assert ears.status.session == 0


def test_a_gateway_of_another_authority_is_refused_before_it_sees_a_token(
    bridge: Any, config: Any, gateway: Any, other_keys: Path, ears: Any
) -> None:
    bridge(config(keys_dir=str(other_keys)))
    ears.wait_status(lambda s: "certificate is not trusted" in s.error)
    assert not gateway.tokens


def test_a_name_that_the_certificate_does_not_bear_is_refused(
    bridge: Any, config: Any, gateway: Any, ears: Any
) -> None:
    bridge(config(gateway=f"wss://127.0.0.2:{gateway.port}"))
    ears.wait_status(lambda s: s.error != "")
    assert not gateway.tokens


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_is_reported_and_tried_again_slowly(
    bridge: Any, config: Any, gateway: Any, ears: Any, status: int
) -> None:
    gateway.refuse_status = status
    bridge(config(reconnect_delay_max_s=0.2))
    ears.wait_status(lambda s: f"refused with HTTP {status}: as told" in s.error)
    gateway.refuse_status = 0
    ears.wait_status(lambda s: s.link.connected)
    assert len(gateway.tokens) == 2  # a second attempt, and not dozens


def test_an_audience_that_is_not_the_gateways_is_refused(
    bridge: Any, config: Any, gateway: Any, ears: Any
) -> None:
    bridge(config(audience="somebody-else"))
    ears.wait_status(lambda s: "not meant for audience mastra-gateway" in s.error)


def test_other_refusals_are_no_fault_of_ours_and_tried_again_soon(
    bridge: Any, config: Any, gateway: Any, ears: Any
) -> None:
    gateway.refuse_status = 503
    bridge(config())
    ears.wait(lambda: len(gateway.tokens) > 3)
    assert "refused with HTTP 503" in ears.status.error


def test_a_redirect_is_not_followed(bridge: Any, config: Any, gateway: Any, ears: Any) -> None:
    respond = gateway._check_token

    def redirect(websocket: Any, request: Any) -> Any:
        gateway.refuse_status = 307
        response = respond(websocket, request)
        response.headers["Location"] = "wss://elsewhere.invalid/v1/stream"
        return response

    gateway.stop()
    gateway._check_token = redirect
    gateway.start()
    bridge(config())
    ears.wait_status(lambda s: "redirect" in s.error)


def test_a_goodbye_for_the_device_itself_is_tried_again_slowly(
    bridge: Any, config: Any, gateway: Any, ears: Any
) -> None:
    bridge(config(reconnect_delay_max_s=0.2))
    ears.wait_status(lambda s: s.link.connected)
    gateway.say(Goodbye("forbidden", "the device is blocked"))
    ears.wait_status(lambda s: "forbidden the device is blocked" in s.error)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"gateway": "ws://127.0.0.1:1"}, "expected wss://host:port"),
        ({"gateway": "https://127.0.0.1:1"}, "expected wss://host:port"),
        ({"gateway": "wss://"}, "expected wss://host:port"),
        ({"gateway": "wss://a:99999"}, "no address"),
        ({"gateway": "wss://user:secret@a:1"}, "no more than"),
        ({"gateway": "wss://a:1/?token=x"}, "no more than"),
        ({"device": "../x"}, "device: expected a name"),
        ({"stream": "a b"}, "stream: expected a name"),
        ({"keys_dir": ""}, "MASTRA_KEYS is not set"),
        ({"heartbeat_timeout_ms": 60.0}, "at least two intervals"),
    ],
)
def test_a_configuration_that_cannot_work_is_refused(
    config: Any, changes: dict[str, Any], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MASTRA_KEYS", raising=False)
    with pytest.raises(ConfigError, match=said):
        make(config(**changes))


def test_keys_that_are_missing_are_named(config: Any, tmp_path: Path) -> None:
    with pytest.raises(AuthenticationError, match=r"camera-9\.key: No such file"):
        make(config(device="camera-9"))
    with pytest.raises(AuthenticationError, match=r"ca\.crt"):
        make(config(keys_dir=str(tmp_path / "nowhere")))


def test_the_keys_folder_may_come_from_the_environment(
    config: Any, bridge: Any, ears: Any, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MASTRA_KEYS", str(keys))
    bridge(config(keys_dir=""))
    ears.wait_status(lambda s: s.link.connected)


def test_a_proxy_in_the_environment_is_not_used(
    config: Any, bridge: Any, ears: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    bridge(config())
    ears.wait_status(lambda s: s.link.connected)
