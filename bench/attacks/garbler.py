"""A relay that spoils bytes on their way, as a broken middle box or somebody on the wire does."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable

Spoil = Callable[[bytes, int, bool], bytes | None]
"""Of a piece, how many bytes went before it, and whether it goes up: what passes; None hangs up."""


class Garbler:
    """Relays a loopback port to another. `spoil` may be changed at any time; None passes all."""

    def __init__(self, port: int) -> None:
        self._upstream = port
        self.spoil: Spoil | None = None
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._closed = False
        self._thread = threading.Thread(target=self._serve, daemon=True)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._listener.getsockname()[1])

    def _serve(self) -> None:
        while not self._closed:
            try:
                below, _ = self._listener.accept()
                above = socket.create_connection(("127.0.0.1", self._upstream), timeout=10.0)
            except OSError:
                continue
            self.connections += 1
            above.settimeout(None)
            for source, target, up in ((below, above, True), (above, below, False)):
                threading.Thread(target=self._relay, args=(source, target, up), daemon=True).start()

    def _relay(self, source: socket.socket, target: socket.socket, up: bool) -> None:
        passed = 0
        try:
            while data := source.recv(65536):
                spoil = self.spoil
                out = data if spoil is None else spoil(data, passed, up)
                passed += len(data)
                if out is None:
                    break
                target.sendall(out)
        except OSError:
            pass
        finally:
            for one in (source, target):
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
                one.close()

    def __enter__(self) -> Garbler:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
