"""Volumes of tracked frames: planned first, the same in any order, and like PLUS's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mastra_ros.errors import VolumeError
from mastra_ros.pipeline.ultrasound.metafile import read_metafile
from mastra_ros.pipeline.volume.compatible import Clip, compatible
from mastra_ros.pipeline.volume.grid import Grid, corners_mm, plan
from mastra_ros.pipeline.volume.holes import filled
from mastra_ros.pipeline.volume.reconstruction import Reconstruction, Volume

SPACING = (0.5, 0.5, 0.5)
CALIBRATION = [
    [-0.00157821, 0.0785919, -0.00803285, 15.3978],
    [-0.0839128, 0.00372697, 0.0153803, 49.5705],
    [0.0159024, 0.00714276, 0.0803604, -8.63446],
    [0, 0, 0, 1],
]
"""Image to probe, of both references' XML."""


def drawn(seed: int, frames: int = 12) -> list[tuple[NDArray[np.uint8], NDArray[Any]]]:
    """Frames of noise at tilted places that grow in all directions."""
    rng = np.random.default_rng(seed)
    made = []
    for number in range(frames):
        turn, _ = np.linalg.qr(np.eye(3) + 0.2 * rng.standard_normal((3, 3)))
        pose = np.eye(4)
        pose[:3, :3] = turn * 0.3
        pose[:3, 3] = rng.uniform(-8, 8, 3) + np.array([0, 0, number])
        made.append((rng.integers(0, 256, (24, 31), dtype=np.uint8), pose))
    return made


def rebuilt(
    frames: list[tuple[NDArray[np.uint8], NDArray[Any]]], order: Any, **options: Any
) -> Volume:
    volume = Reconstruction(SPACING, **options)
    for number in order:
        volume.add(*frames[number], seq=int(number))
    return volume.volume()


def same(one: Volume, other: Volume) -> bool:
    return (
        one.grid == other.grid
        and np.array_equal(one.values, other.values)
        and np.array_equal(one.hits, other.hits)
    )


@pytest.fixture(scope="module")
def spine(data_folder: Path) -> list[tuple[NDArray[np.uint8], NDArray[Any]]]:
    """The tracked sweep over a spine phantom: pictures, and px to mm of the reference."""
    found = read_metafile(data_folder / "ultrasound" / "SpinePhantomFreehand.igs.mha")
    frames = []
    for number, picture in enumerate(found.pictures()):
        probe = found.transform(number, "ProbeToTracker")
        reference = found.transform(number, "ReferenceToTracker")
        assert probe is not None
        assert reference is not None
        frames.append((picture, np.linalg.inv(reference) @ probe @ np.array(CALIBRATION)))
    return frames


def reference(data_folder: Path, name: str) -> NDArray[Any]:
    path = data_folder / "ultrasound" / f"vtkVolumeReconstructorTest{name}volumeRef.mha"
    return read_metafile(path).volume()


@pytest.mark.parametrize("distribution", ["nearest", "linear"])
@pytest.mark.parametrize("compounding", ["mean", "latest", "maximum"])
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**20), coarsen=st.booleans())
def test_the_order_of_frames_does_not_matter(
    compounding: str, distribution: str, seed: int, coarsen: bool
) -> None:
    frames = drawn(seed)
    options: dict[str, Any] = {"compounding": compounding, "distribution": distribution}
    if coarsen:
        options |= {"coarsen": True, "voxels_max": 9000}
    once = rebuilt(frames, range(len(frames)), **options)
    order = np.random.default_rng(seed).permutation(len(frames))
    assert same(once, rebuilt(frames, order, **options))
    assert (once.hits > 0).any()


