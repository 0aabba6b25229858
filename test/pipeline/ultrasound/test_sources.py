"""Recordings, drawn phantoms and real OpenIGTLink servers give pictures and poses."""

from __future__ import annotations

import gc
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mastra_ros.errors import ConfigError, SourceError
from mastra_ros.pipeline.ultrasound.metafile import read_metafile
from mastra_ros.pipeline.ultrasound.opening import open_calibration, open_source, parse_region
from mastra_ros.pipeline.ultrasound.playing import Player
from mastra_ros.pipeline.ultrasound.region import Fan, Region
from mastra_ros.pipeline.ultrasound.source import Event, Picture, TimedPose, parse_source

from .test_metafile import MATRIX, PIXELS, written

FOLDER = "ultrasound"


def split(events: Iterator[Event | None]) -> tuple[list[Picture], list[TimedPose]]:
    told = list(events)
    pictures = [event for event in told if isinstance(event, Picture)]
    return pictures, [event for event in told if isinstance(event, TimedPose)]


def test_a_sweep_of_plus_gives_each_picture_its_pose_against_the_reference(
    data_folder: Path,
) -> None:
    source = open_source(f"igs:{data_folder / FOLDER / 'SpinePhantomFreehand.igs.mha'}")
    pictures, poses = split(source.events())
    assert (len(pictures), len(poses)) == (21, 21)
    assert [p.stamp_ns for p in pictures] == [p.stamp_ns for p in poses]
    assert source.notes == ()
    first = poses[0].matrix
    assert first is not None
    header = read_metafile(data_folder / FOLDER / "SpinePhantomFreehand.igs.mha")
    reference = header.transform(0, "ReferenceToTracker")
    probe = header.transform(0, "ProbeToTracker")
    assert reference is not None
    np.testing.assert_allclose(reference @ first, probe, atol=1e-9)


def test_pictures_and_poses_of_two_files_come_in_the_order_of_their_stamps(
    data_folder: Path,
) -> None:
    folder = data_folder / FOLDER
    source = open_source(
        f"igs:{folder / 'WaterTankBottomTranslationVideoBuffer.igs.mha'}"
        f"?poses={folder / 'WaterTankBottomTranslationTrackerBuffer-trimmed.igs.mha'}"
    )
    stamps = []
    for number, event in enumerate(source.events()):
        assert event is not None
        stamps.append(event.stamp_ns)
        if number == 200:
            break
    assert stamps == sorted(stamps)
    assert "201 pictures and 801 poses: 600 pictures are missing" in " ".join(source.notes)


def test_lines_of_echoes_need_their_geometry_and_become_pictures(data_folder: Path) -> None:
    folder = data_folder / FOLDER
    lines = folder / "UltrasonixCurvilinearBrightnessData.igs.mha"
    with pytest.raises(ConfigError, match="scan=FILE"):
        open_source(f"igs:{lines}")
    scan = folder / "PlusDeviceSet_RfProcessingAlgoCurvilinearTest.xml"
    source = open_source(f"igs:{lines}?scan={scan}")
    pictures, poses = split(source.events())
    assert pictures[0].image.shape == (616, 820)
    assert not poses
    assert "no poses" in " ".join(source.notes)


def test_missing_stamps_lie_between_their_neighbours_and_are_told(tmp_path: Path) -> None:
    path = written(tmp_path / "a.igs.mha", {"DimSize": "4 3 4"}, b"\0" * 48)
    text = path.read_bytes().replace(
        b"ElementDataFile",
        b"Seq_Frame0003_Timestamp = 1.8\n"
        + b"".join(
            f"Seq_Frame{n:04d}_ProbeToTrackerTransform = {MATRIX}\n".encode() for n in (2, 3)
        )
        + b"ElementDataFile",
    )
    path.write_bytes(text)
    source = open_source(f"igs:{path}")
    pictures, poses = split(source.events())
    assert [p.stamp_ns for p in pictures] == pytest.approx([1.5e9, 1.6e9, 1.7e9, 1.8e9], abs=1)
    assert [p.matrix is None for p in poses] == [False, True, False, False]
    told = "; ".join(source.notes)
    assert "2 of 4 have no time stamp" in told
    assert "1 of 4 poses are missing or marked as not OK" in told


