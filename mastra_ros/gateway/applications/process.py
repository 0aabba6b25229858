"""The process of one application, as the gateway sees it: begun, asked, and ended."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from typing import Any

from ...orphans import child_environment
from . import pipe

START_S = 60.0
"""How long a process may take to start: it may import much."""


class Failed(Exception):  # noqa: N818 - what has happened to the application
    """The application's process is gone or does not answer."""


class ApplicationProcess:
    """Begun when it is made. descriptor: a file that it may read, where there is one."""

    def __init__(self, name: str, silence_s: float, descriptor: int = -1) -> None:
        self._silence_s = silence_s
        self._process = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-m", "mastra_ros.gateway.applications.child", name, str(descriptor)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=child_environment(),
            bufsize=0,
            pass_fds=() if descriptor < 0 else (descriptor,),
        )

    def begun(self) -> dict[str, Any]:
        """What it says of itself when it has begun."""
        return self._hear(START_S)

    def ask(self, message: dict[str, Any]) -> dict[str, Any]:
        """Its answer; Failed where it is gone or does not answer in time."""
        assert self._process.stdin is not None
        try:
            pipe.write(self._process.stdin.fileno(), message, self._silence_s)
        except (pipe.PipeSilent, pipe.PipeEnded):
            raise self._failure() from None
        return self._hear(self._silence_s)

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.wait()
        for end in (self._process.stdin, self._process.stdout):
            assert end is not None
            end.close()

    def _hear(self, within_s: float) -> dict[str, Any]:
        assert self._process.stdout is not None
        try:
            answer = pipe.read(self._process.stdout.fileno(), within_s)
        except (pipe.PipeSilent, pipe.PipeEnded):
            raise self._failure(within_s) from None
        if not isinstance(answer, dict):
            raise Failed("it says what no application of ours says")
        return answer

    def _failure(self, within_s: float = 0.0) -> Failed:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return Failed(f"its process has ended with status {self._process.wait(0.2)}")
        return Failed(f"it does not answer within {within_s or self._silence_s:g} s")