def test_the_mean_is_that_of_all_pixels_in_a_voxel() -> None:
    volume = Reconstruction((1.0, 1.0, 1.0))
    image = np.array([[10, 21], [200, 255]], np.uint8)
    # All four pixels lie within half a voxel of 0, 0, 0; the second frame is one voxel on.
    volume.add(image, np.diag([0.2, 0.2, 1.0, 1.0]), seq=1)
    moved = np.diag([0.2, 0.2, 1.0, 1.0])
    moved[2, 3] = 1.0
    volume.add(image, moved, seq=2)
    volume.add(np.full((2, 2), 4, np.uint8), moved, seq=3)
    told = volume.volume()
    assert told.grid.size == (1, 1, 2)
    assert told.values.ravel().tolist() == [486 / 4, (486 + 16) / 8]
    assert told.hits.ravel().tolist() == [4, 8]


def test_the_latest_is_that_of_the_highest_number_and_the_maximum_of_all() -> None:
    for compounding, gray in (("latest", 30), ("maximum", 200)):
        volume = Reconstruction((1.0, 1.0, 1.0), compounding=compounding)
        for seq, level in ((7, 30), (2, 200)):
            volume.add(np.full((1, 1), level, np.uint8), np.eye(4), seq=seq)
        assert volume.volume().values.item() == gray


def test_black_pixels_are_known_too() -> None:
    for compounding in ("mean", "latest", "maximum"):
        volume = Reconstruction((1.0, 1.0, 1.0), compounding=compounding)
        volume.add(np.zeros((1, 1), np.uint8), np.eye(4), seq=0)
        assert volume.volume().known.all()


def test_linear_distribution_shares_a_pixel_among_its_neighbours() -> None:
    volume = Reconstruction((1.0, 1.0, 1.0), distribution="linear")
    pose = np.eye(4)
    pose[0, 3] = 0.25
    volume.add(np.full((1, 1), 80, np.uint8), pose, seq=0)
    told = volume.volume()
    assert told.values[told.known].tolist() == [80.0, 80.0]
    assert told.hits[told.known].tolist() == [3072, 1024]


def test_only_what_the_mask_shows_gets_in() -> None:
    volume = Reconstruction((1.0, 1.0, 1.0))
    image = np.arange(12, dtype=np.uint8).reshape(3, 4)
    mask = np.zeros((3, 4), np.bool_)
    mask[1, 2] = True
    volume.add(image, np.eye(4), seq=0, mask=mask)
    told = volume.volume()
    assert told.grid.size == (1, 1, 1)
    assert told.grid.origin_mm == (2.0, 1.0, 0.0)
    assert told.values.item() == 6
    volume.add(image, np.eye(4), seq=1, mask=np.zeros((3, 4), np.bool_))
    assert volume.frames == 1


def test_too_large_a_volume_is_refused_before_anything_is_allocated() -> None:
    volume = Reconstruction(SPACING, voxels_max=1000)
    volume.add(np.zeros((4, 4), np.uint8), np.eye(4), seq=0)
    far = np.eye(4)
    far[2, 3] = 9000.0
    with pytest.raises(VolumeError, match=r"at most 1000 voxels, got \d+ .* it would fit"):
        volume.add(np.zeros((4, 4), np.uint8), far, seq=1)
    assert volume.volume().grid.voxels < 1000
    with pytest.raises(VolumeError, match="268435456 voxels"):
        Reconstruction((0.01,) * 3, voxels_max=2**40).reserve(np.array([[0, 0, 0], [900, 900, 9]]))


def test_a_volume_that_would_be_too_large_gets_larger_voxels() -> None:
    frames = drawn(3)
    fine = rebuilt(frames, range(12))
    coarse = rebuilt(frames, range(12), coarsen=True, voxels_max=9000)
    assert coarse.grid.voxels <= 9000 < fine.grid.voxels
    assert coarse.grid.spacing_mm[0] in (1.0, 2.0, 4.0)
    assert coarse.hits.sum() == fine.hits.sum()
    total = float((coarse.values * coarse.hits).sum())
    assert total == pytest.approx(float((fine.values * fine.hits).sum()))


