"""The kernel's netem: what it is told, and the real thing where the kernel has it."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Iterator

import pytest

from mastra_ros.emulation.faults import DirectionShape, link_at
from mastra_ros.emulation.grammar import parse_faults
from mastra_ros.emulation.netem import (
    HOST_ADDRESS,
    Namespace,
    check_supported,
    netem_arguments,
    require_tools,
)
from mastra_ros.errors import ConfigError, DependencyError


@pytest.mark.parametrize(
    ("specification", "expected"),
    [
        ("", []),
        ("delay=120ms@0s", ["delay", "60000us"]),
        ("delay=120ms@0s,jitter=30ms@0s", ["delay", "75000us", "15000us"]),
        ("loss=2.5%@0s", ["loss", "2.5%"]),
        ("up:rate=256kbit@0s,down:rate=1mbit@0s", ["rate", "256000bit"]),
        ("stall@0s,delay=1s@0s", ["loss", "100%"]),
        ("down@0s", ["loss", "100%"]),
    ],
)
def test_a_shape_becomes_arguments_of_tc(specification: str, expected: list[str]) -> None:
    link = link_at(parse_faults(specification), 0.0)
    assert netem_arguments(link.up, cut=link.cut) == ["limit", "1000", *expected]


def test_one_direction_can_be_shaped_alone() -> None:
    link = link_at(parse_faults("up:loss=1%@0s"), 0.0)
    assert netem_arguments(link.down) == netem_arguments(DirectionShape())


@pytest.mark.parametrize("specification", ["reset@1s", "down@0s,reset@2s"])
def test_what_the_kernel_cannot_play_is_refused(specification: str) -> None:
    with pytest.raises(ConfigError, match="mastra proxy plays it"):
        check_supported(parse_faults(specification))


def test_a_missing_tool_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(DependencyError, match="apt install iproute2"):
        require_tools()


def leftovers() -> list[str]:
    done = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True)
    return [line for line in done.stdout.splitlines() if line.startswith(Namespace().name)]


@pytest.fixture
def namespace() -> Iterator[Namespace]:
    try:
        with Namespace() as made:
            yield made
    except DependencyError as missing:
        pytest.skip(str(missing))


def round_trip_s(namespace: Namespace) -> float:
    """Time until a connection to a closed port on this machine is refused."""
    code = (
        "import socket, time; s = socket.socket(); t = time.monotonic()\n"
        f"try: s.connect(('{HOST_ADDRESS}', 1))\n"
        "except ConnectionRefusedError: print(time.monotonic() - t)"
    )
    done = subprocess.run(
        namespace.command(["python3", "-c", code]), capture_output=True, text=True, check=True
    )
    return float(done.stdout)


def test_the_kernel_delays_what_passes_the_cable(namespace: Namespace) -> None:
    assert round_trip_s(namespace) < 0.1
    with namespace.playing(parse_faults("delay=200ms@0s..3s")):
        assert round_trip_s(namespace) >= 0.199
        deadline = time.monotonic() + 20
        while round_trip_s(namespace) >= 0.1:
            assert time.monotonic() < deadline, "the fault never ended"


def test_nothing_is_left_behind_even_where_the_kernel_has_no_netem() -> None:
    try:
        require_tools()
    except DependencyError as missing:
        pytest.skip(str(missing))
    with contextlib.suppress(DependencyError), Namespace() as made:
        assert leftovers()[0].split()[0] == made.name
    assert leftovers() == []
