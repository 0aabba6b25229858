"""The shaping proxy, with real sockets to a real echo server."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mastra_ros.emulation.grammar import parse_faults
from mastra_ros.emulation.proxy import ShapingProxy
from mastra_ros.errors import ConfigError

DEADLINE_S = 20.0


class Echo:
    """A server that returns what it gets and closes when the client has finished."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(client,))
            thread.start()
            self._threads.append(thread)

    @staticmethod
    def _serve(client: socket.socket) -> None:
        with client:
            try:
                while data := client.recv(65536):
                    client.sendall(data)
            except OSError:
                return

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(DEADLINE_S)


@pytest.fixture
def echo() -> Iterator[Echo]:
    server = Echo()
    yield server
    server.close()


@pytest.fixture
def proxy(echo: Echo) -> Iterator[ShapingProxy]:
    with ShapingProxy("127.0.0.1", echo.port) as running:
        yield running


def client_of(proxy: ShapingProxy) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", proxy.port), timeout=DEADLINE_S)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def receive(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size and (more := sock.recv(size - len(data))):
        data += more
    return data


def exchange(sock: socket.socket, data: bytes = b"ping") -> float:
    """Send, wait for the echo, return the time in s."""
    start = time.monotonic()
    sock.sendall(data)
    assert receive(sock, len(data)) == data
    return time.monotonic() - start


def exchange_for_ever(sock: socket.socket) -> None:
    while True:
        exchange(sock)
        time.sleep(0.01)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def is_silent(sock: socket.socket, for_s: float) -> bool:
    sock.settimeout(for_s)
    try:
        sock.recv(1)
    except TimeoutError:
        return True
    finally:
        sock.settimeout(DEADLINE_S)
    return False


def test_bytes_pass_unchanged_and_in_order(proxy: ShapingProxy) -> None:
    data = bytes(range(256)) * 8192
    with client_of(proxy) as sock:
        sender = threading.Thread(target=sock.sendall, args=(data,))
        sender.start()
        assert receive(sock, len(data)) == data
        sender.join()
        sock.shutdown(socket.SHUT_WR)
        assert sock.recv(1) == b"", "the end of the stream travels too"
    assert proxy.carried_bytes == (len(data), len(data))


def test_a_delay_lengthens_the_round_trip_by_its_value(proxy: ShapingProxy) -> None:
    with client_of(proxy) as sock:
        exchange(sock)
        proxy.set_faults(parse_faults("delay=120ms@0s"))
        assert min(exchange(sock) for _ in range(3)) >= 0.119
        proxy.set_faults(())
        assert min(exchange(sock) for _ in range(10)) < 0.119


def test_a_delay_does_not_lower_the_throughput(proxy: ShapingProxy) -> None:
    """Many bytes are on their way at once: the delay is paid once, not per piece."""
    proxy.set_faults(parse_faults("delay=200ms@0s"))
    data = bytes(1_000_000)
    with client_of(proxy) as sock:
        pieces = len(data) // 65536
        assert exchange(sock, data) < 0.2 * pieces


def test_a_rate_is_kept(proxy: ShapingProxy) -> None:
    proxy.set_faults(parse_faults("rate=1mbit@0s"))
    with client_of(proxy) as sock:
        assert exchange(sock, bytes(25_000)) >= 0.19, "200 kbit at 1 Mbit/s"


def test_connections_share_the_rate(proxy: ShapingProxy) -> None:
    proxy.set_faults(parse_faults("rate=1mbit@0s"))
    start = time.monotonic()
    with client_of(proxy) as first, client_of(proxy) as second:
        for sock in (first, second):
            sock.sendall(bytes(12_500))
        for sock in (first, second):
            receive(sock, 12_500)
    assert time.monotonic() - start >= 0.19


def test_a_slow_link_is_felt_by_the_sender(proxy: ShapingProxy) -> None:
    proxy.set_faults(parse_faults("rate=8kbit@0s"))
    with client_of(proxy) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        sock.settimeout(0.2)
        with pytest.raises(TimeoutError):
            sock.sendall(bytes(4_000_000))


def test_a_stall_accepts_and_forwards_nothing_until_it_ends(proxy: ShapingProxy) -> None:
    with client_of(proxy) as old:
        exchange(old)
        proxy.set_faults(parse_faults("stall@0s"))
        with client_of(proxy) as new:
            old.sendall(b"old")
            new.sendall(b"new")
            assert is_silent(old, 0.1)
            assert is_silent(new, 0.1)
            proxy.set_faults(())
            assert receive(old, 3) == b"old"
            assert receive(new, 3) == b"new"


