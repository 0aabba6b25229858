"""`mastra model`: make bundles, and say with numbers what they are worth."""

from __future__ import annotations

import argparse

from ..actions import add_actions, run_action

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


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the actions and their options."""
    add_actions(parser, __name__, ACTIONS)


def run(args: argparse.Namespace) -> int:
    """Do one of the actions."""
    return run_action(__name__, args)
