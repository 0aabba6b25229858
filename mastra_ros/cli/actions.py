"""Verbs with actions, `mastra VERB ACTION`: each action is a module of the verb's package."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Mapping
from typing import Protocol, cast


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


def add_actions(parser: argparse.ArgumentParser, package: str, actions: Mapping[str, str]) -> None:
    """Declare the actions of a verb (name: what it does, in a line) and their options."""
    added = parser.add_subparsers(
        dest="action", required=True, metavar="ACTION", help="what to do; each has its --help"
    )
    for name, doc in actions.items():
        module = _module(package, name)
        action = added.add_parser(name, help=doc)
        action.description = module.HELP
        module.add_arguments(action)


def run_action(package: str, args: argparse.Namespace) -> int:
    """Do the action that was asked for; the exit status."""
    return _module(package, args.action).run(args)


def _module(package: str, name: str) -> Action:
    return cast(Action, importlib.import_module(f".{name}", package))
