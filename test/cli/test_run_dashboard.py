"""`mastra run --dashboard`: a page for the run, or one clear line why there is none."""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from mastra_ros.cli import run_dashboard
from mastra_ros.errors import ConfigError


@pytest.mark.parametrize(
    ("given", "line"),
    [
        (["--gateway", "none", "--dashboard"], "with --gateway none there is no gateway"),
        (["--gateway", "wss://far:8443", "--dashboard"], "dashboard --gateway https://far:8443"),
        (["--dashboard", "70000"], "a port from 0 to 65535, got 70000"),
    ],
)
def test_where_there_can_be_none_one_line_says_why(given: list[str], line: str) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--gateway", default="embedded")
    run_dashboard.add_arguments(parser)
    with pytest.raises(ConfigError, match=line):
        run_dashboard.check(parser.parse_args(given))


def test_a_run_shows_itself_to_who_has_the_password_that_it_prints(tmp_path: Path) -> None:
    pytest.importorskip("rclpy", reason="ROS 2 is not installed")
    for package in ("argon2", "nicegui"):
        pytest.importorskip(package, reason="the extra dashboard is not installed")
    command = [sys.executable, "-m", "mastra_ros.cli.main", "run", "factory_inspection"]
    command += ["--rate", "5", "--dashboard", "0", "--quiet", "--duration", "600"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with (
        (tmp_path / "log").open("w") as log,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment
        ) as run,
    ):
        try:
            assert run.stdout is not None
            found = re.match(r"dashboard (\S+), name (\S+), password (\S+)", run.stdout.readline())
            assert found, (tmp_path / "log").read_text()
            url, name, password = found.groups()
            with httpx.Client(base_url=url, timeout=60) as client:
                assert client.get("/").headers["location"] == "/login"
                form = {"name": name, "password": password}
                entered = client.post("/login", data=form, headers={"Origin": url})
                assert entered.status_code == 303
                assert client.get("/").status_code == 200
        finally:
            run.terminate()
    until_s = time.monotonic() + 60
    while True:
        try:
            httpx.get(f"{url}/healthz", timeout=5)
        except httpx.TransportError:
            break
        assert time.monotonic() < until_s, "the dashboard outlives its run"
        time.sleep(0.1)
