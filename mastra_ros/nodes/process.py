"""Runs one node as a process of its own; and how such a process ends."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterable

import rclpy
from rclpy.executors import Executor, ExternalShutdownException
from rclpy.experimental import EventsExecutor
from rclpy.node import Node

from ..errors import MastraError
from ..redaction import redact
from ..startup import log_to_stderr, prepare
from .lifecycle import StageNode
from .memory import keep_memory
from .starting import ros_errors, start_ros
from .strangers import strangers

STOPPING = (signal.SIGINT, signal.SIGTERM)
NOT_STARTED = 1
"""Exit status of what cannot start, as of a Python that lacks a module: trying again is no help."""
WITH_A_GATE = ("compression", "bridge", "pipeline", "traffic", "ultrasound")
"""Stages that read the section `privacy`, which has no node of its own."""
FAILED = 70
"""Exit status after an error while running (EX_SOFTWARE of sysexits.h): trying again may help."""


def spin_until(executor: Executor, stopped: threading.Event) -> None:
    """Serve callbacks until `stopped` is set or the context is shut down."""
    with contextlib.suppress(ExternalShutdownException):
        while not stopped.is_set():
            executor.spin_once(timeout_sec=0.1)


def until_signal(name: str, serve: Callable[[threading.Event], int]) -> int:
    """Call `serve`, which is to return soon after its event is set by SIGINT or SIGTERM.

    A MastraError is one line of the logger `name`, and `NOT_STARTED`. More signals while it closes
    change nothing: tools often send several.
    """
    stopped = threading.Event()
    for number in STOPPING:
        # For good: the process has nothing to do but to close its nodes, in order.
        signal.signal(number, lambda *_: stopped.set())
    prepare()
    keep_memory()
    log_to_stderr("warning")
    try:
        return serve(stopped)
    except MastraError as error:
        # As text for a log in C: a name that is not UTF-8 would be another error.
        text = redact(str(error)).encode("utf-8", "backslashreplace").decode("utf-8")
        rclpy.logging.get_logger(name).error(text)
        return NOT_STARTED
    finally:
        rclpy.try_shutdown()
        # Handlers in Python go before the interpreter does, which can take a second; launch sends
        # SIGTERM to who is slow, and would report a death.
        for number in STOPPING:
            signal.signal(number, signal.SIG_IGN)


def run(node_class: type[StageNode]) -> int:
    """Run a node until SIGINT or SIGTERM; `NOT_STARTED` when it cannot start."""

    def serve(stopped: threading.Event) -> int:
        start_ros()
        return _serve(node_class, stopped)

    return until_signal(node_class.stage, serve)


def warn_of_strangers(nodes: Iterable[Node]) -> None:
    """Say which parameters on the command line no node of this process will ever read."""
    made = list(nodes)
    names = [node.get_fully_qualified_name() for node in made]
    spaces = {node.get_namespace().rstrip("/") for node in made if _stage(node) in WITH_A_GATE}
    names += [f"{space}/privacy" for space in spaces]  # no node, but they read that section
    for line in strangers(sys.argv, names):
        made[0].get_logger().warning(redact(line))


def _stage(node: Node) -> str:
    return str(getattr(node, "stage", ""))


def _serve(node_class: type[StageNode], stopped: threading.Event) -> int:
    with ros_errors():
        node = node_class()
    warn_of_strangers([node])
    executor = EventsExecutor()
    executor.add_node(node)
    try:
        if not node.autostart():
            return NOT_STARTED
        spin_until(executor, stopped)
        return 0
    except Exception:
        node.get_logger().fatal(redact(f"a callback failed:\n{traceback.format_exc()}"))
        return FAILED
    finally:
        node.close()
        executor.shutdown()
        node.destroy_node()
