"""Structures in drawn volumes: their volume, place and border, and what is no structure."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

from mastra_ros.errors import VolumeError
from mastra_ros.pipeline.volume.cargo import (
    FACES_DRAWN_MAX,
    MESHES_MAX,
    POINTS_MAX,
    Cloud,
    cloud,
    nrrd,
)
from mastra_ros.pipeline.volume.grid import Grid
from mastra_ros.pipeline.volume.reconstruction import Volume
from mastra_ros.pipeline.volume.slices import png, three_slices
from mastra_ros.pipeline.volume.structures import Search, structures
from mastra_ros.pipeline.volume.surface import Mesh, decimated

pytest.importorskip("skimage", reason='scikit-image is not installed: pip install ".[medical]"')

GRID = Grid((-12.0, 5.0, 3.0), (0.5, 0.4, 0.6), (60, 70, 50))
BALL = ((2.0, 18.0, 17.0), 6.0)
OVAL = ((-6.0, 25.0, 18.0), (4.0, 5.0, 8.0))


def drawn(*, tissue: float = 90.0, ball: float = 190.0, oval: float = 25.0) -> Volume:
    """A bright ball and a dark ellipsoid, with smooth edges and noise."""
    z, y, x = np.indices(GRID.shape)
    places = GRID.place_mm(np.stack([x, y, z], -1))
    from_ball = np.linalg.norm(places - BALL[0], axis=-1) - BALL[1]
    size = np.linalg.norm((places - OVAL[0]) / np.array(OVAL[1]), axis=-1)
    from_oval = (size - 1) * min(OVAL[1])
    share = [np.clip(0.5 - one / 0.5, 0, 1) for one in (from_ball, from_oval)]
    gray = tissue + (ball - tissue) * share[0] + (oval - tissue) * share[1]
    gray = gray * (1 + 0.15 * np.random.default_rng(1).standard_normal(gray.shape))
    return Volume(GRID, gray, np.ones(GRID.shape, np.int64))


def test_a_ball_and_an_ellipsoid_are_measured() -> None:
    found = structures(drawn())
    assert [one.kind for one in found] == ["bright", "dark"]
    ball, oval = found
    assert ball.volume_ml == pytest.approx(4 / 3 * np.pi * 6**3 / 1000, rel=0.05)
    assert ball.centre_mm == pytest.approx(BALL[0], abs=0.1)
    assert ball.axes_mm == pytest.approx((12, 12, 12), abs=0.3)
    assert ball.sphericity > 0.93
    away = np.abs(np.linalg.norm(ball.mesh.vertices - np.array(BALL[0]), axis=1) - 6.0)
    assert away.mean() < 0.15
    assert oval.volume_ml == pytest.approx(4 / 3 * np.pi * 4 * 5 * 8 / 1000, rel=0.07)
    assert oval.axes_mm == pytest.approx((16, 10, 8), abs=0.5)
    assert np.abs(np.array(oval.directions[0])).argmax() == 2  # along z
    assert ball.whole
    assert oval.whole


def test_what_reaches_out_of_what_was_seen_is_not_whole() -> None:
    volume = drawn()
    hits = volume.hits.copy()
    hits[:, :, int((2.0 + 12.0) / 0.5) :] = 0  # the ball is cut in the middle
    found = structures(Volume(GRID, volume.values, hits), Search(kinds=("bright",)))
    assert [one.whole for one in found] == [False]
    assert found[0].volume_ml < 0.6


def test_noise_alone_is_no_structure() -> None:
    assert structures(drawn(ball=90.0, oval=90.0)) == []
    nothing = Volume(GRID, np.zeros(GRID.shape), np.zeros(GRID.shape, np.int64))
    assert structures(nothing) == []


def test_a_search_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(VolumeError, match="contrast of 0 to 65535"):
        Search(contrast=-1.0)
    with pytest.raises(VolumeError, match="bright or dark"):
        Search(kinds=("grey",))


def test_a_mesh_with_few_faces_keeps_its_shape() -> None:
    mesh = structures(drawn())[0].mesh
    few = decimated(mesh, 400)
    assert 100 < len(few.faces) <= 400 < len(mesh.faces)
    assert few.volume_mm3 == pytest.approx(mesh.volume_mm3, rel=0.15)
    assert np.abs(few.centre_mm - mesh.centre_mm).max() < 0.3


def test_points_and_meshes_come_back_as_they_were() -> None:
    volume = drawn()
    found = structures(volume)
    told = cloud(volume, [("a", found[0].mesh)], faces_max=500, frame="reference", note="RESEARCH")
    again = Cloud.from_bytes(told.to_bytes())
    assert np.array_equal(again.points, told.points)
    assert 0 < len(told.points) <= POINTS_MAX
    assert np.array_equal(again.meshes[0][1].faces, told.meshes[0][1].faces)
    assert (again.note, again.frame) == ("RESEARCH", "reference")
    for wrong in (b"", b"\xff" * 9, told.to_bytes()[:-9]):
        with pytest.raises(VolumeError, match="cloud"):
            Cloud.from_bytes(wrong)


@pytest.mark.parametrize(
    ("points", "faces", "meshes", "says"),
    [
        (POINTS_MAX + 1, 1, 1, "points"),
        (1, FACES_DRAWN_MAX // 2 + 1, 2, "faces"),
        (1, 1, MESHES_MAX + 1, "meshes"),
    ],
)
def test_what_would_become_gigabytes_of_messages_is_not_drawn(
    points: int, faces: int, meshes: int, says: str
) -> None:
    mesh = Mesh(np.zeros((3, 3), "<f4"), np.tile(np.arange(3, dtype="<i4"), (faces, 1)))
    told = Cloud(np.zeros((points, 4), "<f4"), (("a", mesh),) * meshes, "reference", "")
    with pytest.raises(VolumeError, match=says):
        Cloud.from_bytes(told.to_bytes())


@pytest.mark.parametrize("odd", [np.nan, np.inf])
def test_places_that_are_nowhere_are_not_drawn(odd: float) -> None:
    mesh = Mesh(np.full((3, 3), odd, "<f4"), np.arange(3, dtype="<i4").reshape(1, 3))
    for told in (
        Cloud(np.full((1, 4), odd, "<f4"), (), "reference", ""),
        Cloud(np.zeros((1, 4), "<f4"), (("a", mesh),), "reference", ""),
    ):
        with pytest.raises(VolumeError, match="finite"):
            Cloud.from_bytes(told.to_bytes())


def test_a_mesh_whose_faces_name_no_vertex_is_refused() -> None:
    with pytest.raises(VolumeError, match="2 vertices"):
        Mesh(np.zeros((2, 3), np.float32), np.array([[0, 1, 2]]))


def test_a_nrrd_file_holds_the_gray_levels_and_says_what_it_is_not() -> None:
    volume = drawn()
    data = nrrd(volume, "RESEARCH USE ONLY", {"sweep": "s1"})
    assert data == nrrd(volume, "RESEARCH USE ONLY", {"sweep": "s1"})
    head, _, packed = data.partition(b"\n\n")
    lines = head.decode().splitlines()
    assert lines[0].startswith("NRRD000")
    assert "sizes: 60 70 50" in lines
    assert "space origin: (-12,5,3)" in lines
    assert "note:=RESEARCH USE ONLY" in lines
    gray = np.frombuffer(gzip.decompress(packed), np.uint8).reshape(GRID.shape)
    assert np.array_equal(gray, np.clip(np.floor(volume.values + 0.5), 0, 255))


def test_slices_show_the_borders_and_the_note() -> None:
    volume = drawn()
    picture = three_slices(volume, structures(volume), "RESEARCH USE ONLY")
    assert png(picture).startswith(b"\x89PNG")
    coloured = np.abs(picture.astype(int).max(2) - picture.astype(int).min(2)) > 60
    assert coloured[:-26].sum() > 200
