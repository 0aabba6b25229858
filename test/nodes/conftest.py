"""A ROS context for each test, with an executor spinning in a thread."""

from __future__ import annotations

import importlib.util
import threading
import time
from collections.abc import Callable, Iterator

import pytest

if importlib.util.find_spec("rclpy") is None:
    pytest.exit("ROS 2 is not sourced: source env.sh, or leave this folder out", returncode=1)

import rclpy
from rclpy.context import Context
from rclpy.experimental import EventsExecutor
from rclpy.node import Node

NOTHING_TO_HIDE = {"mode": "off", "reason": "pictures made for this test"}


class Ros:
    """Makes nodes in a context of its own and spins them."""

    def __init__(self, domain_id: int) -> None:
        self.context = Context()
        rclpy.init(context=self.context, domain_id=domain_id)
        self.executor = EventsExecutor(context=self.context)
        self._plain = {"context": self.context, "use_global_arguments": False}
        self.options = {**self._plain, "privacy": NOTHING_TO_HIDE}
        self._nodes: list[Node] = []
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    def add(self, node: Node) -> Node:
        self._nodes.append(node)
        self.executor.add_node(node)
        return node

    def node(self, name: str) -> Node:
        return self.add(Node(name, **self._plain))

    def _spin(self) -> None:
        while not self._stopped.is_set():
            self.executor.spin_once(timeout_sec=0.05)

    def close(self) -> None:
        self._stopped.set()
        self._thread.join()
        self.executor.shutdown()
        for node in self._nodes:
            node.destroy_node()
        rclpy.try_shutdown(context=self.context)


@pytest.fixture
def ros(fresh_ros_domain: int) -> Iterator[Ros]:
    made = Ros(fresh_ros_domain)
    yield made
    made.close()


def wait_until(condition: Callable[[], bool], what: str, timeout_s: float = 60.0) -> None:
    """Wait for a condition; the test fails when it does not come."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"waited {timeout_s:g} s in vain: {what}"
        time.sleep(0.01)


@pytest.fixture(name="wait_until")
def _wait_until() -> Callable[..., None]:
    return wait_until
