"""A gateway of two processes over TLS: the same answers, whatever becomes of the second."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import pytest

from mastra_ros.config import GatewayConfig
from mastra_ros.errors import MastraError
from mastra_ros.gateway.embedded import EmbeddedGateway
from mastra_ros.gateway.sqlite_store import SqliteStore
from mastra_ros.gateway.store import FrameId
from mastra_ros.protocol import Heartbeat, HeartbeatAck, decode, encode
from mastra_ros.protocol.keys import load_device_key
from mastra_ros.protocol.tokens import sign_token

ConnectDevice = Callable[..., Any]
Picture = Callable[..., np.ndarray]
StartGateway = Callable[..., EmbeddedGateway]
WaitFor = Callable[..., None]


def model_process(gateway: EmbeddedGateway) -> int:
    """The process of the model; 0 while there is none."""
    found = [one.pid for one in psutil.Process(gateway.pid).children() if _is_of_model(one)]
    return found[0] if found else 0


def _is_of_model(one: psutil.Process) -> bool:
    try:
        return "mastra_ros.gateway.group_worker" in one.cmdline()
    except psutil.Error:
        return False


def is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_devices_get_the_same_answers_as_of_one_process(
    gateway: EmbeddedGateway,
    gateway_of_two: EmbeddedGateway,
    connect_device: ConnectDevice,
    picture: Picture,
) -> None:
    assert model_process(gateway_of_two)
    assert not model_process(gateway)
    answers = []
    for one in (gateway, gateway_of_two):
        device = connect_device(one, stream="one_or_two_processes")
        told = []
        for stamp_ns in range(1, 30):  # a key frame, and deltas that rest on it
            image = picture(*((n % 8, n // 8) for n in range(stamp_ns)))
            result, ack = device.infer(stamp_ns, image)
            assert not ack.duplicate
            found = result.to_result()
            told.append((result.key, found.model, found.model_version, found.detections))
        answers.append(told)
    for ours, theirs in zip(*answers, strict=True):
        assert ours[:3] == theirs[:3]
        assert ours[3].boxes.tolist() == theirs[3].boxes.tolist()
        assert ours[3].scores.tolist() == theirs[3].scores.tolist()


def test_pictures_that_are_large_go_through_the_first_process(
    gateway_of_two: EmbeddedGateway, connect_device: ConnectDevice
) -> None:
    device = connect_device(gateway_of_two, stream="sizes")
    small, large = np.zeros((64, 64), np.uint8), np.zeros((512, 512), np.uint8)
    for stamp_ns, image in enumerate([small, large, small, large], 1):
        assert not device.infer(stamp_ns, image)[1].duplicate


def test_a_killed_process_of_the_model_loses_nothing_and_keeps_nothing_twice(
    start_gateway: StartGateway,
    connect_device: ConnectDevice,
    picture: Picture,
    tmp_path: Path,
    wait_for: WaitFor,
) -> None:
    """Frames flow without pause; the process is killed in the midst of them, twice."""
    gateway = start_gateway(tmp_path, processes=2)
    device = connect_device(gateway)
    messages = {n: device.packet(n, picture((n % 8, 0)), late=True) for n in range(1, 401)}
    done: list[int] = []
    killed: list[int] = []

    def kill() -> None:
        for acknowledged in (50, 200):
            wait_for(lambda few=acknowledged: len(done) > few, "frames")
            pid = model_process(gateway)
            assert pid not in (0, *killed)
            killed.append(pid)
            os.kill(pid, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    stamps = list(messages)
    for start in range(0, len(stamps), 10):
        for stamp_ns in stamps[start : start + 10]:
            device.send(messages[stamp_ns])
        for stamp_ns in stamps[start : start + 10]:
            device.answer(stamp_ns)
            done.append(stamp_ns)
    killer.join()
    log = gateway.log_path.read_text()
    ends = [line for line in log.splitlines() if "go to a new one" in line]
    assert len(ends) == 2
    for pid, line in zip(killed, ends, strict=True):
        assert f"process {pid}: it has ended (SIGKILL)" in line
    assert "Traceback" not in log
    gateway.stop()
    store = SqliteStore(tmp_path)
    assert store.count() == len(messages)
    assert all(store.find(FrameId("cam-1", "main", n)) for n in messages)
    store.close()


def test_heartbeats_are_answered_while_there_is_no_process(
    gateway_of_two: EmbeddedGateway, connect_device: ConnectDevice, picture: Picture
) -> None:
    device = connect_device(gateway_of_two, stream="beating")
    stopped = model_process(gateway_of_two)
    os.kill(stopped, signal.SIGSTOP)
    try:
        device.send(device.packet(1, picture((1, 1))))
        device.websocket.send(encode(Heartbeat(1, 1)))
        told = decode(device.websocket.recv(timeout=30.0))
    finally:
        os.kill(stopped, signal.SIGCONT)
    assert isinstance(told, HeartbeatAck)
    device.answer(1)


@pytest.mark.parametrize(
    ("number", "to_all"),
    [
        (signal.SIGTERM, False),
        (signal.SIGINT, False),
        (signal.SIGINT, True),
        (signal.SIGKILL, False),
    ],
    ids=["terminated", "interrupted", "interrupted with its group", "killed"],
)
def test_no_process_outlives_the_gateway(
    start_gateway: StartGateway,
    connect_device: ConnectDevice,
    picture: Picture,
    wait_for: WaitFor,
    number: signal.Signals,
    *,
    to_all: bool,
) -> None:
    gateway = start_gateway(processes=2)
    pid, beside = gateway.pid, model_process(gateway)
    connect_device(gateway).infer(1, picture((1, 2)))
    os.killpg(pid, number) if to_all else os.kill(pid, number)
    wait_for(lambda: not gateway.alive, "the gateway's end")
    wait_for(lambda: is_gone(beside), "the end of the process beside it")
    log = gateway.log_path.read_text()
    assert "go to a new one" not in log
    assert "Traceback" not in log
    if number != signal.SIGKILL:
        assert "stopped" in log.splitlines()[-1]
    gateway.stop()


def test_a_bundle_that_cannot_be_opened_is_one_clear_error_and_leaves_nothing(
    keys: Path, tmp_path: Path
) -> None:

    config = GatewayConfig(processes=2)
    with pytest.raises(MastraError, match="ended with status 1"):
        EmbeddedGateway(keys, [str(tmp_path)], config=config).start()


def test_metrics_tell_what_they_told(
    gateway_of_two: EmbeddedGateway,
    connect_device: ConnectDevice,
    picture: Picture,
    tls: Any,
    keys: Path,
) -> None:

    device = connect_device(gateway_of_two, stream="counted")
    device.infer(1, picture((1, 1)))
    token = sign_token("cam-1", load_device_key(keys, "cam-1"), "mastra-gateway")
    with httpx.Client(base_url=gateway_of_two.url, verify=tls, timeout=30.0) as client:
        text = client.get("/metrics", headers={"Authorization": f"Bearer {token}"}).text
    for name in ("decode_seconds", "commit_seconds", "commit_size", "frame_seconds"):
        counts = [
            line for line in text.splitlines() if line.startswith(f"mastra_gateway_{name}_count")
        ]
        assert counts, name
        assert any(float(line.split()[-1]) >= 1 for line in counts), name
    for name in ("batch_size", "queue_seconds", "inference_seconds"):
        assert f'mastra_gateway_{name}_count{{model="white_cells"}}' in text
