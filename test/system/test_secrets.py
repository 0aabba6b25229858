"""The password of a camera is in no log, diagnostic, report or error, whatever goes wrong."""

from __future__ import annotations

import http.server
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node

Start = Callable[..., Any]
MASTRA = [sys.executable, "-m", "mastra_ros.cli.main"]
CAMERA = "from mastra_ros.nodes.camera import main; raise SystemExit(main())"
PASSWORD = "hunA@Bb/Cc:Dd#Ee?Fféter"
PARTS = ("hunA", "Bb", "Cc:", "Dd#", "Ee?", "Ffé", "éter", "viewer7")


def leaks(text: str) -> list[str]:
    return [part for part in PARTS if part in text]


class Refusing(http.server.BaseHTTPRequestHandler):
    """A camera that wants another password, over HTTP as over RTSP."""

    def do_GET(self) -> None:
        self.send_response(401)
        self.send_header("WWW-Authenticate", 'Basic realm="camera"')
        self.end_headers()

    do_OPTIONS = do_DESCRIBE = do_GET  # noqa: N815 - named for the methods

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def camera_port() -> Iterator[int]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    "source",
    [
        f"rtsp://viewer7:{PASSWORD}@127.0.0.1:PORT/live",
        f"http://127.0.0.1:PORT/video?usr=viewer7&pwd={PASSWORD}",
        f"http://viewer7:{PASSWORD}@127.0.0.1:PORT/video?channel=1",
        f"rstp:/viewer7:{PASSWORD}@127.0.0.1:PORT/live",
    ],
)
def test_a_run_that_is_refused_by_its_camera_tells_no_password(
    start: Start, camera_port: int, source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logs = tmp_path / "ros_log"
    monkeypatch.setenv("ROS_LOG_DIR", str(logs))
    options = ("--gateway", "none", "--duration", "1.5", "--log-level", "debug")
    run = start("--source", source.replace("PORT", str(camera_port)), *options)
    assert run.wait() in (1, 2)
    assert "***" in run.output
    told = run.output + "".join(path.read_text() for path in logs.rglob("*.log"))
    if run.report_path.exists():
        told += run.report_path.read_text()
    assert not leaks(told), told


def test_a_node_tells_no_password_in_log_and_diagnostics(
    spinning: Callable[..., Any],
    camera_port: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    wait_until: Callable[..., None],
) -> None:
    logs = tmp_path / "ros_log"
    monkeypatch.setenv("ROS_LOG_DIR", str(logs))
    told: list[str] = []

    def hear(message: DiagnosticArray) -> None:
        told.extend(str(status) for status in message.status if "camera" in status.name)

    node = spinning(lambda **options: Node("watcher", **options))
    node.create_subscription(DiagnosticArray, "/diagnostics", hear, 50)
    source = f"rtsp://viewer7:{PASSWORD}@127.0.0.1:{camera_port}/live"
    params = tmp_path / "camera.yaml"
    params.write_text(f"camera:\n  ros__parameters:\n    source: '{source}'\n", "utf-8")
    output = tmp_path / "output.txt"
    with output.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "-c", CAMERA, "--ros-args", "--params-file", str(params)],
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_until(lambda: any("trying again" in text for text in told), "the camera's diagnostics")
    finally:
        process.terminate()
        process.wait(60)
    told += [output.read_text(), *(path.read_text() for path in logs.rglob("*.log"))]
    assert "capturing: source='rtsp://***" in output.read_text()
    assert not leaks("\n".join(told)), told


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["params", "--set", "camera.source=SOURCE"], 0),
        (["params", "--set", "camera.source SOURCE"], 2),
        (["params", "--set", "camera.rate_hz=SOURCE"], 2),
        (["params", "FILE"], 2),
        (["run", "factory_inspection", "--sorce", "SOURCE"], 2),
        (["run", "factory_inspection", "--gateway", "SOURCE"], 2),
        (["run", "factory_inspection", "--source", "hSOURCE", "--gateway", "none"], 1),
        (["probe", "SOURCE"], 2),
        (["gateway", "--set", "gateway.port=SOURCE"], 2),
    ],
)
def test_no_verb_echoes_a_password(arguments: list[str], status: int, tmp_path: Path) -> None:
    source = f"wss://viewer7:{PASSWORD}@127.0.0.1:9/live"
    if "rate_hz" not in arguments[-1] and arguments[0] == "params":
        source = source.replace("wss", "rtsp")
    file = tmp_path / "broken.yaml"
    file.write_text(f"camera:\n  ros__parameters:\n    source: [{'x' * 60}{source}: }}\n", "utf-8")
    given = [text.replace("SOURCE", source).replace("FILE", str(file)) for text in arguments]
    done = subprocess.run(
        [*MASTRA, *given],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "MASTRA_KEYS": ""},
    )
    assert done.returncode == status, done.stdout + done.stderr
    assert not leaks(done.stdout + done.stderr), done.stdout + done.stderr
    assert "Traceback" not in done.stderr
