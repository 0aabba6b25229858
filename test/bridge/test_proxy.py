"""The way to the gateway by a site's proxy: which one, through it, and what it refuses."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mastra_ros.bridge.fake_gateway import FakeGateway
from mastra_ros.bridge.probe import Limits, probe_link
from mastra_ros.bridge.proxy import Proxy, is_exempt, is_loopback, proxy_for
from mastra_ros.config import BridgeConfig
from mastra_ros.errors import ConfigError, LinkError
from mastra_ros.protocol.keys import LOOPBACK, add_device, init_keys
from mastra_ros.protocol.tls import server_context

NAME = "gateway.example"
WAIT_S = 20.0


class ConnectProxy:
    """A small proxy that knows CONNECT alone; every name leads to 127.0.0.1.

    requests: the heads that came. status: the answer to the next ones. answer: bytes in its place.
    seen: what clients sent through it.
    """

    def __init__(self) -> None:
        self.requests: list[str] = []
        self.status = "200 Connection established"
        self.answer: bytes | None = None
        self.seen = bytearray()
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def close(self) -> None:
        for one in [self._server, *self._open]:
            _end(one)
        for thread in self._threads:
            thread.join(WAIT_S)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            self._start(self._serve, client)

    def _start(self, target: Callable[..., None], *sockets: socket.socket) -> None:
        self._open.extend(sockets)
        self._threads.append(threading.Thread(target=target, args=sockets))
        self._threads[-1].start()

    def _serve(self, client: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            part = client.recv(4096)
            if not part:
                return _end(client)
            head += part
        self.requests.append(head.decode())
        if self.answer is not None or not self.status.startswith("2"):
            client.sendall(self.answer or f"HTTP/1.1 {self.status}\r\n\r\n".encode())
            return _end(client)
        target = head.split()[1].decode()
        upstream = socket.create_connection(("127.0.0.1", int(target.rpartition(":")[2])))
        # In pieces, as the network may deliver it.
        for part in (b"HTTP/1.1 ", self.status.encode(), b"\r\nVia: 1.1 test\r\n\r", b"\n"):
            client.sendall(part)
        self._start(self._relay, client, upstream)
        return self._relay(upstream, client)

    def _relay(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                self.seen += data
                sink.sendall(data)
        except OSError:
            pass
        _end(sink)


def _end(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()


@pytest.fixture
def proxy() -> Iterator[ConnectProxy]:
    made = ConnectProxy()
    yield made
    made.close()


@pytest.fixture(scope="module")
def named_keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keys of a gateway that has a name besides its loopback addresses."""
    folder = tmp_path_factory.mktemp("named") / "keys"
    init_keys(folder, [*LOOPBACK, NAME])
    add_device(folder, "camera-1")
    return folder


@pytest.fixture
def far_gateway(named_keys: Path) -> Iterator[FakeGateway]:
    with FakeGateway(named_keys) as gateway:
        yield gateway


@pytest.fixture
def far(
    far_gateway: FakeGateway, named_keys: Path, config: Callable[..., BridgeConfig]
) -> Callable[..., BridgeConfig]:
    """Configurations of a bridge to a gateway that only a proxy leads to."""

    def make(**changes: Any) -> BridgeConfig:
        uri = f"wss://{NAME}:{far_gateway.port}"
        return config(**{"gateway": uri, "keys_dir": str(named_keys), **changes})

    return make


def test_frames_reach_the_gateway_through_the_proxy_which_sees_none_of_them(
    proxy: ConnectProxy, far: Any, far_gateway: FakeGateway, bridge: Any, ears: Any, packet: Any
) -> None:
    client = bridge(far(proxy=f"127.0.0.1:{proxy.port}"))
    ears.wait_status(lambda status: status.link.connected, "a session")
    client.send(packet(1), 5000.0)
    ears.wait(lambda: ears.result_keys == [1])
    assert proxy.requests[0].startswith(f"CONNECT {NAME}:{far_gateway.port} HTTP/1.1\r\n")
    assert f"Host: {NAME}:{far_gateway.port}\r\n" in proxy.requests[0]
    assert "Authorization" not in proxy.requests[0]
    assert client._uplink._websocket.transport.get_extra_info("ssl_object").version() == "TLSv1.3"
    for secret in (b"Bearer", b"/v1/stream", far_gateway.tokens[0].encode()):
        assert secret not in proxy.seen


