"""`mastra traffic`: lanes and signals of a road."""

from __future__ import annotations

import argparse

from ..actions import add_actions, run_action

HELP = """\
Traffic at a junction: see docs/traffic.md and docs/traffic_signals.md."""
EXAMPLE = "mastra traffic simulate cologne1 --policy tuned --direct"

ACTIONS = {
    "draw": "show lanes, lines and zones on a frame, and check them",
    "simulate": "time the signals of a junction in SUMO, in a closed loop",
}
"""What each action does, in a line; its module in this package tells more."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the actions and their options."""
    add_actions(parser, __name__, ACTIONS)


def run(args: argparse.Namespace) -> int:
    """Do one of the actions."""
    return run_action(__name__, args)