def test_a_cut_link_is_silent_and_its_connections_are_gone_afterwards(
    proxy: ShapingProxy,
) -> None:
    with client_of(proxy) as old:
        exchange(old)
        proxy.set_faults(parse_faults("down@0s"))
        with client_of(proxy) as new:
            old.sendall(b"vanishes")
            new.sendall(b"unheard")
            assert is_silent(old, 0.1)
            assert is_silent(new, 0.1)
            proxy.set_faults(())
            for sock in (old, new):
                with pytest.raises(ConnectionResetError):
                    sock.recv(1)
    with client_of(proxy) as sock:
        exchange(sock)


def test_a_reset_breaks_connections_and_new_ones_work(proxy: ShapingProxy) -> None:
    with client_of(proxy) as sock:
        exchange(sock)
        proxy.set_faults(parse_faults("reset@0s"))
        proxy.restart_clock()
        with pytest.raises(ConnectionResetError):
            sock.recv(1)
    with client_of(proxy) as sock:
        exchange(sock)


def test_the_schedule_runs_by_itself(echo: Echo) -> None:
    with (
        ShapingProxy("127.0.0.1", echo.port, parse_faults("down@100ms..300ms")) as proxy,
        client_of(proxy) as sock,
    ):
        proxy.restart_clock()
        with pytest.raises(ConnectionError):
            exchange_for_ever(sock)
        assert not proxy.shape.cut


def test_the_clock_can_be_started_again(proxy: ShapingProxy) -> None:
    proxy.set_faults(parse_faults("stall@0s..150ms"))
    with client_of(proxy) as sock:
        exchange(sock)
        proxy.restart_clock()
        assert proxy.shape.stalled
        exchange(sock)


def test_an_upstream_that_refuses_resets_the_client(echo: Echo) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with (
        ShapingProxy("127.0.0.1", port) as proxy,
        pytest.raises(ConnectionResetError),
        client_of(proxy) as sock,
    ):
        sock.recv(1)


def test_a_port_that_is_taken_is_one_clear_error(echo: Echo) -> None:
    with pytest.raises(ConfigError, match=f"cannot listen on port {echo.port}"):
        ShapingProxy("127.0.0.1", echo.port, listen_port=echo.port).start()


def test_stopping_twice_is_harmless(echo: Echo) -> None:
    proxy = ShapingProxy("127.0.0.1", echo.port).start()
    sock = client_of(proxy)
    exchange(sock)
    proxy.stop()
    with sock, pytest.raises(ConnectionResetError):
        sock.recv(1)
    proxy.stop()


def test_a_rate_in_one_direction_leaves_the_other_alone(proxy: ShapingProxy) -> None:
    proxy.set_faults(parse_faults("down:rate=1mbit@0s"))
    up, down = proxy.shape.up, proxy.shape.down
    assert up.rate_bps > down.rate_bps == 1e6
    with client_of(proxy) as sock:
        assert exchange(sock, bytes(25_000)) >= 0.19, "200 kbit at 1 Mbit/s"


def test_one_direction_can_stall_while_the_other_moves(proxy: ShapingProxy) -> None:
    with client_of(proxy) as sock:
        exchange(sock)
        proxy.set_faults(parse_faults("down:stall@0s"))
        before, _ = proxy.carried_bytes
        sock.sendall(b"gone up")
        wait_until(lambda: proxy.carried_bytes[0] == before + 7)
        assert is_silent(sock, 0.1)
        proxy.set_faults(())
        assert receive(sock, 7) == b"gone up"


def test_jitter_reorders_nothing(proxy: ShapingProxy) -> None:
    proxy.set_faults(parse_faults("jitter=30ms@0s"))
    data = bytes(range(256)) * 400
    with client_of(proxy) as sock:
        for start in range(0, len(data), 5000):
            sock.sendall(data[start : start + 5000])
        assert receive(sock, len(data)) == data


def test_losses_make_bytes_late_and_lose_none(proxy: ShapingProxy) -> None:
    proxy.set_faults(parse_faults("up:loss=50%@0s"))
    with client_of(proxy) as sock:
        times = [exchange(sock) for _ in range(4)]
    assert max(times) >= 0.2, "a time-out of TCP"


def test_a_trace_limits_the_rate(echo: Echo, tmp_path: Path) -> None:
    (tmp_path / "slow.up").write_text("".join(f"{ms}\n" for ms in range(20, 220, 20)))
    faults = parse_faults("up:trace=slow.up@0s", tmp_path)
    with ShapingProxy("127.0.0.1", echo.port, faults) as proxy, client_of(proxy) as sock:
        assert exchange(sock, bytes(15_000)) >= 0.17, "10 opportunities, one each 20 ms"


def test_a_rate_that_rises_again_counts_at_once(proxy: ShapingProxy) -> None:
    """What was read before the rate fell must not be paced at the old rate for ever."""
    with client_of(proxy) as sock:
        proxy.set_faults(parse_faults("rate=8kbit@0s"))
        sock.sendall(bytes(60_000))
        proxy.set_faults(())
        assert len(receive(sock, 60_000)) == 60_000