def test_without_any_stamp_the_rate_counts(data_folder: Path) -> None:
    name = "SegmentationTest_BKMedical_RandomStepperMotionData2_Trimmed.igs.mha"
    source = open_source(f"igs:{data_folder / FOLDER / name}?tool=Tool&rate=10")
    pictures, _ = split(source.events())
    assert [p.stamp_ns for p in pictures] == [n * 100_000_000 for n in range(6)]
    assert "6 of 6 have no time stamp" in " ".join(source.notes)
    same = open_source(f"igs:{data_folder / FOLDER / name}?rate=10")
    assert "what is tracked is taken to be Tool" in same.notes
    _, poses = split(same.events())
    assert all(pose.matrix is not None for pose in poses)
    with pytest.raises(SourceError, match="expected ProbeToReference or ProbeToTracker, got Tool"):
        open_source(f"igs:{data_folder / FOLDER / name}?tool=Probe")


def test_a_clock_that_jumps_back_is_played_as_it_was_recorded(tmp_path: Path) -> None:
    changed: dict[str, str | None] = {
        "Seq_Frame0001_Timestamp": "0.5",
        "Seq_Frame0001_ProbeToTrackerTransformStatus": "OK",
    }
    source = open_source(f"igs:{written(tmp_path / 'a.igs.mha', changed)}")
    pictures, _ = split(source.events())
    assert [p.stamp_ns for p in pictures] == [1_500_000_000, 500_000_000]
    assert "1 of 2 are stamped no later" in " ".join(source.notes)


@pytest.mark.parametrize(
    ("orientation", "wanted"),
    [
        ("MF", PIXELS[0]),
        ("UF", PIXELS[0][:, ::-1]),
        ("MN", PIXELS[0][::-1]),
        ("UNA", PIXELS[0][::-1, ::-1]),
    ],
)
def test_pictures_are_told_with_x_to_the_marked_side_and_y_away_from_the_probe(
    tmp_path: Path, orientation: str, wanted: Any
) -> None:
    path = written(tmp_path / "a.igs.mha", {"UltrasoundImageOrientation": orientation})
    pictures, _ = split(open_source(f"igs:{path}").events())
    np.testing.assert_array_equal(pictures[0].image, wanted)


def test_a_drawn_phantom_is_a_source_by_its_options() -> None:
    name = "synthetic:ultrasound?seed=3&frames=8&rate=20&pose_rate=50&lag_ms=100&drop=0.5&width=64"
    pictures, poses = split(open_source(name).events())
    assert len(pictures) == 4
    assert pictures[0].image.shape == (256, 64)
    assert {p.stamp_ns % 50_000_000 for p in pictures} == {0}
    assert pictures[0].stamp_ns >= 100_000_000
    assert poses[1].stamp_ns - poses[0].stamp_ns == 20_000_000


@pytest.mark.parametrize(
    "name",
    [
        "",
        "igs:",
        "ftp://x",
        "synthetic:pcb",
        "synthetic:ultrasound?seeed=1",
        "synthetic:ultrasound?seed=x",
        "synthetic:ultrasound?seed=1.5",
        "synthetic:ultrasound?frames=0",
        "synthetic:ultrasound?width=99999",
        "igtl:host",
        "igtl://host:port",
        "igtl://host:99999",
        "igs:x?rate",
    ],
)
def test_a_name_that_makes_no_sense_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=r"source|phantom"):
        open_source(name)


def test_the_calibration_of_a_phantom_fits_its_size_alone() -> None:
    calibration = open_calibration("synthetic:ultrasound?width=640&height=480&spacing=0.1")
    assert calibration is not None
    assert calibration.size_px == (640, 480)
    assert calibration.spacing_mm == pytest.approx((0.1, 0.1))
    assert open_calibration("") is None
    other = open_calibration("synthetic:ultrasound", "1,2,30,40 fan 15,0,-40,40,5,60")
    assert other is not None
    assert other.region == Region((1, 2, 30, 40), Fan((15.0, 0.0), -40.0, 40.0, 5.0, 60.0))


@pytest.mark.parametrize("text", ["1,2,3", "a,b,c,d", "0,0,0,5", "1,2,3,4 fan 1,2", "1.5,2,3,4"])
def test_a_region_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="expected x,y,width,height"):
        parse_region(text)


