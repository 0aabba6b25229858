"""`mastra netem`: a program behind a bad link that the kernel makes."""

from __future__ import annotations

import argparse
import signal
import subprocess
from collections.abc import Sequence

from ..emulation import read_faults, read_script
from ..emulation.netem import HOST_ADDRESS, INSIDE_ADDRESS, Namespace, check_supported
from ..errors import ConfigError

HELP = f"""\
Run a program in a network namespace of its own, behind a virtual cable that the kernel's
netem shapes: true packet loss, jitter, rates. From inside, this machine is {HOST_ADDRESS} and
nothing else can be reached. Faults are those of `mastra proxy`, without reset and trace;
they start with the program. Needs root and a kernel with netem; leaves nothing behind.
The exit status is the program's."""
EXAMPLE = (
    'mastra netem --fault "delay=60ms@0s,loss=1%@5s..15s" -- '
    f"mastra probe wss://{HOST_ADDRESS}:8443 --keys keys"
)

PATIENCE_S = 5.0
"""How long the program may take to end when it is told to."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    faults = parser.add_mutually_exclusive_group()
    faults.add_argument(
        "--fault", default="", metavar="SPEC", help="faults and when they happen; @FILE: a script"
    )
    faults.add_argument("--script", metavar="FILE", help="faults, one a line")
    parser.add_argument(
        "command", nargs=argparse.REMAINDER, metavar="-- PROGRAM ...", help="what to run inside"
    )


def run(args: argparse.Namespace) -> int:
    """Run the program."""
    command = args.command[1:] if args.command[:1] == ["--"] else args.command
    if not command:
        raise ConfigError("expected -- and a program to run, got nothing")
    faults = read_script(args.script) if args.script else read_faults(args.fault)
    check_supported(faults)
    signal.signal(signal.SIGTERM, _terminated)
    with Namespace() as namespace, namespace.playing(faults):
        print(f"ready {namespace.name}: {INSIDE_ADDRESS} -> {HOST_ADDRESS}", flush=True)
        return run_to_its_end(namespace.command(command))


def run_to_its_end(command: Sequence[str]) -> int:
    """Run a program; its status, as a shell tells it. A signal to us ends it, too."""
    with subprocess.Popen(command) as process:
        try:
            status = process.wait()
        except BaseException:
            process.terminate()
            try:
                process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                process.kill()
            raise
    return status if status >= 0 else 128 - status


def _terminated(number: int, _: object) -> None:
    """What was made is removed on the way out."""
    raise SystemExit(128 + number)
