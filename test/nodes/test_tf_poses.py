"""Poses by tf2: through a stand-in for its package, which is no wheel, and through the real one."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from geometry_msgs.msg import TransformStamped
from rclpy.parameter import Parameter
from rclpy.time import Time

from mastra_ros.nodes import convert
from mastra_ros.nodes.tf_poses import TfPoses
from mastra_ros.nodes.ultrasound import UltrasoundNode
from mastra_ros.pipeline.ultrasound.phantom import Phantom, PhantomConfig
from mastra_ros.types import Frame, FrameKey

SOURCE = "synthetic:ultrasound?seed=1&frames=15&width=64&height=48&spacing=0.8"
PHANTOM = Phantom(PhantomConfig(seed=1, frames=15, width_px=64, height_px=48, spacing_mm=0.8))
FRAMES = {"reference_frame": "tracker", "probe_frame": "probe"}
BEGAN_NS = 1_760_000_000_000_000_000


class TransformException(Exception):  # noqa: N818 - as in tf2
    pass


class Buffer:
    """What tf2's Buffer does of what is used here: between two frames, without a tree."""

    made: Buffer

    def __init__(self) -> None:
        Buffer.made = self
        self.told: dict[tuple[str, str], list[TransformStamped]] = {}

    def add(self, transform: TransformStamped) -> None:
        key = (transform.header.frame_id, transform.child_frame_id)
        self.told.setdefault(key, []).append(transform)

    def get_latest_common_time(self, target: str, source: str) -> Time:
        return Time.from_msg(self._of(target, source)[-1].header.stamp)

    def lookup_transform(self, target: str, source: str, time: Time) -> TransformStamped:
        return next(
            one
            for one in self._of(target, source)
            if Time.from_msg(one.header.stamp).nanoseconds == time.nanoseconds
        )

    def _of(self, target: str, source: str) -> list[TransformStamped]:
        if (target, source) not in self.told:
            raise TransformException(f'"{source}" passed to lookupTransform\ndoes not exist.')
        return self.told[target, source]


class TransformListener:
    listening = 0

    def __init__(self, buffer: Buffer, node: Any, *, spin_thread: bool) -> None:
        assert not spin_thread  # the node has an executor of its own
        TransformListener.listening += 1

    def unregister(self) -> None:
        TransformListener.listening -= 1


@pytest.fixture
def tf2(monkeypatch: pytest.MonkeyPatch) -> Any:
    module: Any = ModuleType("tf2_ros")
    module.Buffer, module.TransformListener = Buffer, TransformListener
    module.TransformException = TransformException
    monkeypatch.setitem(sys.modules, "tf2_ros", module)
    return module


def transform(at_s: float, stamp_ns: int) -> TransformStamped:
    """The probe of the phantom in the tracker's frame, as a broadcaster tells it."""
    pose = convert.pose_to_ros(stamp_ns, PHANTOM.probe_pose(at_s), "tracker")
    made = TransformStamped(header=pose.header, child_frame_id="probe")
    place = pose.pose.position
    made.transform.translation.x, made.transform.translation.y = place.x, place.y
    made.transform.translation.z = place.z
    made.transform.rotation = pose.pose.orientation
    return made


def ultrasound(ros: Any, **values: Any) -> Any:
    given = {"calibration": SOURCE, "sweep": "on", **FRAMES, **values}
    overrides = [Parameter(name, value=value) for name, value in given.items()]
    options = {**ros.options, "privacy": {"mode": "regions", "hide": "solid"}}
    return ros.add(UltrasoundNode(parameter_overrides=overrides, **options))


def test_a_sweep_takes_its_places_from_tf2_and_none_from_the_topic(
    ros: Any, tf2: Any, wait_until: Callable[..., None]
) -> None:
    node = ultrasound(ros)
    assert node.autostart(), node.problem
    topics = [one.topic_name for one in node.subscriptions]
    assert not [name for name in topics if name.endswith("/pose")]
    stamps = [BEGAN_NS + round(number * 1e9 / 30) for number in range(15)]
    for number, stamp_ns in enumerate(stamps):
        Buffer.made.add(transform(number / 30, stamp_ns))
        taken = number + 1
        wait_until(lambda taken=taken: node.told().poses == taken, "the pose out of tf2")
    for number, stamp_ns in enumerate(stamps):
        picture = Frame(FrameKey("main", stamp_ns), PHANTOM.picture(number), "mono8")
        node._on_frame(picture)
    told = node.told()
    assert (told.told, told.refused, told.poses_refused) == (15, {}, {})
    assert node.trigger_deactivate()
    assert TransformListener.listening == 0


def test_what_tf2_does_not_know_is_said_where_one_looks(
    ros: Any, tf2: Any, wait_until: Callable[..., None]
) -> None:
    node = ultrasound(ros)
    assert node.autostart(), node.problem
    wait_until(lambda: "tf2: expected a way from probe to tracker" in node.health()[1], "a warning")
    level, message, _ = node.health()
    assert level == "warn"
    assert "\n" not in message
    Buffer.made.add(transform(0.0, BEGAN_NS))
    wait_until(lambda: node.told().poses == 1, "the pose out of tf2")
    assert "tf2" not in node.health()[1]


def test_a_way_that_is_all_static_is_no_tracking(tf2: Any) -> None:
    taken: list[Any] = []
    poses = TfPoses(SimpleNamespace(), "tracker", "probe", taken.append)
    Buffer.made.add(transform(0.0, 0))
    poses.poll()
    assert not taken
    assert "all is static" in poses.problem
    poses.close()


def test_a_transform_is_told_once(tf2: Any) -> None:
    taken: list[Any] = []
    poses = TfPoses(SimpleNamespace(), "tracker", "probe", taken.append)
    for number in (1, 2):
        Buffer.made.add(transform(0.1 * number, BEGAN_NS + number))
        poses.poll()
        poses.poll()
    stamps = [convert.pose_from_ros(one)[0] for one in taken]
    assert stamps == [BEGAN_NS + 1, BEGAN_NS + 2]
    _, matrix = convert.pose_from_ros(taken[1])
    assert matrix == pytest.approx(PHANTOM.probe_pose(0.2), abs=1e-6)
    poses.close()


def test_without_tf2_the_node_says_in_one_line_what_is_missing(
    ros: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tf2_ros", None)  # as if it were not installed
    node = ultrasound(ros)
    assert not node.autostart()
    assert "probe_frame: poses by tf2 need ROS's own tf2_ros" in node.problem
    assert "\n" not in node.problem


def test_a_real_tf2_moves_a_sweep(ros: Any, wait_until: Callable[..., None]) -> None:
    tf2 = pytest.importorskip("tf2_ros", reason="tf2_ros is no wheel: a ROS installed whole has it")
    node = ultrasound(ros)
    assert node.autostart(), node.problem
    sender = ros.node("tracker")
    broadcaster = tf2.TransformBroadcaster(sender)
    stamps = [BEGAN_NS + round(number * 1e9 / 30) for number in range(15)]
    broadcaster.sendTransform(transform(0.0, stamps[0]))
    for number, stamp_ns in enumerate(stamps):
        wanted = number + 1

        def told(number: int = number, stamp_ns: int = stamp_ns, wanted: int = wanted) -> bool:
            broadcaster.sendTransform(transform(number / 30, stamp_ns))
            return bool(node.told().poses >= wanted)

        wait_until(told, "the pose out of tf2")
    assert json.dumps(node.told().poses_refused) == "{}"
