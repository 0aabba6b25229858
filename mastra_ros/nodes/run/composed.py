"""All the nodes of a pipeline in one process of ROS: the executable `composed`.

Remaps, parameters and parameter files reach the nodes as they would in processes of their own.
"""

from __future__ import annotations

import sys
import threading

import rclpy.logging

from ...redaction import redact
from ..process import FAILED, NOT_STARTED, until_signal, warn_of_strangers
from .compose import Composition

NAME = "composed"


def serve(stopped: threading.Event) -> int:
    """Run until `stopped` is set; an exit status."""
    with Composition({}, arguments=sys.argv) as composition:
        warn_of_strangers(composition.nodes.values())
        if not composition.autostart():
            return NOT_STARTED
        failure = composition.wait(stopped)
    if failure is not None:
        text = redact(f"a callback failed: {type(failure).__name__}: {failure}")
        rclpy.logging.get_logger(NAME).fatal(text)
        return FAILED
    return 0


def main() -> int:
    """Entry point of the executable `composed`."""
    return until_signal(NAME, serve)
