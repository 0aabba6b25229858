"""`mastra model verify`: whether a bundle is whole."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = """\
Check every file of a bundle against its digest, name those that do not belong to it, and load
its models. The status is 1 where anything is wrong."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("bundle", type=Path, metavar="DIR", help="folder of bundle.yaml")


def run(args: argparse.Namespace) -> int:
    """Print a line for each thing looked at."""
    from ...model.verify import verify

    checks = verify(args.bundle)
    for check in checks:
        print(f"{'WRONG' if check.problem else 'ok':5} {check.what}: {check.problem or check.note}")
    wrong = sum(bool(check.problem) for check in checks)
    print(f"{args.bundle}: {f'{wrong} wrong' if wrong else 'in order'}")
    return 1 if wrong else 0
