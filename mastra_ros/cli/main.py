"""The entry point of `mastra`: finds the verb, and turns errors into one line and a status.

Status 0 is success, 1 a failure while working, 2 a command line or configuration that cannot
be accepted, 130 an interruption by Ctrl-C.
"""

from __future__ import annotations

import argparse
import importlib
import re
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import NoReturn, Protocol, cast

from ..errors import ConfigError, MastraError
from ..redaction import redact
from ..share import share_file
from ..startup import command_line, drop_output, flush_output, log_to_stderr, prepare

VERBS = {
    "casting": "find and judge voids in a stack of CT slices of a part",
    "dashboard": "show the devices of a gateway in a browser, and change what may be changed",
    "gateway": "serve devices: authenticate, infer in batches, keep the results",
    "keys": "make and show the keys of gateway and devices",
    "model": "convert, quantise, split and judge models",
    "netem": "run a program behind a bad link of the kernel's making",
    "params": "print and check parameters",
    "plan": "what a site needs and costs: all local, all cloud, Mastra",
    "privacy": "what would be hidden on pictures of your own",
    "probe": "measure the link to a gateway, and say what each policy would do",
    "proxy": "put a bad link between a device and a gateway",
    "replay": "tell what a recording says, and publish it again",
    "run": "run a pipeline in one process",
    "simulate": "compare policies on recorded links",
    "ultrasound": "the lag of pictures against poses; doubtful recordings and calibrations",
    "traffic": "lanes and signals of a road",
}
"""What each verb does, in a line; its module in this package tells more."""

LEVELS = ("debug", "info", "warning", "error")


class Verb(Protocol):
    """What the module of a verb has."""

    HELP: str
    """What it does, for `--help`."""
    EXAMPLE: str
    """A command line that works."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the options."""
        ...

    def run(self, args: argparse.Namespace) -> int:
        """Do it; the exit status."""
        ...


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def __init__(self, *, prog: str) -> None:
        super().__init__(prog=prog, formatter_class=argparse.RawDescriptionHelpFormatter)

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"mastra: {redact(message)}; see {self.prog} --help\n")


def verb_module(name: str) -> Verb:
    """Import the module of a verb."""
    return cast(Verb, importlib.import_module(f".{name}", __package__))


def mastra_version() -> str:
    """The version of this package, however it was installed."""
    try:
        return version("mastra_ros")
    except PackageNotFoundError:
        found = re.search(r"<version>(.+?)</version>", share_file("package.xml").read_text("utf-8"))
        return found.group(1) if found else "unknown"


def top_parser() -> argparse.ArgumentParser:
    """The parser of what stands before the verb's own arguments."""
    parser = Parser(prog="mastra")
    parser.description = "Hybrid inference between a device and a server."
    parser.epilog = "verbs:\n" + "".join(f"  {name:10} {doc}\n" for name, doc in VERBS.items())
    parser.epilog += "\nmastra VERB --help tells more, with an example."
    parser.add_argument("--version", action="store_true", help="print the version and stop")
    parser.add_argument("--log-level", choices=LEVELS, default="info", help="default: info")
    parser.add_argument("verb", nargs="?", metavar="VERB", help="what to do")
    parser.add_argument("rest", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    return parser


def verb_parser(name: str) -> argparse.ArgumentParser:
    """The parser of a verb's arguments."""
    parser = Parser(prog=f"mastra {name}")
    verb = verb_module(name)
    parser.description = verb.HELP
    parser.epilog = f"example: {verb.EXAMPLE}"
    parser.add_argument("--log-level", choices=LEVELS, help="how much is logged; default: info")
    verb.add_arguments(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run `mastra` with these arguments (default: those of the process); the exit status."""
    prepare()
    try:
        try:
            return _dispatch(command_line() if argv is None else argv)
        finally:
            flush_output()
    except ConfigError as error:
        return _complain(error, 2)
    except (MastraError, OSError) as error:
        drop_output()
        if isinstance(error, BrokenPipeError):
            return 1  # who read our output has gone
        return _complain(error, 1)
    except KeyboardInterrupt:
        return 130


def _dispatch(argv: Sequence[str]) -> int:
    parser = top_parser()
    top = parser.parse_args(argv)
    if top.version:
        print(f"mastra {mastra_version()}")
        return 0
    if top.verb is None:
        parser.error(f"expected a verb: {', '.join(VERBS)}")
    if top.verb not in VERBS:
        parser.error(f"expected a verb of {', '.join(VERBS)}, got {top.verb!r}")
    arguments = verb_parser(top.verb).parse_args(top.rest)
    log_to_stderr(arguments.log_level or top.log_level)
    return verb_module(top.verb).run(arguments)


def _complain(error: Exception | str, status: int) -> int:
    print(f"mastra: {redact(' '.join(str(error).split()))}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
