"""Runs one node as a process of its own."""

from __future__ import annotations

import contextlib
import signal
import threading

import rclpy
from rclpy.executors import Executor, ExternalShutdownException
from rclpy.experimental import EventsExecutor

from ..errors import MastraError
from ..redaction import redact
from ..startup import log_to_stderr, prepare
from .lifecycle import StageNode
from .starting import ros_errors, start_ros

STOPPING = (signal.SIGINT, signal.SIGTERM)


def spin_until(executor: Executor, stopped: threading.Event) -> None:
    """Serve callbacks until `stopped` is set or the context is shut down."""
    with contextlib.suppress(ExternalShutdownException):
        while not stopped.is_set():
            executor.spin_once(timeout_sec=0.1)


def run(node_class: type[StageNode]) -> int:
    """Run a node until SIGINT or SIGTERM; exit status 1 when it cannot start.

    More signals while it closes change nothing: tools often send several.
    """
    stopped = threading.Event()
    for number in STOPPING:
        # For good: the process has nothing to do but to close the node, in order.
        signal.signal(number, lambda *_: stopped.set())
    prepare()
    log_to_stderr("warning")
    try:
        start_ros()
        return _serve(node_class, stopped)
    except MastraError as error:
        # As text for a log in C: a name that is not UTF-8 would be another error.
        text = redact(str(error)).encode("utf-8", "backslashreplace").decode("utf-8")
        rclpy.logging.get_logger(node_class.stage).error(text)
        return 1
    finally:
        rclpy.try_shutdown()
        # Handlers in Python go before the interpreter does, which can take a second; launch sends
        # SIGTERM to who is slow, and would report a death.
        for number in STOPPING:
            signal.signal(number, signal.SIG_IGN)


def _serve(node_class: type[StageNode], stopped: threading.Event) -> int:
    with ros_errors():
        node = node_class()
    executor = EventsExecutor()
    executor.add_node(node)
    try:
        if not node.autostart():
            return 1
        spin_until(executor, stopped)
        return 0
    finally:
        node.close()
        executor.shutdown()
        node.destroy_node()
