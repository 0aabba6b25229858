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
from rclpy.signals import SignalHandlerOptions

from ..errors import MastraError
from .lifecycle import StageNode
from .memory import keep_memory
from .strangers import strangers

STOPPING = (signal.SIGINT, signal.SIGTERM)
NOT_STARTED = 1
"""Exit status of what cannot start, as of a Python that lacks a module: trying again is no help."""
FAILED = 70
"""Exit status after an error while running (EX_SOFTWARE of sysexits.h): trying again may help."""


def spin_until(executor: Executor, stopped: threading.Event) -> None:
    """Serve callbacks until `stopped` is set or the context is shut down."""
    with contextlib.suppress(ExternalShutdownException):
        while not stopped.is_set():
            executor.spin_once(timeout_sec=0.1)


def until_signal(serve: Callable[[threading.Event], int]) -> int:
    """Call `serve`, which is to return soon after its event is set by SIGINT or SIGTERM.

    More signals while it closes change nothing: tools often send several.
    """
    keep_memory()
    stopped = threading.Event()
    for number in STOPPING:
        # For good: the process has nothing to do but to close its nodes, in order.
        signal.signal(number, lambda *_: stopped.set())
    try:
        return serve(stopped)
    finally:
        # Handlers in Python go before the interpreter does, which can take a second; launch sends
        # SIGTERM to who is slow, and would report a death.
        for number in STOPPING:
            signal.signal(number, signal.SIG_IGN)


def run(node_class: type[StageNode]) -> int:
    """Run a node until SIGINT or SIGTERM; `NOT_STARTED` when it cannot start."""

    def serve(stopped: threading.Event) -> int:
        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
        try:
            return _serve(node_class, stopped)
        finally:
            rclpy.try_shutdown()

    return until_signal(serve)


def warn_of_strangers(nodes: Iterable[Node]) -> None:
    """Say which parameters on the command line no node of this process will ever read."""
    made = list(nodes)
    for line in strangers(sys.argv, [node.get_fully_qualified_name() for node in made]):
        made[0].get_logger().warning(line)


def _serve(node_class: type[StageNode], stopped: threading.Event) -> int:
    try:
        node = node_class()
    except MastraError as error:
        rclpy.logging.get_logger(node_class.stage).error(str(error))
        return NOT_STARTED
    warn_of_strangers([node])
    executor = EventsExecutor()
    executor.add_node(node)
    try:
        if not node.autostart():
            return NOT_STARTED
        spin_until(executor, stopped)
        return 0
    except Exception:
        node.get_logger().fatal(f"a callback failed:\n{traceback.format_exc()}")
        return FAILED
    finally:
        node.close()
        executor.shutdown()
        node.destroy_node()
