"""The dashboard of `mastra run --dashboard`: beside the embedded gateway, while the run lasts."""

from __future__ import annotations

import argparse
import contextlib
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from ..errors import ConfigError, DependencyError, MastraError

PORT = 8480
NAME = "operator"
STOP_S = 10.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the option."""
    parser.add_argument(
        "--dashboard",
        nargs="?",
        type=int,
        const=PORT,
        metavar="PORT",
        help="show the run in a browser at this port of this machine (0: a free one; default: "
        f"{PORT}); who may log in, for this run alone, is printed",
    )


def check(args: argparse.Namespace) -> None:
    """Say that there can be none before anything is started."""
    if args.dashboard is None:
        return
    if not 0 <= args.dashboard <= 65535:
        raise ConfigError(f"--dashboard: expected a port from 0 to 65535, got {args.dashboard}")
    if args.gateway == "none":
        raise ConfigError(
            "--dashboard: it shows what a gateway hears of the device, and with --gateway none "
            "there is no gateway"
        )
    if args.gateway != "embedded":
        raise ConfigError(
            "--dashboard: it belongs to the embedded gateway; beside another one run: "
            f"mastra dashboard --gateway {args.gateway.replace('wss://', 'https://', 1)}"
        )
    try:
        import argon2  # noqa: F401
        import nicegui  # noqa: F401
    except ImportError as error:
        raise DependencyError(
            f"--dashboard: it needs more packages ({error.name}): "
            'pip install "mastra-ros[dashboard]"'
        ) from None


@contextlib.contextmanager
def beside(port: int | None, gateway_url: str, keys: Path) -> Iterator[None]:
    """A dashboard in a process of its own; none where there is no port."""
    if port is None:
        yield
        return
    from ..dashboard.people import People
    from ..protocol.clients import add_client

    add_client(keys, "dashboard", "operator")
    people, password = keys / "people.yaml", secrets.token_urlsafe(12)
    People(people).add(NAME, "operator", password)
    command = [sys.executable, "-m", "mastra_ros.cli.main", "dashboard", "--port", str(port)]
    command += ["--gateway", gateway_url, "--keys", str(keys), "--parent", str(os.getpid())]
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        if not line.startswith("ready "):
            raise MastraError("--dashboard: it did not start; its reason is above")
        url = line.removeprefix("ready ").strip()
        print(f"dashboard {url}, name {NAME}, password {password}", flush=True)
        yield
    finally:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
