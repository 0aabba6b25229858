"""`mastra traffic`: lanes and signals of a road."""

from __future__ import annotations

import argparse
import importlib
from typing import Protocol, cast

HELP = """\
Traffic at a junction: see docs/traffic.md and docs/traffic_signals.md."""
EXAMPLE = "mastra traffic simulate cologne1 --policy tuned --direct"

ACTIONS = {
    "draw": "show lanes, lines and zones on a frame, and check them",
    "simulate": "time the signals of a junction in SUMO, in a closed loop",
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
    """Do the action."""
    return action_module(args.action).run(args)
