"""The device's half on drawn traffic: events, and a camera that notices what happens to it."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from mastra_ros.camera.drawn.crossing import Crossing as Drawn
from mastra_ros.camera.drawn.crossing import CrossingOptions
from mastra_ros.camera.drawn.junction_traffic import Rider, Traffic
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
LINE_Y = 287.0
"""Of the site of the drawn crossing, on pictures of 360 px."""
VIDEO = Path(os.environ.get("MASTRA_DATA", "")) / "videos/crossing.mp4"
Box = tuple[float, float, float, float]


def read(text: str) -> Reading:
    letters = np.full((len(text), 36), 0.001, np.float32)
    for k, letter in enumerate(text):
        letters[k, LETTERS.index(letter)] = 0.96
    return Reading(letters)


Drive = tuple["Road", list[Event]]


class Road:
    """The drawn crossing without its pictures: boxes of those in it, and who must be counted."""

    def __init__(self) -> None:
        self.view = CrossingOptions(seed=4).view
        self.traffic = Traffic(4, 45.0)
        self.traffic.step(49.5)  # so that soon all that stood at the red light goes
        self.began_s = self.traffic.at_s
        self.paths: dict[int, list[tuple[float, bool]]] = {}

    def step(self) -> list[tuple[Rider, Box]]:
        """A tenth of a second later; from far to near, as they are seen."""
        self.traffic.step(1 / RATE_HZ)
        seen = []
        for rider in self.traffic.riders:
            corners = np.concatenate([face.points for face in rider.body.shape.faces])
            spots, far = self.view.project(rider.body.place(*rider.place, corners))
            low, high = np.maximum(spots.min(0), 0), np.minimum(spots.max(0), (640, 360))
            if rider.place[1] < 1 or far.min() < 1 or ((high - low) <= 6).any():
                continue
            seen.append((rider, (*low.tolist(), *high.tolist())))
            if rider.kind != "person":
                path = self.paths.setdefault(rider.number, [])
                path.append((float(high[1]), bool(low[0] > 0 and high[0] < 640)))
        return seen

    @property
    def crossed(self) -> int:
        """Whose wheels are seen to go over the line by who sees them whole there.

        The traffic itself counts by middles on the road, and also who is beside the picture there:
        bicycles, whose way leaves the picture on the line, and not who stands on it at first.
        """
        return sum(
            any(a[1] and b[1] and (a[0] < LINE_Y) != (b[0] < LINE_Y) for a, b in pairwise(path))
            for path in self.paths.values()
        )


@pytest.fixture(scope="module")
def drive(tmp_path_factory: pytest.TempPathFactory) -> Drive:
    """Eighteen seconds of a crossing, seen by a detector and a reader that make no mistakes."""
    road = Road()
    hasher = PlateHasher(tmp_path_factory.mktemp("key") / "key.json")
    device = TrafficDevice(
        build(TrafficConfig, {"settle_ms": 0.0}), load_site("config/traffic_crossing.yaml"), hasher
    )
    events: list[Event] = []
    still = scene()
    for n in range(180):
        seen = road.step()
        found = Detections(
            np.array([box for _, box in seen], np.float32).reshape(-1, 4),
            np.full(len(seen), 0.9, np.float32),
            np.array([TYPES.index(rider.kind) for rider, _ in seen], np.int32),
            TYPES,
        )
        events += device.on_frame(round(n * 1e9 / RATE_HZ) + 1, still, found)
        for wanted in device.wanted()[:2]:
            apart = [float(np.abs(np.subtract(box, wanted.box)).sum()) for _, box in seen]
            rider = seen[int(np.argmin(apart))][0]
            if rider.plate:
                device.on_plate(wanted.track, 80.0, read(rider.plate))
    return road, events + device.finish()


def test_those_who_cross_are_counted_each_once(drive: Drive) -> None:
    road, events = drive
    crossed = [e for e in events if isinstance(e, Crossing) and e.type != "person"]
    assert len(crossed) == road.crossed >= 8


def test_speeds_are_those_that_were_driven(drive: Drive) -> None:
    road, events = drive
    apart = []
    for event in events:
        if isinstance(event, Crossing) and event.speed_kmh is not None:
            at_s = event.stamp_ns / 1e9 + road.began_s
            near = min(road.traffic.passages, key=lambda p: abs(p.at_s - at_s))
            if abs(near.at_s - at_s) < 1.0 and near.direction == event.direction:
                apart.append(abs(near.speed_kmh - event.speed_kmh))
    assert apart
    assert float(np.median(apart)) < 8.0


def test_plates_are_told_as_hashes_only(drive: Drive) -> None:
    _, events = drive
    crossed = [e for e in events if isinstance(e, Crossing)]
    assert any(e.plate_hash for e in crossed)
    assert all(e.plate is None for e in crossed)
    assert all(e.plate_hash is None or len(e.plate_hash) == 32 for e in crossed)


def test_windows_without_gaps_tell_how_full_the_lanes_are(
    drive: Drive,
) -> None:
    _, events = drive
    windows = [e for e in events if isinstance(e, Presence)]
    assert len(windows) >= 15
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


def test_a_dim_scene_of_little_contrast_jumps_as_well() -> None:
    watch = CameraWatch()
    still = (scene() * 0.4 + 60).astype(np.uint8)
    assert not any(watch.look(n * 100_000_000 + 1, still).cut for n in range(10))
    assert watch.look(10**9 + 1, np.ascontiguousarray(still[::-1, ::-1])).cut


def test_light_that_goes_on_and_one_that_drives_past_are_no_jump() -> None:
    watch = CameraWatch()
    still = scene()
    bus = still.copy()
    bus[60:, 100:420] = (40, 60, 160)
    images = [still] * 10 + [bus] * 3 + [still] * 3
    images += [(still * 0.5).astype(np.uint8)] * 3 + [still] * 3
    assert not any(watch.look(n * 100_000_000 + 1, image).cut for n, image in enumerate(images))


def test_frames_of_traffic_that_are_rare_are_no_jumps() -> None:
    drawn, watch = Drawn(CrossingOptions(seed=1, rate_hz=1 / 1.5)), CameraWatch()
    looks = [watch.look(n * 1_500_000_000 + 1, drawn.frame(n)[0]) for n in range(14)]
    assert not any(look.cut for look in looks)


@pytest.mark.skipif(not VIDEO.is_file(), reason="the video of a crossing is not here")
def test_where_traffic_hides_nearly_all_the_camera_is_not_said_to_have_moved() -> None:
    capture = cv2.VideoCapture(str(VIDEO))
    images = [image for good, image in iter(capture.read, (False, None)) if good]
    assert len(images) > 400
    assert states(images[::8], 8 / 30) == []


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
    with pytest.raises(DependencyError, match="pip install") as caught:
        RapidReader.installed("no-such-reader")
    assert "\n" not in str(caught.value)
    assert "reader: own" in str(caught.value)
