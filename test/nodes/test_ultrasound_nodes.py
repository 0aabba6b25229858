"""The nodes of tracked ultrasound over real DDS: live pictures, sweeps, and what stays here."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from geometry_msgs.msg import PoseStamped
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image, PointCloud2
from visualization_msgs.msg import MarkerArray

from mastra_ros import msg
from mastra_ros.compression import Decoder
from mastra_ros.nodes import convert
from mastra_ros.nodes.frame_bus import FrameBus
from mastra_ros.nodes.frames import PUBLISHED
from mastra_ros.nodes.lifecycle import LASTING, LATEST, RELIABLE
from mastra_ros.nodes.probe import ProbeNode
from mastra_ros.nodes.sweep_sink import WHOLE
from mastra_ros.nodes.ultrasound import UltrasoundNode
from mastra_ros.pipeline.ultrasound.metafile import read_metafile
from mastra_ros.pipeline.ultrasound.phantom import Phantom, PhantomConfig
from mastra_ros.pipeline.ultrasound.sweep import (
    SweepBegin,
    SweepEnd,
    SweepFeedback,
    TrackedFrame,
    sweep_event,
)
from mastra_ros.pipeline.volume.cargo import Cloud
from mastra_ros.pipeline.volume.surface import Mesh
from mastra_ros.records import unpack_body
from mastra_ros.types import Frame, FrameKey

SOURCE = "synthetic:ultrasound?seed=1&frames=15&width=64&height=48&spacing=0.8"
PHANTOM = Phantom(PhantomConfig(seed=1, frames=15, width_px=64, height_px=48, spacing_mm=0.8))
REGIONS = {"mode": "regions", "hide": "solid"}
BK = "SegmentationTest_BKMedical_RandomStepperMotionData2_Trimmed.igs.mha"


class Heard:
    """What comes on the topics of the node."""

    def __init__(self, ros: Any) -> None:
        node = ros.node("around")
        self.node = node
        self.records: list[Any] = []
        self.packets: list[Any] = []
        self.states: list[Any] = []
        node.create_subscription(msg.Record, "record", self.records.append, LASTING)
        node.create_subscription(msg.Packet, "packet", self.packets.append, WHOLE)
        node.create_subscription(
            msg.UltrasoundState, "ultrasound_state", self.states.append, LATEST
        )

    def events(self) -> list[SweepBegin | SweepEnd]:
        return [
            sweep_event(convert.stamp_from_ros(one.header.stamp), unpack_body(bytes(one.body)))
            for one in self.records
        ]

    @property
    def ended(self) -> bool:
        return any(packet.set_ends for packet in self.packets)


def ultrasound(ros: Any, bus: FrameBus | None = None, **values: Any) -> Any:
    options = {**ros.options, "privacy": values.pop("privacy", REGIONS)}
    overrides = [Parameter(name, value=value) for name, value in values.items()]
    node = ros.add(UltrasoundNode(bus=bus, parameter_overrides=overrides, **options))
    assert node.autostart(), node.problem
    return node


def probe(ros: Any, bus: FrameBus | None = None, source: str = SOURCE, **values: Any) -> Any:
    given = {"source": source, "autostart": False, **values}
    overrides = [Parameter(name, value=value) for name, value in given.items()]
    node = ros.add(ProbeNode(bus=bus, parameter_overrides=overrides, **ros.options))
    node.trigger_configure()
    return node


def ready(heard: Heard, *nodes: Any) -> Callable[[], bool]:
    """Every publisher of the nodes that we or they hear has found its subscriber."""
    wanted = {"record", "packet", "pose"}
    return lambda: all(
        one.get_subscription_count() > 0
        for node in nodes
        for one in node.publishers
        if one.topic_name.lstrip("/") in wanted
    )


@pytest.mark.parametrize("together", [True, False])
def test_a_sweep_leaves_as_records_and_frames_with_their_places(
    ros: Any, wait_until: Callable[..., None], together: bool
) -> None:
    bus = FrameBus() if together else None
    heard, node, source = Heard(ros), ultrasound(ros, bus, calibration=SOURCE), probe(ros, bus)
    wait_until(ready(heard, node, source), "the nodes to find each other")
    source.trigger_activate()
    wait_until(source.ended.is_set, "the end of the source")
    node.settle()
    node.finish()
    wait_until(lambda: heard.ended and len(heard.records) == 2, "the end of the sweep")
    begin, end = heard.events()
    assert isinstance(begin, SweepBegin)
    assert isinstance(end, SweepEnd)
    frames = [packet for packet in heard.packets if not packet.set_ends]
    told = [TrackedFrame.from_map(json.loads(packet.meta)["ultrasound"]) for packet in frames]
    assert end.frames == len(frames) >= (14 if together else 5)
    assert [one.sequence for one in told] == list(range(1, len(told) + 1))
    assert {one.sweep for one in told} == {packet.set for packet in heard.packets} == {begin.sweep}
    assert [packet.set_sequence for packet in frames] == [one.sequence for one in told]
    first = told[0].stamp_ns
    for packet, place in zip(frames, told, strict=True):
        number = round((place.stamp_ns - first) / 1e9 * 30) + 15 - len(told) * together
        if together and len(told) == 15:
            truth = PHANTOM.image_pose(number)
            assert np.abs(place.matrix - truth)[:3, 3].max() < 0.05
            decoded = Decoder().decode(convert.packet_from_ros(packet, "main")).image
            np.testing.assert_array_equal(decoded, PHANTOM.picture(number))
    wait_until(lambda: bool(heard.states) and heard.states[-1].told == len(frames), "the state")
    node.close()
    source.close()


def test_pictures_and_poses_of_any_driver_make_a_sweep(
    ros: Any, wait_until: Callable[..., None]
) -> None:
    heard, node = Heard(ros), ultrasound(ros, calibration=SOURCE, sweep="on")
    images = heard.node.create_publisher(Image, "image_raw", PUBLISHED)
    poses = heard.node.create_publisher(PoseStamped, "pose", RELIABLE)
    wait_until(
        lambda: images.get_subscription_count() and poses.get_subscription_count(), "the node"
    )
    wait_until(ready(heard, node), "its publishers")
    for number in range(3):
        before, at, after = (
            10**9 + number * 40_000_000 + off for off in (-5_000_000, 0, 5_000_000)
        )
        for stamp in (before, after):
            poses.publish(convert.pose_to_ros(stamp, PHANTOM.probe_pose(number / 30), "ref"))
        frame = Frame(FrameKey("main", at, "x"), PHANTOM.picture(number), "mono8", "us")
        images.publish(convert.frame_to_ros(frame))
        wait_until(lambda n=number: len(heard.packets) == n + 1, f"frame {number}")
    node.close()
    wait_until(lambda: heard.ended, "the end")
    assert isinstance(heard.events()[-1], SweepEnd)


def test_no_pixel_outside_the_region_leaves_and_none_inside_is_changed(
    ros: Any, wait_until: Callable[..., None], data_folder: Path, tmp_path: Path
) -> None:
    """The burned-in name of a hospital, with date and time."""
    path = data_folder / "ultrasound" / BK
    probe_file = tmp_path / "probe.yaml"
    probe_file.write_text(
        "image_to_probe: [0.1, 0, 0, 0, 0, 0.1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]\n"
        "clip_px: [162, 90, 430, 350]\n"
        "fan: {origin_px: [377, -60], angles_deg: [-40, 40], radii_px: [160, 480]}\n"
    )
    bus = FrameBus()
    heard, node = Heard(ros), ultrasound(ros, bus, calibration=str(probe_file))
    source = probe(ros, bus, f"igs:{path}?tool=Tool&rate=20")
    wait_until(ready(heard, node, source), "the nodes to find each other")
    source.trigger_activate()
    wait_until(source.ended.is_set, "the end of the source")
    node.settle()
    node.finish()
    wait_until(lambda: heard.ended, "the end of the sweep")
    frames = [packet for packet in heard.packets if not packet.set_ends]
    assert len(frames) == 6
    assert node.calibration is not None
    assert node.calibration.region is not None
    inside = node.calibration.region.mask(640, 480)
    assert inside.sum() > 60_000
    for packet, picture in zip(frames, read_metafile(path).pictures(), strict=True):
        assert picture[26:64, 48:584].max() > 120, "the picture has writing on it"
        told = Decoder().decode(convert.packet_from_ros(packet, "main")).image
        assert not told[~inside].any()
        np.testing.assert_array_equal(told[inside], picture[inside])
    node.close()
    source.close()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, "no calibration"),
        ({"calibration": "FILE"}, "no region"),
    ],
)
def test_without_a_region_nothing_leaves_and_the_picture_is_live_all_the_same(
    ros: Any,
    wait_until: Callable[..., None],
    tmp_path: Path,
    values: dict[str, Any],
    words: str,
) -> None:
    if values:
        (tmp_path / "probe.yaml").write_text(
            "image_to_probe: [0.8, 0, 0, 0, 0, 0.8, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]\n"
        )
        values = {"calibration": str(tmp_path / "probe.yaml")}
    bus = FrameBus()
    heard, node, source = Heard(ros), ultrasound(ros, bus, **values), probe(ros, bus)
    live: list[Any] = []
    heard.node.create_subscription(Image, "image_live", live.append, PUBLISHED)
    wait_until(lambda: node.count_subscribers("/image_live") > 0, "the viewer")
    source.trigger_activate()
    wait_until(source.ended.is_set, "the end of the source")
    wait_until(lambda: bool(live), "a live picture")
    node.finish()
    wait_until(lambda: bool(heard.states) and words in heard.states[-1].withheld, "the reason")
    assert words in node.health()[1]
    assert heard.packets == []
    assert heard.records == []
    assert live[0].encoding == "bgr8"
    node.close()
    source.close()


def test_the_live_picture_is_drawn_while_somebody_looks_and_shows_what_the_gateway_says(
    ros: Any, wait_until: Callable[..., None]
) -> None:
    bus = FrameBus()
    node = ultrasound(ros, bus, calibration=SOURCE, sweep="on", sweep_name="s1")
    source = probe(ros, bus, SOURCE, loop=True)
    heard = Heard(ros)
    artefacts = heard.node.create_publisher(msg.Artefact, "artefact", LASTING)
    source.trigger_activate()
    wait_until(lambda: source.captured > 5, "pictures")
    assert node.ages.count == 0, "nobody looks"
    live: list[Any] = []
    looking = heard.node.create_subscription(Image, "image_live", live.append, PUBLISHED)
    wait_until(lambda: len(live) > 2, "live pictures")
    assert live[-1].height == 480 + 2 * 22
    feedback = SweepFeedback("s1", 3, 55.0, True, ((1, 2, 3.0),), 1, 0.5).artefact()
    artefacts.publish(msg.Artefact(kind=feedback.kind, name="s1", data=feedback.data))
    wait_until(lambda: live[-1].height == 480 + 3 * 22, "the warning in the picture")
    wait_until(lambda: bool(heard.states) and heard.states[-1].too_fast, "the warning in the state")
    heard.node.destroy_subscription(looking)
    wait_until(lambda: not node._images.wanted, "nobody to look")
    node.close()
    source.close()


def test_live_parameters_change_the_picture_and_bad_ones_are_refused(ros: Any) -> None:
    node = ultrasound(ros, calibration=SOURCE)
    changed = node.set_parameters(
        [Parameter("gain_db", value=12.0), Parameter("freeze", value=True)]
    )
    assert all(result.successful for result in changed)
    assert node.view._settings.gain_db == 12.0
    assert node.view._settings.freeze
    (refused,) = node.set_parameters([Parameter("calipers", value=["1,2"])])
    assert not refused.successful
    assert "calipers" in refused.reason
    assert node.config.calipers == ()
    (refused,) = node.set_parameters([Parameter("calibration", value="other.xml")])
    assert not refused.successful
    node.close()


def test_a_volume_that_comes_back_is_shown_in_metres(
    ros: Any, wait_until: Callable[..., None], tmp_path: Path
) -> None:
    node = ultrasound(ros, calibration=SOURCE)
    points = np.array([[10.0, 20.0, 30.0, 200.0], [1.0, 2.0, 3.0, 90.0]], np.float32)
    mesh = Mesh(np.eye(3, dtype=np.float32) * 10, np.array([[0, 1, 2]], np.int32))
    path = tmp_path / "points"
    path.write_bytes(Cloud(points, (("sphere", mesh),), "reference", "note").to_bytes())
    around = ros.node("around")
    clouds: list[Any] = []
    meshes: list[Any] = []
    around.create_subscription(PointCloud2, "volume", clouds.append, LATEST)
    around.create_subscription(MarkerArray, "volume_markers", meshes.append, LATEST)
    told = around.create_publisher(msg.Artefact, "artefact", LASTING)
    told.publish(msg.Artefact(kind="volume", name="s1.points.msgpack", path=str(tmp_path / "gone")))
    pictures: list[Any] = []
    around.create_subscription(Image, "coverage", pictures.append, LATEST)
    coverage = np.zeros((8, 12, 3), np.uint8)
    coverage[:, :6] = (0, 200, 0)
    packed = cv2.imencode(".png", coverage)[1].tobytes()
    told.publish(msg.Artefact(kind="volume", name="s1.coverage.png", data=list(b"no picture")))
    told.publish(msg.Artefact(kind="volume", name="s1.coverage.png", data=list(packed)))
    told.publish(msg.Artefact(kind="volume", name="s1.points.msgpack", path=str(path)))
    wait_until(lambda: bool(clouds) and bool(meshes) and bool(pictures), "the volume")
    shown = np.frombuffer(bytes(pictures[0].data), np.uint8).reshape(8, 12, 3)
    np.testing.assert_array_equal(shown, coverage)
    got = np.frombuffer(bytes(clouds[0].data), "<f4").reshape(-1, 4)
    np.testing.assert_allclose(got[:, :3], points[:, :3] / 1000, rtol=1e-6)
    assert clouds[0].header.frame_id == "ultrasound_reference"
    assert [one.text for one in meshes[0].markers] == ["", "sphere", "note"]
    assert node.artefacts["s1"]["points.msgpack"] == str(path)
    node.close()


@pytest.mark.parametrize(
    "message",
    [
        PoseStamped(),
        convert.pose_to_ros(5, None, "ref"),
    ],
)
def test_a_pose_that_is_none_is_counted(
    ros: Any, wait_until: Callable[..., None], message: PoseStamped
) -> None:
    node = ultrasound(ros, calibration=SOURCE)
    poses = ros.node("around").create_publisher(PoseStamped, "pose", RELIABLE)
    wait_until(lambda: poses.get_subscription_count() > 0, "the node")
    message.pose.orientation.w = 0.0
    poses.publish(message)
    wait_until(lambda: node.told().poses_refused == {"invalid": 1}, "the count")
    node.close()


def test_a_pose_comes_back_from_its_message() -> None:
    for number in range(15):
        pose = PHANTOM.probe_pose(number / 30)
        stamp, again = convert.pose_from_ros(convert.pose_to_ros(7, pose, "ref"))
        assert stamp == 7
        np.testing.assert_allclose(again, pose, atol=1e-9)


COMPOSED = "from mastra_ros.nodes.run.composed import main; raise SystemExit(main())"


def test_the_executable_composed_runs_a_probe_with_its_sweep_and_bridge(
    ros: Any, wait_until: Callable[..., None], tmp_path: Path
) -> None:
    heard = Heard(ros)
    given = {
        "probe:source": SOURCE,
        "probe:loop": "true",
        "ultrasound:calibration": SOURCE,
        "privacy:mode": "regions",
        "bridge:spool_path": str(tmp_path / "spool.sqlite"),
    }
    values = [part for name, value in given.items() for part in ("-p", f"{name}:={value}")]
    command = [sys.executable, "-c", COMPOSED, "--pipeline", "medical_ultrasound", "--ros-args"]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen([*command, *values], stdout=log, stderr=subprocess.STDOUT)
    try:
        wait_until(lambda: len(heard.packets) > 3, "frames of a sweep")
        assert process.poll() is None, (tmp_path / "log").read_text()
    finally:
        process.terminate()
        status = process.wait(60)
    assert status == 0, (tmp_path / "log").read_text()


def test_an_unknown_pipeline_is_refused_in_one_line() -> None:
    command = [sys.executable, "-c", COMPOSED, "--pipeline", "x", "--ros-args"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert (
        "expected factory_inspection, medical_ultrasound, traffic, got 'x'"
        in done.stderr + done.stdout
    )