def test_the_proxy_of_the_environment_is_told_its_password_and_nobody_else_is(
    proxy: ConnectProxy, far: Any, bridge: Any, ears: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", f"http://us%40er:p%3Aw@127.0.0.1:{proxy.port}/")
    bridge(far(proxy="environment"))
    ears.wait_status(lambda status: status.link.connected, "a session")
    secret = base64.b64encode(b"us@er:p:w").decode()
    assert f"Proxy-Authorization: Basic {secret}\r\n" in proxy.requests[0]
    assert secret.encode() not in proxy.seen


def test_without_the_parameter_the_environment_counts_for_nothing(
    proxy: ConnectProxy, far: Any, bridge: Any, ears: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
    bridge(far())
    ears.wait_status(lambda status: status.error, "no way to the gateway")
    assert "proxy" not in ears.status.error
    assert not proxy.requests


@pytest.mark.parametrize("setting", ["environment", "127.0.0.1:PORT"])
def test_loopback_is_never_reached_through_a_proxy(
    proxy: ConnectProxy, connected: Any, monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
    monkeypatch.delenv("NO_PROXY", raising=False)
    connected(proxy=setting.replace("PORT", str(proxy.port)))
    assert not proxy.requests


@pytest.mark.parametrize(
    ("status", "answer", "why"),
    [
        ("407 Proxy Authentication Required", None, "refused with HTTP 407: it wants a password"),
        ("403 Forbidden", None, "refused with HTTP 403: it does not allow this gateway"),
        ("502 Bad Gateway", None, "refused with HTTP 502"),
        ("", b"SSH-2.0-OpenSSH_9.6\r\n", "speaks no HTTP"),
        ("", b"HTTP/1.1 200", "hung up"),
        ("", b"HTTP/1.1 200 OK\r\n\r\nand more", "speaks no HTTP: more than an answer came"),
        ("", b"HTTP/1.1 200 OK\r\nA: " + bytes(20_000), "more than 16384 bytes"),
    ],
)
def test_what_a_proxy_refuses_is_one_clear_line(
    proxy: ConnectProxy, far: Any, bridge: Any, ears: Any, status: str, answer: bytes, why: str
) -> None:
    proxy.status, proxy.answer = status, answer
    bridge(far(proxy=f"127.0.0.1:{proxy.port}"))
    ears.wait_status(lambda told: told.error, "an error")
    assert ears.status.error.startswith(f"wss://{NAME}:")
    assert f"its proxy 127.0.0.1:{proxy.port} " in ears.status.error
    assert why in ears.status.error
    assert "\n" not in ears.status.error


def test_a_proxy_that_is_not_there_or_silent_is_named(far: Any, bridge: Any, ears: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        bridge(far(proxy=f"127.0.0.1:{port}", connect_timeout_s=0.3))
        ears.wait_status(lambda told: "no answer of its proxy" in told.error, "silence")
    ears.wait_status(lambda told: "cannot be reached: Connection refused" in told.error, "refusal")
    assert f"its proxy 127.0.0.1:{port}" in ears.status.error


def test_a_certificate_that_is_not_trusted_is_refused_through_a_proxy_too(
    proxy: ConnectProxy, named_keys: Path, keys: Path, far: Any, bridge: Any, ears: Any
) -> None:
    context = server_context(keys / "server.crt", keys / "server.key")
    with FakeGateway(named_keys, tls_context=context) as impostor:
        uri = f"wss://{NAME}:{impostor.port}"
        bridge(far(gateway=uri, proxy=f"127.0.0.1:{proxy.port}"))
        ears.wait_status(lambda told: "certificate is not trusted" in told.error, "a refusal")
        assert not impostor.tokens


def test_a_link_is_measured_through_the_proxy(proxy: ConnectProxy, far: Any) -> None:
    limits = Limits(0.2, 0.2, 10_000)
    report = asyncio.run(probe_link(far(proxy=f"127.0.0.1:{proxy.port}"), limits))
    assert len(proxy.requests) == 2
    assert report.tls.startswith("TLSv1.3")
    proxy.status = "403 Forbidden"
    with pytest.raises(Exception, match="refused with HTTP 403"):
        asyncio.run(probe_link(far(proxy=f"127.0.0.1:{proxy.port}"), limits))
    with pytest.raises(LinkError, match="cannot be reached"):
        asyncio.run(probe_link(far(proxy="127.0.0.1:1"), limits))


@pytest.mark.parametrize(
    "setting",
    [
        *("proxy", "proxy:", ":3128", "proxy:0", "proxy:65536", "proxy:http", "http://proxy:3128"),
        *("u:hunter@proxy:3128", "@proxy:1", "proxy:3128/", "pro xy:1", "::1:3128", "Environment"),
    ],
)
def test_anything_but_a_host_and_a_port_is_refused(far: Any, bridge: Any, setting: str) -> None:
    with pytest.raises(ConfigError, match="proxy: expected empty, environment or host:port") as why:
        bridge(far(proxy=setting))
    assert "hunter" not in str(why.value)


@pytest.mark.parametrize(
    ("environment", "proxy"),
    [
        ({}, None),
        ({"HTTPS_PROXY": ""}, None),
        ({"HTTPS_PROXY": "http://p:3128"}, Proxy("p", 3128)),
        ({"HTTPS_PROXY": "p:3128"}, Proxy("p", 3128)),
        ({"HTTPS_PROXY": "http://[::2]:3128/"}, Proxy("::2", 3128)),
        ({"HTTPS_PROXY": "http://p"}, Proxy("p", 80)),
        ({"HTTPS_PROXY": "http://u:w@p:1"}, Proxy("p", 1, "u", "w")),
        ({"HTTPS_PROXY": "http://p:1", "https_proxy": "q:2"}, Proxy("q", 2)),
        ({"HTTPS_PROXY": "http://p:1", "https_proxy": ""}, None),
        ({"HTTP_PROXY": "http://p:1"}, None),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "other"}, Proxy("p", 1)),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "a, EXAMPLE.com"}, None),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "example.com", "no_proxy": ""}, Proxy("p", 1)),
    ],
)
def test_the_environment_names_the_proxy(environment: dict[str, str], proxy: Proxy | None) -> None:
    assert proxy_for("environment", "gw.example.com", 8443, environment) == proxy


