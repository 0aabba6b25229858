"""`mastra proxy`: a bad link between a device and a gateway, as a process of its own."""

from __future__ import annotations

import argparse
import signal
import threading

from ..emulation import ShapingProxy, read_faults, read_script
from ..errors import ConfigError

HELP = """\
Relay TCP from a port on loopback and play a schedule of faults on the way.
Faults, separated by commas: down@5s..15s, stall@5s..8s, delay=120ms@2s..8s,
jitter=30ms@2s..8s, loss=2%@2s..8s, rate=1mbit@3s..9s, trace=FILE@0s, reset@7s.
up: or down: before a fault confines it to one direction: up:rate=256kbit@0s.
Times count from the start; without an end a fault lasts. A script file has one
fault a line; its traces lie beside it."""
EXAMPLE = "mastra proxy --upstream 127.0.0.1:8443 --port 9443 --fault down@5s..15s"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--upstream", required=True, metavar="HOST:PORT", help="where to relay to")
    faults = parser.add_mutually_exclusive_group()
    faults.add_argument(
        "--fault", default="", metavar="SPEC", help="faults and when they happen; @FILE: a script"
    )
    faults.add_argument("--script", metavar="FILE", help="faults, one a line")
    parser.add_argument("--port", type=int, default=0, help="port to listen on; 0 takes a free one")
    parser.add_argument("--seed", type=int, default=0, help="of the dice for jitter and loss")


def run(args: argparse.Namespace) -> int:
    """Relay until a signal comes."""
    host, _, port = args.upstream.rpartition(":")
    if not (host and port.isdecimal() and 0 < int(port) < 65536):
        raise ConfigError(f"--upstream: expected HOST:PORT, got {args.upstream!r}")
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    faults = read_script(args.script) if args.script else read_faults(args.fault)
    with ShapingProxy(
        host.strip("[]"), int(port), faults, listen_port=args.port, seed=args.seed
    ) as proxy:
        print(f"ready 127.0.0.1:{proxy.port} -> {args.upstream}", flush=True)
        # Waits that end let Ctrl-C through on every platform.
        while not stopped.wait(1.0):
            pass
    return 0
