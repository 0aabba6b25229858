"""A gateway as a child process: for `mastra run`, the gateway node, and tests that kill it."""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import IO

import yaml

from ..config import GatewayConfig, build
from ..errors import MastraError
from ..leftovers import temporary_folder
from ..orphans import child_environment

logger = logging.getLogger(__name__)

START_S = 300.0
STOP_S = 15.0
LOG_LINES = 12
LOG_NAME = "gateway.log"


class EmbeddedGateway:
    """`mastra gateway` in a process group of its own, which ends when this process does.

    Without `state_dir` results are kept in a temporary folder until `stop()`. A context manager:
    entering starts it.
    """

    def __init__(
        self,
        keys_dir: Path | str,
        bundles: Sequence[str] = ("models/board_defects",),
        *,
        port: int = 0,
        state_dir: Path | str | None = None,
        config: GatewayConfig | None = None,
    ) -> None:
        """Other parameters are those of `config`, or the defaults."""
        self._config = replace(
            config or GatewayConfig(),
            keys_dir=str(keys_dir),
            bundles=tuple(str(bundle) for bundle in bundles),
            port=port,
            state_dir=str(state_dir or ""),
        )
        self._process: subprocess.Popen[str] | None = None
        self._temporary = contextlib.ExitStack()
        self._folder: Path | None = None
        self._url = ""

    @classmethod
    def from_config(cls, config: GatewayConfig) -> EmbeddedGateway:
        """One with these parameters."""
        return cls(
            config.keys_dir,
            config.bundles,
            port=config.port,
            state_dir=config.state_dir or None,
            config=config,
        )

    @property
    def url(self) -> str:
        """`https://host:port`, once started."""
        return self._url

    @property
    def port(self) -> int:
        """The port that it listens on, once started."""
        return int(self._url.rsplit(":", 1)[1]) if self._url else 0

    @property
    def pid(self) -> int:
        """The child process; 0 when there is none."""
        return self._process.pid if self._process is not None else 0

    @property
    def alive(self) -> bool:
        """Whether the child process runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def log_path(self) -> Path:
        """What the child has logged, since the first start."""
        return self._workplace() / LOG_NAME

    def start(self) -> EmbeddedGateway:
        """Start and wait until devices may connect; MastraError tells why it did not."""
        if self.alive:
            return self
        params = self._write_params()
        command = [sys.executable, "-m", "mastra_ros.cli.main", "gateway"]
        command += ["--params", str(params), "--parent", str(os.getpid())]
        with self.log_path.open("a", encoding="utf-8") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
                env=child_environment(),
            )
        self._url = self._await_ready(self._process)
        return self

    def kill(self) -> None:
        """End the child at once (SIGKILL), as a crash or a power cut does."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End the child in order; also frees the temporary folder. A second call does nothing."""
        self._end(signal.SIGTERM)
        self._temporary.close()
        self._folder = None

    def restart(self) -> EmbeddedGateway:
        """Start again, on the same port and state; what still runs is killed first."""
        self.kill()
        self._config = replace(self._config, port=self.port)
        return self.start()

    def __enter__(self) -> EmbeddedGateway:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _workplace(self) -> Path:
        """Where log and parameter file lie: the state's folder, or a temporary one."""
        if self._config.state_dir:
            folder = Path(self._config.state_dir)
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            return folder
        if self._folder is None:
            self._folder = self._temporary.enter_context(temporary_folder("gateway-"))
        return self._folder

    def _write_params(self) -> Path:
        workplace = self._workplace()
        config = replace(self._config, state_dir=str(workplace))
        values = {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(build(GatewayConfig, asdict(config))).items()
        }
        path = workplace / "gateway.yaml"
        path.write_text(yaml.safe_dump({"gateway": {"ros__parameters": values}}), "utf-8")
        return path

    def _await_ready(self, process: subprocess.Popen[str]) -> str:
        assert process.stdout is not None
        line = _first_line(process.stdout, START_S)
        if line is not None and line.startswith("ready "):
            return line.removeprefix("ready ").strip()
        why = f"was not ready after {START_S:g} s"
        if line is not None:
            why = f"ended with status {process.wait(STOP_S)}"
        self.kill()
        raise MastraError(f"gateway: it {why}; {self._last_words()}")

    def _last_words(self) -> str:
        with contextlib.suppress(OSError):
            lines = self.log_path.read_text("utf-8", "replace").splitlines()[-LOG_LINES:]
            return "its log: " + " | ".join(lines)
        return "it has logged nothing"

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is not None:
            return  # its number may be another's by now
        os.killpg(process.pid, number)
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            logger.warning("the gateway did not stop in %g s and is killed", STOP_S)
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _first_line(stream: IO[str], timeout_s: float) -> str | None:
    """The first line of a pipe, empty when it was closed before; None when time is up.

    The rest is read and dropped until the pipe ends, so that it never fills.
    """
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()

    def read() -> None:
        with stream:
            lines.put(stream.readline())
            for _ in stream:
                pass

    threading.Thread(target=read, name="gateway-output", daemon=True).start()
    try:
        return lines.get(timeout=timeout_s)
    except queue.Empty:
        return None
