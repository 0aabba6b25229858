"""Going through the lifecycle again and again leaves nothing behind."""

from __future__ import annotations

import importlib
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image

from mastra_ros.config import STAGES as SECTIONS
from mastra_ros.nodes.frame_bus import FrameBus
from mastra_ros.nodes.lifecycle import StageNode
from mastra_ros.protocol.keys import add_device, init_keys

STAGES = [stage for stage in SECTIONS if stage != "privacy"]  # that one has no node
CYCLES = 4
WAYS = ("by reference", "as messages")


def make(stage: str, ros: Any, folder: Path, bus: FrameBus | None) -> Any:
    given: dict[str, Any] = {
        "camera": {"source": "synthetic:pcb?width=160&height=120", "rate_hz": 20.0},
        "probe": {"source": "synthetic:ultrasound?width=64&height=64"},
        "ultrasound": {"calibration": "synthetic:ultrasound?width=64&height=64"},
        "bridge": {"spool_path": str(folder / "spool.sqlite")},
        "gateway": {"keys_dir": str(folder / "keys"), "state_dir": str(folder / "state")},
    }.get(stage, {})
    if stage == "gateway":
        init_keys(folder / "keys")
        add_device(folder / "keys", "camera-1")
    module = importlib.import_module(f"mastra_ros.nodes.{stage}")
    overrides = [Parameter(name, value=value) for name, value in given.items()]
    node_class = getattr(module, f"{stage.capitalize()}Node")
    return ros.add(node_class(bus=bus, parameter_overrides=overrides, **ros.options))


def held(node: StageNode) -> dict[str, Any]:
    """What a node has made at the middleware and in this process."""
    return {
        "publishers": Counter(p.topic_name for p in node.publishers),
        "subscriptions": Counter(s.topic_name for s in node.subscriptions),
        "timers": len(list(node.timers)),
        "services": Counter(s.srv_name for s in node.services),
        "clients": Counter(c.srv_name for c in node.clients),
        "threads": Counter(thread.name for thread in threading.enumerate()),
        "listeners": 0 if node.bus is None else sum(map(len, node.bus._callbacks.values())),
    }


def entries(folder: str) -> int:
    return sum(1 for _ in Path(folder).iterdir())


def went(transition: Callable[[], TransitionCallbackReturn], node: StageNode) -> None:
    assert transition() == TransitionCallbackReturn.SUCCESS, node.problem


def cycle(node: Any) -> dict[str, Any]:
    """Once through all the states; what is held while active."""
    went(node.trigger_configure, node)
    went(node.trigger_activate, node)
    forwarder = getattr(node, "_settings", None)
    if forwarder is not None:  # as if the gateway had asked, which makes clients
        forwarder.take({"scheduling.deadline_ms": 200.0})
        forwarder.forward()
    active = held(node)
    went(node.trigger_deactivate, node)
    went(node.trigger_cleanup, node)
    return active


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("stage", STAGES)
def test_cycles_of_the_lifecycle_leave_nothing_behind(
    ros: Any, wait_until: Callable[..., None], tmp_path: Path, stage: str, way: str
) -> None:
    node = make(stage, ros, tmp_path, FrameBus() if way == "by reference" else None)
    born = held(node)
    first = cycle(node)
    assert max(first["publishers"].values()) == 1
    tasks = entries("/proc/self/task")  # threads of the runtimes too
    files = entries("/proc/self/fd")
    for _ in range(CYCLES):
        again = cycle(node)
        assert {**again, "threads": 0} == {**first, "threads": 0}
    wait_until(lambda: held(node) == born, f"only {born} to be left, not {held(node)}", 10.0)
    wait_until(lambda: entries("/proc/self/task") <= tasks, "the threads to end", 10.0)
    wait_until(lambda: entries("/proc/self/fd") <= files, "the files to be closed", 10.0)


@pytest.mark.parametrize("stage", STAGES)
def test_others_see_each_topic_published_once_after_cycles_and_not_at_all_after_cleaning_up(
    ros: Any, wait_until: Callable[..., None], tmp_path: Path, stage: str
) -> None:
    node = make(stage, ros, tmp_path, None)
    own = {p.topic_name for p in node.publishers}
    for _ in range(3):
        cycle(node)
    went(node.trigger_configure, node)
    made = {p.topic_name for p in node.publishers} - own
    around = ros.node("around")
    for topic in made:
        wait_until(lambda topic=topic: around.count_publishers(topic) == 1, f"one {topic}")
    went(node.trigger_cleanup, node)
    for topic in made:
        wait_until(lambda topic=topic: around.count_publishers(topic) == 0, f"no {topic}")


def test_a_node_that_could_not_be_configured_leaves_nothing_behind(ros: Any) -> None:
    class Half(StageNode):
        stage = "camera"

        def set_up(self) -> None:
            self.advertise(Image, "image_raw")
            raise OSError("no such device")

    node = ros.add(Half(**ros.options))
    born = held(node)
    assert node.trigger_configure() == TransitionCallbackReturn.FAILURE
    assert held(node) == born
