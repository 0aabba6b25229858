"""Rows of messages on DDS: nobody on the bus can end a node, or take its frames their results."""

from __future__ import annotations

import itertools
import math
import os
import time
from typing import Any

from .pipeline import Pipeline, pipeline
from .row import Record, row
from .site import Sites, wait_until

ITEM = "7 messages on DDS"


def _publish(
    at: Pipeline, record: Record, topic: str, messages: list[Any], each_s: float, qos: Any = None
) -> None:
    """Publish these in the pipeline's namespace, once somebody there listens."""
    from rclpy.duration import Duration
    from rclpy.qos import QoSProfile

    publisher = at.node.create_publisher(type(messages[0]), topic, qos or QoSProfile(depth=100))
    try:
        wait_until(lambda: publisher.get_subscription_count() > 0)
        for message in messages:
            publisher.publish(message)
            record.attempts += 1
            time.sleep(each_s)
        if qos is not None:
            publisher.wait_for_all_acked(Duration(seconds=30))
    finally:
        at.node.destroy_publisher(publisher)


def _call(at: Pipeline, kind: Any, name: str, request: Any) -> Any:
    """The answer of a service of the pipeline."""
    client = at.node.create_client(kind, name)
    try:
        wait_until(client.service_is_ready)
        future = client.call_async(request)
        wait_until(future.done)
        return future.result()
    finally:
        at.node.destroy_client(client)


@row(ITEM, "states of the link with infinite and impossible numbers")
def links(sites: Sites, record: Record) -> None:
    """An infinite silence ended the scheduler."""
    from mastra_ros.msg import LinkState

    odd = (math.inf, -math.inf, math.nan, 3e38, -1.0)
    fields = ("silence_ms", "rtt_ms", "rtt_var_ms", "loss", "goodput_bps")
    messages = [
        LinkState(connected=True, **{field: value})
        for field, value in itertools.product(fields, odd)
    ]
    at = pipeline(sites)
    with at.attacked(sites, record):
        _publish(at, record, "link", messages * sites.over_runs(1, 20), 0.01)


@row(ITEM, "packets whose meta is nested deeply, or no JSON")
def metas(sites: Sites, record: Record) -> None:
    """None is taken for a packet."""
    from mastra_ros.msg import Packet

    texts = ["[" * 100_000, '{"a":' * 5000 + "1" + "}" * 5000, "{", "null", '{"shape": [1e999]}']
    messages = [
        Packet(kind=kind, meta=text, width=8, height=8, encoding="mono8")
        for kind in ("features", "key", "delta", "x\nforged")
        for text in texts
    ]
    at = pipeline(sites)
    with at.attacked(sites, record):
        _publish(at, record, "packet", messages * sites.over_runs(1, 20), 0.01)


@row(ITEM, "parameters of types that nobody knows, by service")
def parameters(sites: Sites, record: Record) -> None:
    """Each request is refused, and the next one is answered."""
    from rcl_interfaces.msg import Parameter, ParameterValue
    from rcl_interfaces.srv import SetParameters

    at = pipeline(sites)
    stages = ("camera", "inference", "compression", "scheduling", "bridge", "pipeline")
    with at.attacked(sites, record):
        for stage in sites.some(stages, 3):
            for kind in (99, 255):
                wrong = Parameter(name="quality", value=ParameterValue(type=kind))
                request = SetParameters.Request(parameters=[wrong])
                answer = _call(at, SetParameters, f"{stage}/set_parameters", request)
                record.expect(not answer.results[0].successful, f"{stage} took type {kind}")
                record.attempts += 1


@row(ITEM, "results that are NaN, do not fit their labels, or are of no frame")
def results(sites: Sites, record: Record) -> None:
    """From whoever says to be the bridge, or the model."""
    from mastra_ros.msg import Detection, InferenceResult

    numbers = (math.nan, math.inf, -1.0, 3e38)
    odd = [Detection(x1=v, y1=v, x2=v, y2=v, score=v, class_id=0, label="a") for v in numbers]
    odd += [Detection(x2=1.0, y2=1.0, score=0.5, class_id=65535, label="forged\nline")]
    made = [
        InferenceResult(origin=origin, detections=[one], labels=labels, age_ms=math.nan)
        for origin in ("cloud", "local", "x\ny")
        for one in odd
        for labels in (["a"], [], ["b"] * 3000)
    ]
    at = pipeline(sites)
    with at.attacked(sites, record):
        for topic in ("cloud_result", "local_result", "late_result"):
            _publish(at, record, topic, made * sites.over_runs(1, 20), 0.005)


@row(ITEM, "a flood of results of frames that never were")
def flood(sites: Sites, record: Record) -> None:
    """Thousands, as fast as they go."""
    from builtin_interfaces.msg import Time
    from std_msgs.msg import Header

    from mastra_ros.msg import InferenceResult

    made = [
        InferenceResult(header=Header(stamp=Time(sec=n, nanosec=n)), origin="cloud")
        for n in range(1, sites.over_runs(2000, 50_000))
    ]
    at = pipeline(sites)
    with at.attacked(sites, record):
        _publish(at, record, "cloud_result", made, 0.0)


@row(ITEM, "stamps that no clock shows")
def stamps(sites: Sites, record: Record) -> None:
    """Negative seconds, and more nanoseconds than a second has."""
    from builtin_interfaces.msg import Time
    from std_msgs.msg import Header

    from mastra_ros.msg import InferenceResult, LinkState, Packet

    times = [Time(sec=-(2**31)), Time(sec=-1), Time(nanosec=2**32 - 1), Time(sec=2**31 - 1)]
    at = pipeline(sites)
    with at.attacked(sites, record):
        for kind, topic in (
            (InferenceResult, "cloud_result"),
            (LinkState, "link"),
            (Packet, "packet"),
        ):
            made = [kind(header=Header(stamp=time, frame_id="x\ny")) for time in times]
            _publish(at, record, topic, made * sites.over_runs(1, 50), 0.01)


@row(ITEM, "artefacts whose files are pipes, folders, links, gone, or larger than any")
def artefacts(sites: Sites, record: Record) -> None:
    """Nobody waits for a pipe, and nothing large is read; the next one is looked at."""
    from mastra_ros.msg import Artefact
    from mastra_ros.nodes.lifecycle import LASTING
    from mastra_ros.nodes.rolled_out import BACK, KIND

    folder = sites.folder(f"artefacts-{time.monotonic_ns()}")
    os.mkfifo(folder / "pipe")
    with (folder / "large").open("wb") as file:
        file.truncate(2**30)  # no room is taken on the disk
    (folder / "link").symlink_to(folder / "large")
    names = ("large", "link", ".", "a\nforged", "pipe", "gone")
    made = [
        Artefact(kind=KIND, version=f"{n} {name}", media_type=how, path=f"{folder}/{name}")
        for n in range(sites.over_runs(1, 10))
        for how in ("", BACK)
        for name in names
    ]
    at = pipeline(sites)
    with at.attacked(sites, record):
        logged = len(at.log)
        _publish(at, record, "artefact", made, 0.02, LASTING)
        wait_until(lambda: f"{folder}/gone" in at.log[logged:])
