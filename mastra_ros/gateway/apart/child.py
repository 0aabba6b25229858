"""A process beside the gateway's, as the event loop sees it: begun, told, heard, and ended.

It ends when its socket does: however the gateway ends, it goes with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import subprocess
import sys
from collections.abc import Callable

from ...orphans import child_environment
from .wire import READ_BYTES, Cutter, WireBroken

BUFFER_BYTES = 2**20
END_S = 3.0
"""How long a process may take to end once its socket is closed."""


class Child:
    """Begun when it is made, as `python -m MODULE DESCRIPTOR`; used from the event loop."""

    def __init__(
        self, module: str, on_message: Callable[[bytes], None], on_end: Callable[[str], None]
    ) -> None:
        """`on_end(why)` is called once, unless it was ended by us."""
        self._on_message = on_message
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        self._cutter = Cutter()
        self._waiting = bytearray()  # what the socket has not taken yet
        self._ended = False
        self._sock, theirs = socket.socketpair()
        with theirs:
            for end in (self._sock, theirs):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, "-m", module, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=2,  # the gateway's own stdout says where it listens
                env=child_environment(),
                pass_fds=(theirs.fileno(),),
            )
        self._sock.setblocking(False)
        self._loop.add_reader(self._sock, self._readable)

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    def say(self, data: bytes) -> None:
        """Tell it something, after all that it was told before."""
        if self._ended:
            return
        if not self._waiting:
            try:
                sent = self._sock.send(data)
            except (BlockingIOError, InterruptedError):
                sent = 0
            except OSError:
                return  # its end is heard by who reads
            if sent == len(data):
                return
            data = data[sent:]
            self._loop.add_writer(self._sock, self._writable)
        self._waiting += data

    def fail(self, why: str) -> None:
        """It says what nobody of ours says, or does not answer: end it, and tell of it."""
        if self._hang_up():
            self._process.kill()
            self._on_end(why)

    async def end(self) -> None:
        """Let it end, or kill it when it does not in time."""
        self._hang_up()
        try:
            await asyncio.to_thread(self._process.wait, END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            await asyncio.to_thread(self._process.wait)

    def kill(self) -> None:
        """End it at once."""
        self._hang_up()
        self._process.kill()
        self._process.wait()

    async def last_word(self) -> str:
        """How it ended; it is killed where it has hung up and yet goes on."""
        await self.end()
        status = self._process.returncode
        if status >= 0:
            return f"status {status}"
        with contextlib.suppress(ValueError):
            return signal.Signals(-status).name
        return f"signal {-status}"

    def _readable(self) -> None:
        try:
            data = self._sock.recv(READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data:
            if self._hang_up():
                self._on_end("it has ended")
            return
        try:
            for message in self._cutter.feed(data):
                self._on_message(message)
        except WireBroken as error:
            self.fail(f"it says what no process of ours says: {error}")

    def _writable(self) -> None:
        try:
            sent = self._sock.send(self._waiting)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            sent = len(self._waiting)  # its end is heard by who reads
        del self._waiting[:sent]
        if not self._waiting:
            self._loop.remove_writer(self._sock)

    def _hang_up(self) -> bool:
        """Whether that is new."""
        if self._ended:
            return False
        self._ended = True
        self._loop.remove_reader(self._sock)
        self._loop.remove_writer(self._sock)
        self._sock.close()
        return True
