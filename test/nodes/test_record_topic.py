"""The topic `record`: from the pipeline to the spool of the bridge, which keeps each once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from rclpy.parameter import Parameter

from mastra_ros import msg
from mastra_ros.nodes import convert, pipeline
from mastra_ros.nodes.bridge import BridgeNode
from mastra_ros.nodes.frame_bus import FrameBus
from mastra_ros.nodes.frames import FramePublisher
from mastra_ros.nodes.lifecycle import LASTING, RELIABLE
from mastra_ros.protocol.keys import add_device, init_keys
from mastra_ros.records import Record, unpack_body
from mastra_ros.sets import SetFrame
from mastra_ros.types import (
    Detections,
    Frame,
    FrameKey,
    Packet,
    PacketKind,
    Result,
    Route,
)

CLEARED = "off:"
"""A promise of the mode that the bridge of these tests has."""


def bridge(ros: Any, folder: Path) -> BridgeNode:
    """One whose gateway is not there."""
    if not (folder / "keys").exists():
        init_keys(folder / "keys")
        add_device(folder / "keys", "camera-1")
    values = {
        "gateway": "wss://127.0.0.1:1",
        "keys_dir": str(folder / "keys"),
        "spool_path": str(folder / "spool.sqlite"),
    }
    overrides = [Parameter(name, value=value) for name, value in values.items()]
    node: BridgeNode = ros.add(BridgeNode(parameter_overrides=overrides, **ros.options))
    assert node.autostart()
    return node


def waits(node: BridgeNode, count: int) -> bool:
    return node.status is not None and node.status.records == count


def test_records_are_kept_once_also_by_a_bridge_that_is_started_again(
    ros: Any, wait_until: Callable[..., None], tmp_path: Path
) -> None:
    node = bridge(ros, tmp_path)
    told = ros.node("teller").create_publisher(msg.Record, "record", LASTING)
    wait_until(lambda: told.get_subscription_count() > 0, "the bridge")
    for number in (1, 2, 2):
        told.publish(convert.record_to_ros(Record("event", number, {}, f"id-{number}")))
    wait_until(lambda: waits(node, 2), "two records")
    node.close()
    told.publish(convert.record_to_ros(Record("event", 3, {}, "id-3")))
    again = bridge(ros, tmp_path)
    wait_until(lambda: waits(again, 3), "the one that was told while no bridge was there")
    again.close()


def test_a_record_that_makes_no_sense_is_skipped_and_the_next_one_is_kept(
    ros: Any, wait_until: Callable[..., None], tmp_path: Path
) -> None:
    node = bridge(ros, tmp_path)
    told = ros.node("teller").create_publisher(msg.Record, "record", LASTING)
    wait_until(lambda: told.get_subscription_count() > 0, "the bridge")
    told.publish(msg.Record(kind="../..", body=[0x80]))
    told.publish(msg.Record(kind="event", body=[0xC1] * 9))
    told.publish(convert.record_to_ros(Record("event", 3, {})))
    wait_until(lambda: waits(node, 1), "the good one")
    node.close()


def test_frames_of_a_set_are_kept_once_and_their_end_with_them(
    ros: Any, wait_until: Callable[..., None], tmp_path: Path
) -> None:
    node = bridge(ros, tmp_path)
    told = ros.node("teller").create_publisher(msg.Packet, "packet", RELIABLE)
    wait_until(lambda: told.get_subscription_count() > 0, "the bridge")
    key = FrameKey("main", 5)
    packet = Packet(key, PacketKind.KEY, b"x", 8, 8, "mono8", meta={"a": 1}, clearance=CLEARED)
    frames = [SetFrame("sweep", 1, packet), SetFrame("sweep", 2, packet), SetFrame("sweep", 3)]
    for frame in (*frames, *frames):
        message = convert.set_frame_to_ros(frame, "lens")
        assert convert.set_frame_from_ros(message, "main") == frame
        told.publish(message)
    told.publish(msg.Packet(set="../..", set_ends=True))
    wait_until(lambda: node.status is not None and node.status.set_frames == 3, "three of them")
    wait_until(lambda: node._intakes["packet"].refused == 1, "word of the one that is none")
    node.close()


def test_the_pipeline_tells_each_verdict_as_a_record(
    ros: Any, wait_until: Callable[..., None]
) -> None:
    overrides = [Parameter("trigger", value="frame")]
    bus = FrameBus()
    node = ros.add(pipeline.PipelineNode(bus=bus, parameter_overrides=overrides, **ros.options))
    assert node.autostart()
    heard: list[Any] = []
    around = ros.node("around")
    around.create_subscription(msg.Record, "record", heard.append, LASTING)
    results = around.create_publisher(msg.InferenceResult, "result", RELIABLE)
    wait_until(lambda: results.get_subscription_count() > 0, "the pipeline")
    FramePublisher(node, "image_raw").publish(
        Frame(FrameKey("main", 5), np.zeros((8, 8), np.uint8), "mono8")
    )
    good = Result(FrameKey("main", 5), Route.LOCAL, Detections.empty())
    results.publish(convert.result_to_ros(good, "lens"))
    wait_until(lambda: heard, "a record")
    record = convert.record_from_ros(heard[0])
    assert (record.kind, record.stamp_ns) == ("verdict", 5)
    assert unpack_body(record.packed())["verdict"] == "pass"
    node.close()
