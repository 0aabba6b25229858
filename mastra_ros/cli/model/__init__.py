"""`mastra model`: make bundles, and say with numbers what they are worth."""

from __future__ import annotations

import argparse
import importlib
from typing import Protocol, cast

HELP = """\
Convert, quantise, split and judge models. What converts needs more packages:
pip install "mastra-ros[convert]"."""
EXAMPLE = "mastra model show models/board_defects"

ACTIONS = {
    "bench": "latency and throughput by engine, threads and batch",
    "convert": "make a bundle from a trained network",
    "evaluate": "accuracy of local, cloud and joint inference on labelled data",
    "fit": "whether the device model fits a microcontroller",
    "get": "bring a well-known model, such as a finder of faces",
    "quantise": "add the int8 form of the gateway's network",
    "show": "print what a bundle holds",
    "split": "cut the gateway's network in two, where that pays",
    "verify": "check every file of a bundle, and try its models",
}
"""What each action does, in a line; its module in this package tells more."""


class Action(Protocol):
    """What the module of an action has."""

    HELP: str
    """What it does, for `--help`."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the options."""
        ...

    def run(self, args: argparse.Namespace) -> int:
        """Do it; the exit status."""
        ...


def action_module(name: str) -> Action:
    """Import the module of an action."""
    return cast(Action, importlib.import_module(f".{name}", __package__))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the actions and their options."""
    actions = parser.add_subparsers(
        dest="action", required=True, metavar="ACTION", help="what to do; each has its --help"
    )
    for name, doc in ACTIONS.items():
        module = action_module(name)
        action = actions.add_parser(name, help=doc)
        action.description = module.HELP
        module.add_arguments(action)


def run(args: argparse.Namespace) -> int:
    """Do one of the actions."""
    return action_module(args.action).run(args)
