"""Accepts connections, asks the allowlist before anything else, and does TLS within a time limit.

What comes through is handed on as a transport; which server speaks on it is of no concern here.
An address that is not on the list costs one `accept` and one reset. Everybody else waits in the
lobby until it has proven who it is, and is shown out after `PATIENCE_S` at the latest.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import logging
import math
import socket
import ssl
import struct
from collections.abc import Callable
from dataclasses import dataclass

from ...errors import ConfigError
from .ending import abort
from .lobby import Lobby, Turnstile
from .logs import Sparing
from .transports import open_tls, quiet

logger = logging.getLogger(__name__)

PATIENCE_S = 5.0
"""For the handshake, and after it for the head of the first request."""
LINGER_S = 1.0
"""How long a connection may take to close in order."""
ACCEPTS_A_TURN = 16
GUESTS_MAX = 256
ADDRESS_MAX = 64
HANDSHAKES_HZ = 150.0
HANDSHAKES_BURST = 4
BACKLOG = 4096
PAUSE_S = 0.1
"""Without file descriptors nothing is accepted for so long."""

_OLD_TLS = bytes((21, 3, 3, 0, 2, 2, 70))
"""The fatal alert `protocol_version` (RFC 8446, section 6)."""
_NO_TLS = bytes((21, 3, 3, 0, 2, 2, 40))
"""The fatal alert `handshake_failure`."""
_RESET = struct.pack("ii", 1, 0)


@dataclass(eq=False)
class Guest:
    """One connection from its accept to its end."""

    peer: tuple[str, int]
    crowd: str  # whose share of the lobby it takes
    sock: socket.socket | None  # until the handshake begins
    handshake: asyncio.Task[None] | None = None
    transport: asyncio.Transport | None = None  # from the end of the handshake
    until_s: float = math.inf  # when patience ends; of the loop's clock
    timer: asyncio.TimerHandle | None = None  # rings then, or before: to move it takes long


class Acceptor:
    """Listens on `listener`; `make_protocol(guest)` is given a transport past its handshake."""

    def __init__(
        self,
        listener: socket.socket,
        context: ssl.SSLContext,
        *,
        admits: Callable[[str], bool],
        make_protocol: Callable[[Acceptor, Guest], asyncio.BaseProtocol],
        on_refused: Callable[[str], None] = lambda _: None,
        logs: Sparing | None = None,
    ) -> None:
        """`on_refused(cause)` hears of every connection that is refused."""
        self._listener = listener
        self._context = context
        self._admits = admits
        self._make_protocol = make_protocol
        self._on_refused = on_refused
        self._logs = logs or Sparing(logger)
        self._loop = asyncio.get_running_loop()
        self._lobby: Lobby[Guest] = Lobby(GUESTS_MAX, ADDRESS_MAX)
        self._turnstile: Turnstile[Guest] = Turnstile(HANDSHAKES_HZ, HANDSHAKES_BURST)
        self._turning: asyncio.TimerHandle | None = None
        self._pause: asyncio.TimerHandle | None = None
        self._guests: set[Guest] = set()

    def __len__(self) -> int:
        return len(self._guests)

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._listener.getsockname()[1])

    def start(self) -> None:
        """Accept from now on."""
        self._loop.set_exception_handler(quiet)
        self._loop.add_reader(self._listener, self._accept)

    def close(self) -> None:
        """Accept no more, and drop whoever is still there."""
        for timer in (self._pause, self._turning):
            if timer is not None:
                timer.cancel()
        self._loop.remove_reader(self._listener)
        self._listener.close()
        for guest in list(self._guests):
            self._drop(guest)

    # -- what the server tells of its guests -----------------------------------------------

    def admit(self, guest: Guest) -> None:
        """The guest has proven who it is, and occupies no place in the lobby any more."""
        self._stop_waiting(guest)

    def wait_again(self, guest: Guest, patience_s: float) -> None:
        """What the guest was admitted for is done; it may ask for more within this time."""
        self._wait(guest, patience_s)

    def gone(self, guest: Guest) -> None:
        """The connection has ended."""
        self._stop_waiting(guest)
        if guest.timer is not None:
            guest.timer.cancel()
            guest.timer = None
        guest.transport = None
        self._guests.discard(guest)

    # -- accepting -------------------------------------------------------------------------

    def _accept(self) -> None:
        for _ in range(ACCEPTS_A_TURN):
            try:
                sock, peer = self._listener.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                    self._take_a_break(error)
                    return
                continue  # it has gone already
            host = str(peer[0])
            if not self._admits(host):
                _reset(sock)
                self._on_refused("address")
                self._logs.warning("address", "refused %s: not on the allowlist", host)
                continue
            with contextlib.suppress(OSError):
                sock.setblocking(False)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            guest = Guest((host, int(peer[1])), crowd_of(host), sock)
            self._guests.add(guest)
            self._wait(guest, PATIENCE_S)
            # Nothing is spent on who says nothing: the handshake begins with its first byte.
            self._loop.add_reader(sock, self._heard, guest)

    def _take_a_break(self, error: OSError) -> None:
        self._logs.error("descriptors", "cannot accept: %s", error.strerror)
        self._loop.remove_reader(self._listener)
        self._pause = self._loop.call_later(PAUSE_S, self.start)

    def _wait(self, guest: Guest, patience_s: float) -> None:
        guest.until_s = self._loop.time() + patience_s
        if guest.timer is not None and guest.timer.when() > guest.until_s:
            guest.timer.cancel()
            guest.timer = None
        if guest.timer is None:
            guest.timer = self._loop.call_at(guest.until_s, self._look_at_patience, guest)
        out = self._lobby.enter(guest, guest.crowd)
        if out is not None:
            self._on_refused("crowd")
            self._logs.warning(
                "crowd",
                "too many connections wait without a request, the oldest is of %s",
                out.crowd,
            )
            self._drop(out)

    def _look_at_patience(self, guest: Guest) -> None:
        guest.timer = None
        if guest not in self._guests or math.isinf(guest.until_s):
            return
        if self._loop.time() < guest.until_s:
            guest.timer = self._loop.call_at(guest.until_s, self._look_at_patience, guest)
            return
        self._on_refused("slow")
        self._drop(guest)

    def _stop_waiting(self, guest: Guest) -> None:
        self._lobby.leave(guest, guest.crowd)
        guest.until_s = math.inf

    def _drop(self, guest: Guest) -> None:
        """End a connection at once, wherever it is."""
        transport = guest.transport
        self.gone(guest)
        if transport is not None:
            abort(transport)
            return
        if guest.handshake is not None:
            guest.handshake.cancel()
        if guest.sock is not None:  # the handshake has not begun
            self._turnstile.withdraw(guest, guest.crowd)
            self._loop.remove_reader(guest.sock)
            _reset(guest.sock)
            guest.sock = None

    # -- the handshake ---------------------------------------------------------------------

    def _heard(self, guest: Guest) -> None:
        assert guest.sock is not None
        if _has_gone(guest.sock):  # without a word: a handshake would be wasted on it
            self._drop(guest)
            return
        self._loop.remove_reader(guest.sock)
        self._turnstile.put(guest, guest.crowd)
        if self._turning is None:
            self._turn()

    def _turn(self) -> None:
        self._turning = None
        while (guest := self._turnstile.take(self._loop.time())) is not None:
            guest.handshake = self._loop.create_task(self._shake_hands(guest))
        if len(self._turnstile):
            self._turning = self._loop.call_later(self._turnstile.wait_s, self._turn)

    async def _shake_hands(self, guest: Guest) -> None:
        sock, guest.sock = guest.sock, None
        assert sock is not None
        word = sock.dup()  # asyncio hangs up without the alert that says why
        try:
            transport = await open_tls(
                lambda: self._make_protocol(self, guest), sock, self._context, PATIENCE_S
            )
        except (OSError, asyncio.TimeoutError) as error:  # ssl.SSLError is an OSError
            self.gone(guest)
            self._on_refused("tls")
            why = error.reason if isinstance(error, ssl.SSLError) else type(error).__name__
            with contextlib.suppress(OSError):
                word.send(_OLD_TLS if why == "UNSUPPORTED_PROTOCOL" else _NO_TLS)
            self._logs.info("tls", "no TLS 1.3 with %s: %s", guest.peer[0], why or error)
        else:
            if guest not in self._guests:  # shown out in the meantime
                abort(transport)
        finally:
            guest.handshake = None
            word.close()


def crowd_of(host: str) -> str:
    """Whose share of places an address takes: its own, or that of its network of IPv6 (/64)."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv4Address):
        return host
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, 64), strict=False))


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one. ConfigError when it is taken or no address."""
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(address)
            sock.listen(BACKLOG)
            sock.setblocking(False)
        except OSError:
            sock.close()
            raise
    except OSError as error:
        raise ConfigError(f"gateway: cannot listen on {host}:{port}: {error}") from error
    return sock


def _has_gone(sock: socket.socket) -> bool:
    """Whether there is an end to be read, or an error, and nothing before it."""
    try:
        return not sock.recv(1, socket.MSG_PEEK)
    except (BlockingIOError, InterruptedError):
        return False
    except OSError:
        return True


def _reset(sock: socket.socket) -> None:
    """Close at once; the kernel keeps nothing of the connection."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    sock.close()