def test_a_recording_keeps_its_own_time() -> None:
    player = Player(speed=2.0)
    assert player.wait_s(5_000_000_000, 100) == 0.0
    assert player.stamp_ns(5_000_000_000, lambda: 70) == 70
    assert player.wait_s(5_400_000_000, 100) == pytest.approx(0.2)
    assert player.stamp_ns(5_400_000_007, lambda: 999) == 70 + 400_000_007
    assert player.wait_s(900, 300_000_000) <= 0, "a jump of the clock is no wait"
    assert Player(recorded=True).stamp_ns(17, lambda: 99) == 17


def serve(port: int) -> tuple[Any, threading.Thread]:
    """A real OpenIGTLink server."""
    pyigtl = pytest.importorskip("pyigtl")
    served = pyigtl.OpenIGTLinkServer(port=port, local_server=True, start_now=False)
    thread = threading.Thread(target=served.serve_forever, daemon=True)
    thread.start()
    return served, thread


@pytest.fixture
def server() -> Iterator[Any]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    served, thread = serve(port)
    yield served
    served.stop()
    thread.join()


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def test_an_openigtlink_server_gives_every_picture_and_pose(server: Any) -> None:
    import pyigtl

    source: Any = open_source(
        f"igtl://127.0.0.1:{server.port}?image=Image&transform=ProbeToReference"
    )
    until(server.is_connected, "the client to connect")
    until(lambda: bool(source.connected), "the client to know it")
    matrix = np.eye(4)
    sent = 40
    for number in range(sent):
        matrix[0, 3] = number
        image = np.full((1, 6, 8), number, np.uint8)
        for message in (
            pyigtl.TransformMessage(matrix.copy(), device_name="ProbeToReference", timestamp=100.5),
            pyigtl.TransformMessage(matrix.copy(), device_name="StylusToReference", timestamp=1.0),
            pyigtl.ImageMessage(image, device_name="Image", timestamp=100.0 + number / 30),
        ):
            server.send_message(message)
    told: list[Event] = []
    for event in source.events():
        if event is not None:
            told.append(event)
        if len(told) == 2 * sent:
            break
    source.close()
    pictures, poses = split(iter(told))
    assert [int(p.image[0, 0]) for p in pictures] == list(range(sent))
    assert pictures[0].image.shape == (6, 8)
    assert [0.0 if p.matrix is None else p.matrix[0, 3] for p in poses] == list(range(sent))
    assert poses[0].stamp_ns == pytest.approx(100.5e9, abs=2)
    assert source.lost == 0


@pytest.mark.parametrize(
    ("image", "shown"),
    [
        (np.full((1, 6, 8), 200 * 256 + 7, np.uint16), 200),
        (np.full((1, 6, 8), 300, np.int16), 255),
        (np.full((1, 6, 8), -3.0, np.float32), 0),
        (np.full((1, 6, 8, 3), 90, np.uint8), 90),
    ],
)
def test_pictures_of_any_depth_become_gray_of_8_bits_and_never_wrap(
    server: Any, image: np.ndarray, shown: int
) -> None:
    import pyigtl

    source: Any = open_source(f"igtl://127.0.0.1:{server.port}")
    until(server.is_connected, "the client to connect")
    until(lambda: bool(source.connected), "the client to know it")
    server.send_message(pyigtl.ImageMessage(image, device_name="Image", timestamp=100.0))
    picture = next(filter(None, source.events()))
    assert isinstance(picture, Picture)
    source.close()
    assert picture.image.dtype == np.uint8
    assert picture.image.shape == (6, 8)
    assert int(picture.image[0, 0]) == shown


# pyigtl drops the sockets of connections that are refused without closing them.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_server_that_goes_and_comes_again_is_found_again(server: Any) -> None:
    import pyigtl

    source: Any = open_source(f"igtl://127.0.0.1:{server.port}", stall_s=1.0)
    events = source.events()

    def came(served: Any) -> bool:
        served.send_message(pyigtl.TransformMessage(np.eye(4), device_name="T"), wait=False)
        return isinstance(next(events), TimedPose)

    until(lambda: came(server), "a pose")
    server.stop()
    again, thread = serve(server.port)
    until(lambda: came(again), "a pose of the new server")
    source.close()
    again.stop()
    thread.join()
    gc.collect()


def test_the_name_of_a_source_is_taken_apart() -> None:
    uri = parse_source("igtl://[::1]:18944?image=US")
    assert (uri.kind, uri.target, uri.options) == ("igtl", "[::1]:18944", {"image": "US"})
