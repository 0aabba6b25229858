"""All the nodes of a pipeline in one process of ROS: the executable `composed`.

Remaps, parameters and parameter files reach the nodes as they would in processes of their own.
`--pipeline NAME` before `--ros-args` says which nodes; without it those of the factory.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence

import rclpy.logging

from ...errors import ConfigError
from ...redaction import redact
from ..process import FAILED, NOT_STARTED, until_signal, warn_of_strangers
from .compose import FIRST, PIPELINES, Composition

NAME = "composed"
PIPELINE = "--pipeline"


def serve(stopped: threading.Event) -> int:
    """Run until `stopped` is set; an exit status."""
    with Composition({}, arguments=sys.argv, pipeline=_pipeline(sys.argv)) as composition:
        warn_of_strangers(composition.nodes.values())
        if not composition.autostart():
            return NOT_STARTED
        failure = composition.wait(stopped)
    if failure is not None:
        text = redact(f"a callback failed: {type(failure).__name__}: {failure}")
        rclpy.logging.get_logger(NAME).fatal(text)
        return FAILED
    return 0


def _pipeline(arguments: Sequence[str]) -> str:
    """What `--pipeline` says. ConfigError where there is no such pipeline."""
    if PIPELINE not in arguments:
        return FIRST
    name = "".join(arguments[arguments.index(PIPELINE) + 1 :][:1])
    if name not in PIPELINES:
        raise ConfigError(f"{PIPELINE}: expected {', '.join(PIPELINES)}, got {name!r:.60}")
    return name


def main() -> int:
    """Entry point of the executable `composed`."""
    return until_signal(NAME, serve)
