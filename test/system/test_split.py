"""The route split: head on the device, features over the bridge, tail in the gateway."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mastra_ros.camera.opening import open_source
from mastra_ros.cli.main import main
from mastra_ros.config import CameraConfig
from mastra_ros.inference import Detector, load_bundle
from mastra_ros.nodes.run.monitor import MonitorNode
from mastra_ros.types import Detections, FrameKey, LinkSample, Result

pytest.importorskip("onnx", reason="onnx is not installed: nothing to cut with")

Start = Callable[..., Any]
RATE_HZ = 8.0
SOURCE = "synthetic:pcb?seed=5&boards_per_minute=60"
FRAMES = 130
HEARD = 100  # the first ones may pass before we have found their publisher
LINE = ("--rate", f"{RATE_HZ:g}", "--source", SOURCE)
SPLIT = (
    *("--set", "scheduling.policy=fixed", "--set", "scheduling.route=split"),
    *("--set", "scheduling.escalate_below=0.0"),  # refinements would count as the cloud's
)
PATIENT = (  # a busy machine is no bad link
    *("--set", "scheduling.deadline_ms=20000.0", "--set", "scheduling.hedge=false"),
    *("--set", "scheduling.link_silence_ms=20000.0"),
    *("--set", "bridge.heartbeat_timeout_ms=20000.0"),
    *("--set", "bridge.in_flight_max=100", "--set", "gateway.in_flight_max=100"),
    *("--set", "scheduling.cloud_in_flight=64"),
)
NEAR = 0.05
"""A box whose score is so near the threshold may be on either side of it."""


@pytest.fixture(scope="module")
def split_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle that ships, cut in two by the command that people use."""
    from mastra_ros.model.split.graph import load_graph, single_tensor_cuts

    whole = load_bundle("models/board_defects").part("cloud").path
    cut = single_tensor_cuts(load_graph(whole))[4]
    out = tmp_path_factory.mktemp("split") / "board_defects"
    command = ["model", "split", "models/board_defects", "--out", str(out)]
    assert main([*command, "--at", cut, "--frames", "2", "--every", "15", "--levels", "256"]) == 0
    return out


def bundle_of(path: Path) -> tuple[str, ...]:
    return ("--set", f"inference.bundle={path}", "--set", f"gateway.bundles=[{path}]")


class Results:
    """Hears the final results of a run."""

    def __init__(self) -> None:
        self.finals: dict[int, Result] = {}

    def on_frame(self, key: FrameKey) -> None:
        """Of no interest."""

    def on_result(self, result: Result) -> None:
        if result.final:
            self.finals[result.key.stamp_ns] = result

    def on_late_result(self, result: Result) -> None:
        """Of no interest."""

    def on_gate(self, state: Any) -> None:
        pass

    def on_link(self, link: LinkSample, counters: dict[str, int]) -> None:
        """Of no interest."""

    def on_verdict(self, board: int, verdict: str, defects: int) -> None:
        """Of no interest."""


def test_the_split_network_finds_what_the_whole_one_finds_on_100_frames(
    start: Start, spinning: Callable[..., Any], split_bundle: Path
) -> None:
    heard = Results()
    spinning(lambda **options: MonitorNode(heard, **options))
    recorded = ("--set", "camera.stamps=recorded")  # so that a stamp names its picture
    options = (*LINE, *SPLIT, *PATIENT, *recorded, *bundle_of(split_bundle))
    report = start("--frames", str(FRAMES), *options).finish()
    assert report["by_origin"] == {"split": report["results"]}
    assert report["superseded"] < FRAMES - HEARD
    assert 0 < report["upload_bytes"] < FRAMES * 640 * 640 / 2

    detector = Detector.open(load_bundle(str(split_bundle)), "cloud")
    source = open_source(CameraConfig(source=SOURCE, rate_hz=RATE_HZ, stamps="recorded"))
    compared = boxes = 0
    for _ in range(FRAMES):
        frame = source.read(5.0)
        heard_of = heard.finals.get(frame.key.stamp_ns)
        if heard_of is not None:
            whole = detector.detect(frame)
            assert_same(heard_of.detections, whole, detector.score_threshold)
            compared, boxes = compared + 1, boxes + len(whole)
    source.close()
    assert compared >= HEARD
    assert boxes > compared


def assert_same(one: Detections, other: Detections, threshold: float) -> None:
    """Each box has one of the same class in the other, its sides within 2 px."""
    for mine, theirs in ((one, other), (other, one)):
        for box, score, label in zip(mine.boxes, mine.scores, mine.classes, strict=True):
            away = np.abs(theirs.boxes - box).max(axis=1, initial=0.0)
            found = bool(((away <= 2.0) & (theirs.classes == label)).any())
            assert found or score < threshold + NEAR, (box, score, label, theirs)


def test_an_outage_of_a_split_route_costs_no_result_and_features_are_delivered_later(
    start: Start, split_bundle: Path
) -> None:
    deadline = ("--set", "scheduling.deadline_ms=1500.0")
    options = (*LINE, *SPLIT, *deadline, *bundle_of(split_bundle))
    report = start("--duration", "14", "--fault", "stall@2s..5s", *options).finish()
    assert report["by_origin"].get("split", 0) > 0
    assert report["by_origin"].get("local", 0) > 0
    assert report["spooled"] > 0
    assert report["delivered_late"] + report["dropped"] == report["spooled"]
    assert report["spooled_left"] == 0


def test_without_a_split_bundle_the_device_answers_and_the_reason_is_told(start: Start) -> None:
    run = start("--frames", "30", *LINE, *SPLIT, *PATIENT)
    report = run.finish()
    assert report["by_origin"] == {"local": report["results"]}
    assert run.output.count("route split: bundle board_defects is not split") == 1


def test_a_gateway_without_the_tail_costs_no_result(start: Start, split_bundle: Path) -> None:
    only_here = ("--set", f"inference.bundle={split_bundle}")
    run = start("--frames", "30", *LINE, *SPLIT, *PATIENT, *only_here)
    report = run.finish()
    assert report["by_origin"] == {"local": report["results"]}
    assert "has no tail: it is not split" in run.output