@pytest.mark.parametrize("wrong", [np.nan, np.inf, 1e7])
def test_a_pose_that_is_nowhere_is_refused(wrong: float) -> None:
    volume = Reconstruction(SPACING)
    pose = np.eye(4)
    pose[1, 3] = wrong
    with pytest.raises(VolumeError, match="pose: expected places within"):
        volume.add(np.zeros((4, 4), np.uint8), pose, seq=0)


def test_frames_that_are_no_gray_pictures_are_refused() -> None:
    volume = Reconstruction(SPACING)
    for image in (np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4), np.uint16)):
        with pytest.raises(VolumeError, match="gray levels of 8 bits"):
            volume.add(image, np.eye(4), seq=0)
    with pytest.raises(VolumeError, match="number from 0"):
        volume.add(np.zeros((4, 4), np.uint8), np.eye(4), seq=-1)
    with pytest.raises(VolumeError, match="got none"):
        volume.volume()


def test_holes_are_filled_from_both_sides_and_nothing_is_made_up() -> None:
    values, hits = np.zeros((1, 1, 9)), np.zeros((1, 1, 9), np.int64)
    values[0, 0, [2, 5]], hits[0, 0, [2, 5]] = (10.0, 40.0), 1
    volume = Volume(Grid((0.0, 0.0, 0.0), SPACING, (9, 1, 1)), values, hits)
    told = filled(volume, 4)
    assert told.hits.ravel().tolist() == [0, 0, 1, -1, -1, 1, 0, 0, 0]
    assert 10 < told.values[0, 0, 3] < told.values[0, 0, 4] < 40
    assert not (filled(volume, 3).hits < 0).any()
    with pytest.raises(VolumeError, match="2 to 65 voxels"):
        filled(volume, 1)


def test_the_mean_as_plus_makes_it_is_the_same_in_every_voxel(
    data_folder: Path, spine: list[tuple[NDArray[np.uint8], NDArray[Any]]]
) -> None:
    wanted = reference(data_folder, "NNMEAN")
    clip = Clip((0, 0, 820, 616))
    grid = plan([corners_mm(pose, clip.box(820, 616)) for _, pose in spine], SPACING)
    assert grid.size == (147, 106, 105)
    assert grid.origin_mm == pytest.approx((-74.5217, 165.573, 29.072), abs=5e-4)
    told = filled(compatible(spine, grid, clip.mask(820, 616)), 9, as_integers=True)
    assert np.array_equal(told.values, wanted)
    # In double precision PLUS's mean of integers is the same but for pixels between two voxels.
    double = compatible(spine, grid, clip.mask(820, 616), double=True)
    double = filled(double, 9, as_integers=True)
    assert np.corrcoef(double.values.ravel(), wanted.ravel())[0, 1] >= 0.999
    assert abs(float((double.values - wanted).mean())) <= 0.5
    # What the mean of integers hides: it is too dark.
    better = Reconstruction(SPACING, anchor_mm=grid.origin_mm)
    better.reserve(np.concatenate([corners_mm(pose, (0, 0, 819, 615)) for _, pose in spine]))
    for number, (picture, pose) in enumerate(spine):
        better.add(picture, pose, seq=number)
    mean = better.volume()
    assert mean.grid.size == grid.size
    known = mean.known
    assert 2.0 < float((mean.values - wanted)[known].mean()) < 2.8


def test_the_latest_as_plus_makes_it_is_the_same_with_a_fan(
    data_folder: Path, spine: list[tuple[NDArray[np.uint8], NDArray[Any]]]
) -> None:
    wanted = reference(data_folder, "NNLATE")
    clip = Clip((192, 16, 420, 580), (-45.0, 45.0), (380.0, 20.0), (120.0, 360.0))
    grid = plan([corners_mm(pose, clip.box(820, 616)) for _, pose in spine], SPACING)
    assert grid.size == (80, 93, 98)
    told = compatible(spine, grid, clip.mask(820, 616), compounding="latest")
    assert float((told.values == wanted).mean()) >= 0.998
