"""The same faults by the kernel: `tc netem` on a pair of virtual interfaces, as root.

A network namespace of our own holds one end of the pair; programs started in it reach this machine,
and nothing else, at HOST_ADDRESS. What leaves the namespace is *up*. The addresses are those that
RFC 5737 sets aside for documentation, so that they collide with no network. Namespace and
interfaces carry our process number in their names, and only these are ever touched.

Unlike the relay this makes true packet loss and jitter, which the kernel's own TCP repairs; it can
not reset connections, and it plays no traces.
"""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence

from ..errors import ConfigError, DependencyError, MastraError
from .faults import DirectionShape, Fault, link_at, next_change_s

HOST_ADDRESS = "192.0.2.1"
INSIDE_ADDRESS = "192.0.2.2"
PREFIX = 30
SUPPORTED = ("down", "stall", "delay", "jitter", "loss", "rate")
QUEUE_PACKETS = 1000


def netem_arguments(shape: DirectionShape, *, cut: bool = False) -> list[str]:
    """What follows `tc qdisc replace … netem` for this shape.

    A cut or stalled direction loses everything. Jitter is uniform from 0 to its value, as in the
    relay: half of it more delay, plus or minus the other half.
    """
    arguments = ["limit", str(QUEUE_PACKETS)]
    if cut or shape.stalled:
        return [*arguments, "loss", "100%"]
    if shape.delay_s or shape.jitter_s:
        half_us = round(shape.jitter_s / 2 * 1e6)
        arguments += ["delay", f"{round(shape.delay_s * 1e6) + half_us}us"]
        arguments += [f"{half_us}us"] if half_us else []
    if shape.loss:
        arguments += ["loss", f"{shape.loss * 100:g}%"]
    if not math.isinf(shape.rate_bps):
        arguments += ["rate", f"{round(shape.rate_bps)}bit"]
    return arguments


def check_supported(faults: Sequence[Fault]) -> None:
    """ConfigError when the kernel cannot play one of them."""
    for fault in faults:
        if fault.kind not in SUPPORTED:
            raise ConfigError(
                f"netem: expected faults of {', '.join(SUPPORTED)}, got {fault.kind}; "
                "mastra proxy plays it"
            )


class Namespace:
    """A network namespace behind a virtual cable; a context manager that removes both.

    DependencyError where tools, rights or the kernel's netem are missing; it says which.
    """

    def __init__(self) -> None:
        number = os.getpid()
        self.name = f"mastra-{number}"
        self._host = f"mah{number}"  # interfaces have at most 15 letters
        self._inside = f"mai{number}"

    def __enter__(self) -> Namespace:
        require_tools()
        try:
            self._make()
        except BaseException:  # a signal comes at any moment
            self._remove()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._remove()

    def apply(self, faults: Sequence[Fault], t_s: float) -> None:
        """Shape both directions as they are `t_s` after the start of the clock."""
        link = link_at(faults, t_s)
        self._shape(["ip", "netns", "exec", self.name, "tc"], self._inside, link.up, link.cut)
        self._shape(["tc"], self._host, link.down, link.cut)

    @contextlib.contextmanager
    def playing(self, faults: Sequence[Fault]) -> Iterator[None]:
        """Play a schedule from now on, in a thread, until the end of the block.

        DependencyError at the end when the kernel refused one of them meanwhile.
        """
        check_supported(faults)
        self.apply(faults, 0.0)
        stopped = threading.Event()
        began_s = time.monotonic()
        failed: list[MastraError] = []

        def play() -> None:
            t_s = 0.0
            while not math.isinf(t_s := next_change_s(faults, t_s)):
                if stopped.wait(max(0.0, began_s + t_s - time.monotonic())):
                    return
                try:
                    self.apply(faults, t_s)
                except MastraError as error:
                    failed.append(error)
                    return

        thread = threading.Thread(target=play, name="netem", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stopped.set()
            thread.join()
        if failed:
            raise failed[0]

    def command(self, command: Sequence[str]) -> list[str]:
        """The command line that runs `command` inside."""
        return ["ip", "netns", "exec", self.name, *command]

    def _make(self) -> None:
        inside = ["ip", "-n", self.name]
        ends = [self._host, "type", "veth", "peer", "name", self._inside, "netns", self.name]
        for command in (
            ["ip", "netns", "add", self.name],
            ["ip", "link", "add", *ends],
            ["ip", "address", "add", f"{HOST_ADDRESS}/{PREFIX}", "dev", self._host],
            ["ip", "link", "set", self._host, "up"],
            [*inside, "address", "add", f"{INSIDE_ADDRESS}/{PREFIX}", "dev", self._inside],
            [*inside, "link", "set", self._inside, "up"],
            [*inside, "link", "set", "lo", "up"],
        ):
            _run(command)
        self.apply((), 0.0)

    def _shape(self, tc: list[str], interface: str, shape: DirectionShape, cut: bool) -> None:
        arguments = netem_arguments(shape, cut=cut)
        _run([*tc, "qdisc", "replace", "dev", interface, "root", "netem", *arguments])

    def _remove(self) -> None:
        # The pair goes with either end; what was never made cannot be removed, and need not.
        for command in (["link", "del", self._host], ["netns", "del", self.name]):
            subprocess.run(["ip", *command], capture_output=True, check=False)  # noqa: S603, S607


def require_tools() -> None:
    """DependencyError when this machine cannot do it, as far as can be told beforehand."""
    for tool in ("ip", "tc"):
        if shutil.which(tool) is None:
            raise DependencyError(f"netem: {tool} is not installed: apt install iproute2")
    if os.geteuid() != 0:
        raise DependencyError(
            "netem: only root may make network namespaces; mastra proxy needs no rights"
        )


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode == 0:
        return
    said = " ".join((done.stderr or done.stdout).split()) or f"status {done.returncode}"
    if "netem" in command and "qdisc kind is unknown" in said:
        raise DependencyError(
            "netem: this kernel has no netem (CONFIG_NET_SCH_NETEM, module sch_netem); "
            "mastra proxy works without"
        )
    raise DependencyError(f"netem: {' '.join(command[:4])}: {said}")
