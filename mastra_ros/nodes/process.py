"""Runs one node as a process of its own."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable

import rclpy
from rclpy.executors import Executor, ExternalShutdownException
from rclpy.experimental import EventsExecutor
from rclpy.signals import SignalHandlerOptions

from ..errors import MastraError
from .lifecycle import StageNode


@contextlib.contextmanager
def _stop_signals(stop: Callable[[], None]):  # type: ignore[no-untyped-def]
    """Call `stop` at SIGINT and SIGTERM: nodes close in order before DDS goes away."""

    def handler(*_: object) -> None:
        stop()

    before = {n: signal.signal(n, handler) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def spin_until(executor: Executor, stopped: threading.Event) -> None:
    """Serve callbacks until `stopped` is set or the context is shut down."""
    with contextlib.suppress(ExternalShutdownException):
        while not stopped.is_set():
            executor.spin_once(timeout_sec=0.1)


def run(node_class: type[StageNode]) -> int:
    """Run a node until SIGINT or SIGTERM; exit status 1 when it cannot start."""
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    stopped = threading.Event()
    try:
        node = node_class()
    except MastraError as error:
        rclpy.logging.get_logger(node_class.stage).error(str(error))
        rclpy.try_shutdown()
        return 1
    executor = EventsExecutor()
    executor.add_node(node)
    try:
        with _stop_signals(stopped.set):
            started = node.autostart()
            if started:
                spin_until(executor, stopped)
            return 0 if started else 1
    finally:
        node.close()
        executor.shutdown()
        node.destroy_node()
        rclpy.try_shutdown()
