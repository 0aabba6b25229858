"""The gateway as a process: ready, signals, kill and restart, what it refuses to start with."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed

from mastra_ros.config import GatewayConfig
from mastra_ros.errors import ConfigError, MastraError
from mastra_ros.gateway.door.acceptor import listen
from mastra_ros.gateway.embedded import EmbeddedGateway
from mastra_ros.gateway.server import url_of
from mastra_ros.gateway.sqlite_store import SqliteStore
from mastra_ros.gateway.store import FrameId
from mastra_ros.protocol.keys import init_keys

DEADLINE_S = 30.0

ConnectDevice = Callable[..., Any]
Picture = Callable[..., np.ndarray]
StartGateway = Callable[..., EmbeddedGateway]


def wait_until(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


def refuses(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S).close()
    except ConnectionRefusedError:
        return True
    return False


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_in_order(
    start_gateway: StartGateway, connect_device: ConnectDevice, number: signal.Signals
) -> None:
    gateway = start_gateway()
    connect_device(gateway)
    os.kill(gateway.pid, number)
    wait_until(lambda: not gateway.alive)
    log = gateway.log_path.read_text()
    assert "stopped" in log.splitlines()[-1]
    assert "Traceback" not in log
    assert refuses(gateway.port)
    gateway.stop()


def test_nothing_survives_its_sigkill(start_gateway: StartGateway) -> None:
    gateway = start_gateway()
    pid, port = gateway.pid, gateway.port
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not gateway.alive)
    assert refuses(port)
    with pytest.raises(ProcessLookupError):
        os.killpg(pid, 0)
    gateway.stop()


PARENT = """
import sys
from mastra_ros.gateway.embedded import EmbeddedGateway
gateway = EmbeddedGateway(sys.argv[1], [sys.argv[2]], state_dir=sys.argv[3]).start()
print(gateway.pid, gateway.port, flush=True)
sys.stdin.read()
"""


def test_it_ends_when_the_process_that_started_it_is_killed(
    keys: Path, bundle: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", PARENT, str(keys), str(bundle), str(tmp_path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        pid, port = (int(word) for word in parent.stdout.readline().split())
        parent.kill()
    wait_until(lambda: is_gone(pid))
    assert refuses(port)


def answer_all(device: Any, messages: dict[int, Any], results: dict[int, Any]) -> None:
    """Send frames, ten at a time, and take down the result of each that is acknowledged."""
    stamps = list(messages)
    for start in range(0, len(stamps), 10):
        group = stamps[start : start + 10]
        for stamp_ns in group:
            device.send(messages[stamp_ns])
        for stamp_ns in group:
            results[stamp_ns] = device.answer(stamp_ns)[0]


def test_results_survive_kill_and_restart_and_nothing_counts_twice(
    start_gateway: StartGateway, connect_device: ConnectDevice, picture: Picture, tmp_path: Path
) -> None:
    """Frames flow without pause; the gateway is killed in the midst of them, and starts again."""
    gateway = start_gateway(tmp_path)
    port = gateway.port
    device = connect_device(gateway)
    messages = {n: device.packet(n, picture((n % 8, 0)), late=True) for n in range(1, 3001)}
    before: dict[int, Any] = {}
    killer = threading.Thread(target=lambda: (wait_until(lambda: len(before) > 50), gateway.kill()))
    killer.start()
    with pytest.raises((ConnectionClosed, OSError)):
        answer_all(device, messages, before)
    killer.join()
    gateway.restart()
    assert gateway.port == port
    again = connect_device(gateway)
    resent = {n: messages[n] for n in range(1, len(before) + 11)}
    for stamp_ns, message in resent.items():
        again.send(message)
        result, ack = again.answer(stamp_ns)
        if stamp_ns in before:
            assert ack.duplicate, "what was acknowledged had been committed"
            assert result == before[stamp_ns]
    gateway.stop()
    store = SqliteStore(tmp_path)
    assert store.count() == len(resent)
    assert all(store.find(FrameId("cam-1", "main", n)) for n in resent)
    store.close()


def test_a_port_that_is_taken_is_one_clear_error(
    gateway: EmbeddedGateway, keys: Path, bundle: Path, tmp_path: Path
) -> None:
    second = EmbeddedGateway(keys, [str(bundle)], port=gateway.port, state_dir=tmp_path)
    with pytest.raises(MastraError, match=f"cannot listen on 127.0.0.1:{gateway.port}"):
        second.start()
    assert not second.alive


@pytest.mark.parametrize(
    ("break_it", "complaint"),
    [
        (lambda keys, bundle: (keys / "server.key").chmod(0o644), "mode 0644 is open to others"),
        (lambda keys, bundle: (keys / "server.crt").write_text("x"), "no usable certificate"),
        (lambda keys, bundle: (keys / "devices/cam.pub").write_text("x"), "public key"),
        (lambda keys, bundle: (bundle / "cloud.onnx").write_bytes(b"x"), "not the file described"),
        (lambda keys, bundle: (bundle / "bundle.yaml").unlink(), "bundle.yaml: not found"),
    ],
    ids=["open key", "no certificate", "no public key", "changed model", "no bundle"],
)
def test_what_it_cannot_start_with_is_one_clear_error(
    bundle: Path, tmp_path: Path, break_it: Callable[[Path, Path], Any], complaint: str
) -> None:
    own_keys, own_bundle = tmp_path / "keys", tmp_path / "bundle"
    init_keys(own_keys)
    own_bundle.mkdir()
    for file in bundle.iterdir():
        (own_bundle / file.name).write_bytes(file.read_bytes())
    break_it(own_keys, own_bundle)
    gateway = EmbeddedGateway(own_keys, [str(own_bundle)], state_dir=tmp_path / "state")
    with pytest.raises(MastraError, match=complaint):
        gateway.start()
    errors = [line for line in gateway.log_path.read_text().splitlines() if "mastra: " in line]
    assert len(errors) == 1
    assert "Traceback" not in gateway.log_path.read_text()


def test_a_gateway_is_made_from_a_config(keys: Path, bundle: Path) -> None:
    config = GatewayConfig(keys_dir=str(keys), bundles=(str(bundle),), port=0, batch_size_max=2)
    with EmbeddedGateway.from_config(config) as gateway:
        assert gateway.alive
        assert gateway.url == f"https://127.0.0.1:{gateway.port}"
        log = gateway.log_path
    assert not gateway.alive
    assert not log.exists()
    gateway.stop()


def test_free_ports_and_addresses() -> None:
    with listen("127.0.0.1", 0) as free:
        host, port = free.getsockname()
        assert host == "127.0.0.1"
        assert port > 0
        with pytest.raises(ConfigError, match=f"cannot listen on 127.0.0.1:{port}: .*in use"):
            listen("127.0.0.1", port)
    assert url_of("::1", 1) == "https://[::1]:1"