@pytest.mark.parametrize(
    "value", ["socks5://p:1", "https://p:1", "http://p:hunter", "http://u:hunter@:1", "http://p/x"]
)
def test_a_proxy_of_the_environment_that_cannot_be_used_is_named(value: str) -> None:
    with pytest.raises(ConfigError, match="HTTPS_PROXY: expected http://host:port") as why:
        proxy_for("environment", "gw.example.com", 8443, {"HTTPS_PROXY": value})
    assert "hunter" not in str(why.value)


@pytest.mark.parametrize(
    ("no_proxy", "host", "exempt"),
    [
        ("*", "anything", True),
        ("a,*", "1.2.3.4", True),
        ("example.com", "example.com", True),
        ("example.com", "GW.Example.Com.", True),
        ("example.com", "notexample.com", False),
        ("example.com", "example.com.evil", False),
        (".example.com", "gw.example.com", True),
        (".example.com", "example.com", True),
        ("*.example.com", "gw.example.com", True),
        ("*.example.com", "gwexample.com", False),
        ("example.com:8443", "gw.example.com", True),
        ("example.com:443", "gw.example.com", False),
        ("a b\tgw.lan", "gw.lan", True),
        ("10.0.0.1", "10.0.0.1", True),
        ("10.0.0.1:443", "10.0.0.1", False),
        ("10.0.0.0/8", "10.200.3.4", True),
        ("10.0.0.7/8", "10.200.3.4", True),
        ("10.0.0.0/8", "11.0.0.1", False),
        ("10.0.0.0/8", "ten.example", False),
        ("10.0.0.0/99,10.1.1.1", "10.1.1.1", True),
        ("fd00::/8", "fd12::1", True),
        ("[fd12::1]", "fd12::1", True),
        ("[fd12::1]:8443", "fd12::1", True),
        ("fd12::1", "fd12::2", False),
        (".", "example.com", False),
        ("", "example.com", False),
        (" , ,", "example.com", False),
    ],
)
def test_no_proxy_says_who_is_reached_directly(no_proxy: str, host: str, exempt: bool) -> None:
    assert is_exempt(no_proxy, host, 8443) is exempt


@given(st.text(alphabet="*.,:/[] ab1-", max_size=20), st.text(alphabet="ab1.:-", max_size=12))
def test_no_text_breaks_no_proxy(no_proxy: str, host: str) -> None:
    assert is_exempt(no_proxy, host, 8443) in (True, False)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        *(("localhost", True), ("LOCALHOST.", True), ("a.localhost", True), ("127.9.9.9", True)),
        *(("::1", True), ("::ffff:127.0.0.1", True), ("0.0.0.0", True), ("::", True)),
        *(("localhost.example", False), ("10.0.0.1", False), ("fe80::1", False), ("gw", False)),
    ],
)
def test_loopback_is_known(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback
