"""The device's half on drawn traffic: events, and a camera that notices what happens to it."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from mastra_ros.camera.drawn.crossing import Crossing as Drawn
from mastra_ros.camera.drawn.crossing import CrossingOptions
from mastra_ros.config import TrafficConfig, build
from mastra_ros.errors import DependencyError
from mastra_ros.pipeline.traffic.device import TrafficDevice
from mastra_ros.pipeline.traffic.device.watch import CameraWatch
from mastra_ros.pipeline.traffic.events import TYPES, CameraState, Crossing, Event, Presence
from mastra_ros.pipeline.traffic.plates.hashing import PlateHasher
from mastra_ros.pipeline.traffic.plates.rapid_reader import PLACES, RapidReader
from mastra_ros.pipeline.traffic.plates.reading import LETTERS, Reading
from mastra_ros.pipeline.traffic.site.file import load_site
from mastra_ros.types import Detections

RATE_HZ = 10.0


def read(text: str) -> Reading:
    letters = np.full((len(text), 36), 0.001, np.float32)
    for k, letter in enumerate(text):
        letters[k, LETTERS.index(letter)] = 0.96
    return Reading(letters)


@pytest.fixture(scope="module")
def drive(tmp_path_factory: pytest.TempPathFactory) -> tuple[Drawn, list[Event], TrafficDevice]:
    """Forty seconds of the drawn crossing, seen by a detector that makes no mistakes."""
    crossing = Drawn(CrossingOptions(seed=4, rate_hz=RATE_HZ))
    hasher = PlateHasher(tmp_path_factory.mktemp("key") / "key.json")
    device = TrafficDevice(
        build(TrafficConfig, {"settle_ms": 0.0}), load_site("config/traffic_crossing.yaml"), hasher
    )
    events: list[Event] = []
    for n in range(400):
        image, truth = crossing.frame(n)
        some = [o for o in truth.objects if o.box[2] - o.box[0] > 6 and o.box[3] - o.box[1] > 6]
        found = Detections(
            np.array([o.box for o in some], np.float32).reshape(-1, 4),
            np.full(len(some), 0.9, np.float32),
            np.array([TYPES.index(o.type) for o in some], np.int32),
            TYPES,
        )
        events += device.on_frame(round(n * 1e9 / RATE_HZ) + 1, image, found)
        for wanted in device.wanted()[:2]:
            near = max(
                (o for o in some if o.plate),
                key=lambda o: -abs(o.box[0] - wanted.box[0]) - abs(o.box[3] - wanted.box[3]),
                default=None,
            )
            if near is not None and near.plate_px:
                device.on_plate(wanted.track, 80.0, read(near.plate))
    return crossing, events + device.finish(), device


def test_those_who_cross_are_counted(drive: tuple[Drawn, list[Event], TrafficDevice]) -> None:
    crossing, events, _ = drive
    crossed = [e for e in events if isinstance(e, Crossing) and e.type != "person"]
    # The truth counts by the middle of a vehicle on the road, this by its wheels in the picture.
    assert abs(len(crossed) - len(crossing.passages)) <= 3
    assert len(crossed) >= 5


def test_speeds_are_those_that_were_driven(drive: tuple[Drawn, list[Event], TrafficDevice]) -> None:
    crossing, events, _ = drive
    apart = []
    for event in events:
        if isinstance(event, Crossing) and event.speed_kmh is not None:
            at_s = event.stamp_ns / 1e9
            near = min(crossing.passages, key=lambda p: abs(p.at_s - at_s))
            if abs(near.at_s - at_s) < 1.0 and near.direction == event.direction:
                apart.append(abs(near.speed_kmh - event.speed_kmh))
    assert apart
    assert float(np.median(apart)) < 8.0


def test_plates_are_told_as_hashes_only(drive: tuple[Drawn, list[Event], TrafficDevice]) -> None:
    _, events, _ = drive
    crossed = [e for e in events if isinstance(e, Crossing)]
    assert any(e.plate_hash for e in crossed)
    assert all(e.plate is None for e in crossed)
    assert all(e.plate_hash is None or len(e.plate_hash) == 32 for e in crossed)


def test_windows_without_gaps_tell_how_full_the_lanes_are(
    drive: tuple[Drawn, list[Event], TrafficDevice],
) -> None:
    _, events, _ = drive
    windows = [e for e in events if isinstance(e, Presence)]
    assert len(windows) >= 35
    assert any(lane.queued > 0 and lane.queue_m for window in windows for lane in window.lanes)
    stamps = [w.stamp_ns for w in windows]
    assert all(b - a <= 1.2e9 for a, b in pairwise(stamps))


def scene(seed: int = 1) -> np.ndarray:
    return Drawn(CrossingOptions(seed=seed, vehicles_per_minute=0.0)).frame(0)[0]


def states(images: list[np.ndarray], step_s: float = 0.2) -> list[str]:
    watch = CameraWatch()
    looks = [watch.look(round(n * step_s * 1e9) + 1, image) for n, image in enumerate(images)]
    return [look.state for look in looks if look.state]


def test_a_camera_that_is_moved_is_noticed_and_said_once() -> None:
    still = scene()
    moved = np.roll(still, (12, 30), (0, 1))
    assert states([still] * 40) == []
    told = states([still] * 40 + [moved] * 30)
    assert [state for state in told if state != "jumped"] == ["moved"]


def test_a_video_that_jumps_is_noticed() -> None:
    watch = CameraWatch()
    still = scene()
    assert not any(watch.look(n * 100_000_000 + 1, still).cut for n in range(20))
    assert watch.look(60_000_000_000, still).cut  # a gap
    assert watch.look(100_000_000, still).cut  # back
    other = np.ascontiguousarray(still[::-1, ::-1])
    for n in range(10):
        watch.look(100_000_001 + n * 100_000_000, still)
    assert watch.look(1_200_000_000, other).cut  # another scene


def test_night_and_glare_are_said_to_be_unsure() -> None:
    still = scene()
    dark = (still * 0.15).astype(np.uint8)
    assert "unsure" in states([dark] * 30)
    assert "blind" in states([np.zeros_like(still)] * 30)
    assert "unsure" in states([np.minimum(still.astype(int) * 3, 255).astype(np.uint8)] * 30)


def test_while_the_camera_is_moved_nothing_is_counted(tmp_path: Path) -> None:
    device = TrafficDevice(
        build(TrafficConfig, {}),
        load_site("config/traffic_crossing.yaml"),
        PlateHasher(tmp_path / "key.json"),
    )
    still, none = scene(), Detections.empty(TYPES)
    moved = np.roll(still, (14, 34), (0, 1))
    events: list[Event] = []
    for n in range(90):
        image = still if n < 50 else moved
        events += device.on_frame(n * 200_000_000 + 1, image, none)
    told = [e.state for e in events if isinstance(e, CameraState)]
    assert told[-1] == "moved"
    moved_ns = [e.stamp_ns for e in events if isinstance(e, CameraState)][-1]
    assert not any(isinstance(e, Presence) and e.stamp_ns > moved_ns for e in events)
    assert not device.trusted


def test_a_reader_that_is_not_installed_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(PLACES, "no-such-reader", "model.onnx")
    with pytest.raises(DependencyError, match="pip install"):
        RapidReader.installed("no-such-reader")
