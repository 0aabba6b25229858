"""Sequences as PLUS writes them elsewhere: other axes, names, sizes, kinds of files."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pytest

from mastra_ros.errors import SourceError, VolumeError
from mastra_ros.pipeline.ultrasound.calibration import Calibration, from_plus
from mastra_ros.pipeline.ultrasound.cloud.plus import PlusOptions, tracked
from mastra_ros.pipeline.ultrasound.metafile import read_metafile
from mastra_ros.pipeline.ultrasound.opening import open_source
from mastra_ros.pipeline.ultrasound.source import Picture, TimedPose
from mastra_ros.pipeline.ultrasound.upright import LETTERS, upright
from mastra_ros.pipeline.ultrasound.ways import ends_of, frames_of, way

from .test_metafile import MATRIX, PIXELS, written

MF = PIXELS[0]
IN_FILE = {
    "MF": MF,
    "MN": MF[::-1],
    "UF": MF[:, ::-1],
    "UN": MF[::-1, ::-1],
    "FM": MF.T,
    "FU": MF[:, ::-1].T,
    "NM": MF[::-1].T,
    "NU": MF[::-1, ::-1].T,
}
"""The same picture by where its axes lead."""


def pictures_of(source: str) -> list[np.ndarray]:
    events = open_source(source).events()
    return [one.image for one in events if isinstance(one, Picture)]


def poses_of(source: str) -> list[np.ndarray | None]:
    return [one.matrix for one in open_source(source).events() if isinstance(one, TimedPose)]


@pytest.mark.parametrize("letters", LETTERS)
@pytest.mark.parametrize("elevation", ["", "A", "D"])
def test_a_picture_is_the_same_whatever_its_axes_are(
    tmp_path: Path, letters: str, elevation: str
) -> None:
    image = np.ascontiguousarray(IN_FILE[letters])
    np.testing.assert_array_equal(upright(image, letters + elevation), MF)
    height, width = image.shape
    changed: dict[str, str | None] = {
        "DimSize": f"{width} {height} 1",
        "UltrasoundImageOrientation": letters + elevation,
    }
    path = written(tmp_path / "a.igs.mha", changed, image.tobytes())
    (shown,) = pictures_of(f"igs:{path}?scan=none")
    np.testing.assert_array_equal(shown, MF)


@pytest.mark.parametrize("letters", ["MN", "UF", "UN"])
def test_a_volume_is_made_of_upright_pictures(tmp_path: Path, letters: str) -> None:
    changed: dict[str, str | None] = {"DimSize": "4 3 1", "UltrasoundImageOrientation": letters}
    path = written(
        tmp_path / "a.igs.mha", changed, np.ascontiguousarray(IN_FILE[letters]).tobytes()
    )
    calibration = Calibration(
        tuple(np.eye(4).ravel()), transforms={"ImageToProbe": tuple(np.eye(4).ravel())}
    )
    ((picture, _),) = tracked(read_metafile(path), calibration, "Tracker")
    np.testing.assert_array_equal(picture, MF)
    lines = read_metafile(written(tmp_path / "b.igs.mha", {"UltrasoundImageOrientation": "FM"}))
    with pytest.raises(VolumeError, match="scan-converted first"):
        tracked(lines, calibration, "Tracker")


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(("channels", "kind"), [(3, "MET_UCHAR"), (1, "MET_USHORT")])
def test_colours_and_deep_pictures_become_gray_of_8_bits(
    tmp_path: Path, packed: bool, channels: int, kind: str
) -> None:
    pixels = np.repeat(PIXELS[..., None], 3, axis=-1) if channels == 3 else PIXELS
    data = pixels.tobytes() if kind == "MET_UCHAR" else (pixels.astype("<u2") << 8).tobytes()
    changed: dict[str, str | None] = {
        "ElementNumberOfChannels": str(channels),
        "ElementType": kind,
        "CompressedData": str(packed),
    }
    path = written(tmp_path / "a.igs.mha", changed, zlib.compress(data) if packed else data)
    for shown, wanted in zip(pictures_of(f"igs:{path}"), PIXELS, strict=True):
        np.testing.assert_array_equal(shown, wanted)


@pytest.mark.parametrize(
    ("dimensions", "size", "frames"), [("2", "4 3", 1), ("3", "4 3 2", 2), ("4", "4 3 1 2", 2)]
)
def test_one_picture_and_pictures_with_a_depth_of_one_are_read(
    tmp_path: Path, dimensions: str, size: str, frames: int
) -> None:
    path = written(tmp_path / "a.igs.mha", {"NDims": dimensions, "DimSize": size})
    assert read_metafile(path).size == (4, 3, frames)
    assert len(pictures_of(f"igs:{path}")) == frames


@pytest.mark.parametrize("packed", [False, True])
def test_pictures_may_lie_in_a_file_beside_the_header(tmp_path: Path, packed: bool) -> None:
    path = written(tmp_path / "a.igs.mhd", {"CompressedData": str(packed)})
    header = path.read_bytes().split(b"ElementDataFile")[0]
    path.write_bytes(header + b"ElementDataFile = a.igs.raw\n")
    with pytest.raises(SourceError, match=r"a\.igs\.raw: No such file"):
        read_metafile(path).volume()
    data = PIXELS.tobytes()
    (tmp_path / "a.igs.raw").write_bytes(zlib.compress(data) if packed else data)
    np.testing.assert_array_equal(read_metafile(path).volume(), PIXELS)


@pytest.mark.parametrize("place", ["../a.raw", "/etc/passwd", "b\\a.raw", "slice%03d.raw", ".."])
def test_pictures_elsewhere_are_refused(tmp_path: Path, place: str) -> None:
    path = written(tmp_path / "a.igs.mhd")
    header = path.read_bytes().split(b"ElementDataFile")[0]
    path.write_bytes(header + f"ElementDataFile = {place}\n".encode())
    with pytest.raises(SourceError, match="or in one beside it"):
        read_metafile(path)


@pytest.mark.parametrize(
    ("dimensions", "size"), [("5", "1 1 1 1 1"), ("4", "4 3 2 2"), ("2", "4 3 2"), ("x", "4 3 2")]
)
def test_dimensions_that_are_none_of_a_sequence_are_refused(
    tmp_path: Path, dimensions: str, size: str
) -> None:
    with pytest.raises(SourceError, match=r"NDims|depth|finite numbers"):
        read_metafile(written(tmp_path / "a.igs.mha", {"NDims": dimensions, "DimSize": size}))


@pytest.mark.parametrize(
    ("name", "ends"),
    [
        ("ProbeToTracker", ("Probe", "Tracker")),
        ("ToolToTracker", ("Tool", "Tracker")),
        ("ImageToTool", ("Image", "Tool")),
        ("StylusTipToStylus", ("StylusTip", "Stylus")),
        ("TrackerToTool", ("Tracker", "Tool")),
        ("Probe2ToRef1", ("Probe2", "Ref1")),
        ("Together", None),
        ("Pose", None),
    ],
)
def test_names_say_from_where_to_where(name: str, ends: tuple[str, str] | None) -> None:
    assert ends_of(name) == ends


def test_a_way_may_begin_with_a_tool_and_shuns_what_cannot_be_inverted() -> None:
    moved = np.eye(4)
    moved[0, 3] = 5.0
    known = {"ImageToTool": moved, "ToolToTracker": moved, "TogetherToo": moved}
    found = way(known, "Image", "Tracker")
    assert found is not None
    assert found[0, 3] == 10.0
    assert frames_of(known) == ["Image", "Tool", "Tracker"]
    assert way({"ProbeToTracker": np.zeros((4, 4))}, "Probe", "Tracker") is None
    assert way({"ProbeToTracker": np.full((4, 4), np.nan)}, "Tracker", "Probe") is None


@pytest.mark.parametrize(
    ("name", "option", "says"),
    [
        ("ProbeToReference", "", 5.0),
        ("TrackerToProbe", "", -5.0),
        ("ReferenceToProbe", "", -5.0),
        ("ToolToTracker", "", 5.0),
        ("NeedleToWorld", "?tool=Needle&reference=World", 5.0),
    ],
)
def test_poses_are_found_by_other_names_and_either_way_round(
    tmp_path: Path, name: str, option: str, says: float
) -> None:
    changed: dict[str, str | None] = {
        "DimSize": "4 3 1",
        "Seq_Frame0000_ProbeToTrackerTransform": None,
        "Seq_Frame0000_ProbeToTrackerTransformStatus": None,
        "Seq_Frame0001_ProbeToTrackerTransform": None,
        "Seq_Frame0001_ProbeToTrackerTransformStatus": None,
        f"Seq_Frame0000_{name}Transform": MATRIX,
        f"Seq_Frame0000_{name}TransformStatus": "OK",
    }
    (pose,) = poses_of(f"igs:{written(tmp_path / 'a.igs.mha', changed)}{option}")
    assert pose is not None
    assert pose[0, 3] == says


def test_pictures_without_a_probe_are_shown_and_two_tools_have_to_be_told_apart(
    tmp_path: Path,
) -> None:
    bare: dict[str, str | None] = {
        "DimSize": "4 3 1",
        "Seq_Frame0000_ProbeToTrackerTransform": None,
        "Seq_Frame0001_ProbeToTrackerTransform": None,
        "Seq_Frame0000_ReferenceToTrackerTransform": MATRIX,
        "Seq_Frame0000_StylusToTrackerTransform": MATRIX,
    }
    source = f"igs:{written(tmp_path / 'a.igs.mha', bare)}"
    assert len(pictures_of(source)) == 1
    assert poses_of(source) == []
    assert (
        "no probe is tracked, but Reference, Tracker, Stylus: say ?tool=NAME"
        in open_source(source).notes
    )
    two = {**bare, "Seq_Frame0000_NeedleToTrackerTransform": MATRIX}
    two["Seq_Frame0000_CauteryToTrackerTransform"] = MATRIX
    with pytest.raises(SourceError, match=r"say \?tool=NAME"):
        open_source(f"igs:{written(tmp_path / 'b.igs.mha', two)}")


def test_statuses_count_in_any_case_and_what_is_invalid_is_told(tmp_path: Path) -> None:
    changed: dict[str, str | None] = {
        "Seq_Frame0000_ProbeToTrackerTransformStatus": "ok",
        "Seq_Frame0000_ImageStatus": "Ok",
        "Seq_Frame0001_ImageStatus": "INVALID",
    }
    path = written(tmp_path / "a.igs.mha", changed)
    source = open_source(f"igs:{path}")
    assert len(pictures_of(f"igs:{path}")) == 1
    assert [pose is None for pose in poses_of(f"igs:{path}")] == [False, True]
    told = " ".join(source.notes)
    assert "1 of 2 pictures are marked as not OK, and left out" in told
    assert "1 of 2 poses are missing or marked as not OK" in told


@pytest.mark.parametrize("letters", [None, "XX", "QR"])
def test_an_orientation_that_is_not_said_is_told(tmp_path: Path, letters: str | None) -> None:
    path = written(tmp_path / "a.igs.mha", {"UltrasoundImageOrientation": letters})
    assert "taken to be MF" in " ".join(open_source(f"igs:{path}").notes)
    np.testing.assert_array_equal(pictures_of(f"igs:{path}")[0], MF)


PLUS = """<PlusConfiguration><CoordinateDefinitions>
<Transform From="Image" To="Probe" Matrix="1 0 0 0 0 1 0 0 0 0 1 0 0 0 0 1"/>
</CoordinateDefinitions><VolumeReconstruction OutputSpacing="0.5 0.5 0.5"
Interpolation="Nearest_Neighbor" CompoundingMode="mean" {more}/></PlusConfiguration>"""


@pytest.mark.parametrize(
    ("more", "rectangle", "angles"),
    [
        ("", (0.0, 0.0, 2.0**20, 2.0**20), (0.0, 0.0)),
        (
            'ClipRectangleOrigin="0 0" ClipRectangleSize="0 0" FanAnglesDeg="0 0"',
            (0.0, 0.0, 2.0**20, 2.0**20),
            (0.0, 0.0),
        ),
        (
            'ClipRectangleOrigin="1 2" ClipRectangleSize="3 4" FanAnglesDeg="-40 40"',
            (1.0, 2.0, 3.0, 4.0),
            (-40.0, 40.0),
        ),
    ],
)
def test_what_a_configuration_leaves_out_is_as_in_plus(
    more: str, rectangle: tuple[float, ...], angles: tuple[float, ...]
) -> None:
    read = from_plus(PLUS.format(more=more).encode())
    options = PlusOptions.of(read.options)
    assert options.clip.rectangle == rectangle
    assert options.clip.fan_deg == angles
    if angles != (0.0, 0.0):
        assert options.clip.radius == (0.0, 500.0)
    assert (read.region is None) == (rectangle[2] == 2.0**20), "nothing leaves that nobody named"


@pytest.mark.parametrize(
    "more", ['PixelRejectionThreshold="3"', 'EnableFanAnglesAutoDetect="TRUE"']
)
def test_what_plus_does_and_we_do_not_is_refused(more: str) -> None:
    with pytest.raises(VolumeError, match="is not done here"):
        PlusOptions.of(from_plus(PLUS.format(more=more).encode()).options)
