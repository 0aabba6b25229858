"""`mastra proxy` as a process."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys

import pytest

from mastra_ros.cli.main import main

DEADLINE_S = 30.0


def test_it_relays_with_faults_until_it_is_stopped() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        subprocess.Popen(
            [
                *(sys.executable, "-m", "mastra_ros.cli.main", "proxy"),
                *("--upstream", f"127.0.0.1:{listener.getsockname()[1]}"),
                *("--fault", "delay=20ms@0s"),
            ],
            stdout=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        assert process.stdout is not None
        port = int(process.stdout.readline().split()[1].rpartition(":")[2])
        listener.settimeout(DEADLINE_S)
        with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S) as client:
            server, _ = listener.accept()
            with server:
                client.sendall(b"hello")
                assert server.recv(5, socket.MSG_WAITALL) == b"hello"
        process.send_signal(signal.SIGTERM)
        assert process.wait(DEADLINE_S) == 0


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--upstream", "nowhere"], "expected HOST:PORT"),
        (["--upstream", "host:99999"], "expected HOST:PORT"),
        (["--upstream", "host:1", "--port", "99999"], "cannot listen on port 99999"),
        (["--upstream", "host:1", "--port", "-1"], "cannot listen on port -1"),
        (["--upstream", "host:1", "--fault", "flood@1s"], "at position 1"),
        (["--upstream", "host:1", "--fault", "@nowhere.txt"], "script nowhere.txt: cannot be read"),
        (["--upstream", "host:1", "--script", "nowhere.txt"], "script nowhere.txt: cannot be read"),
    ],
)
def test_wrong_arguments_are_one_line(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["proxy", *arguments]) == 2
    shown = capsys.readouterr().err
    assert shown.startswith("mastra: ")
    assert complaint in shown
