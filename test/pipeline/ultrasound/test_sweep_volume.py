"""A sweep at the gateway: in any order, through a restart, and all that is made of it."""

from __future__ import annotations

import dataclasses
import gzip
import json
from typing import Any

import msgpack
import numpy as np
import pytest

from mastra_ros.config import VolumeConfig
from mastra_ros.errors import VolumeError
from mastra_ros.pipeline.ultrasound.banner import BANNER
from mastra_ros.pipeline.ultrasound.cloud.products import Products, products
from mastra_ros.pipeline.ultrasound.cloud.sweep_volume import Finished, SweepVolume
from mastra_ros.pipeline.ultrasound.phantom import Phantom, PhantomConfig
from mastra_ros.pipeline.ultrasound.region import Region
from mastra_ros.pipeline.ultrasound.sweep import SweepEnd, SweepFeedback, TrackedFrame
from mastra_ros.pipeline.volume.cargo import Cloud

for package in ("skimage", "pydicom", "highdicom", "fhir.resources", "reportlab"):
    pytest.importorskip(package, reason=f'{package} is not installed: pip install ".[medical]"')

BEGAN_NS = 1_760_000_000_000_000_000
FRAMES = 80
PHANTOM = Phantom(
    PhantomConfig(frames=FRAMES, rate_hz=10.0, width_px=128, height_px=128, spacing_mm=0.4)
)
CONFIG = VolumeConfig(spacing_mm=0.6, smooth_mm=0.7, dicom_frames_max=16, gap_mm=2.0)
Swept = list[tuple[TrackedFrame, Any]]


@pytest.fixture(scope="module")
def swept() -> Swept:
    """Every frame with its place, as the device tells it."""
    told = []
    for frame in PHANTOM.frames():
        pose = tuple(frame.pose.ravel().tolist())
        stamp_ns = BEGAN_NS + round(frame.stamp_s * 1e9)
        region = Region((4, 0, 120, 128))
        number = frame.number + 1
        tracked = TrackedFrame("s1", number, stamp_ns, pose, "ab" * 8, (0.4, 0.4), region)
        told.append((tracked, frame.image))
    return told


def taken_in(swept: Swept, order: Any, config: VolumeConfig = CONFIG) -> SweepVolume:
    sweep = SweepVolume(("probe-1", "main", "s1"), config)
    for place in order:
        sweep.add(*swept[place])
    return sweep


def finished(sweep: SweepVolume, **end: Any) -> Finished:
    told = SweepEnd("s1", BEGAN_NS + 9 * 10**9, FRAMES, **end)
    return sweep.finish(told, BEGAN_NS + 10 * 10**9)


@pytest.fixture(scope="module")
def done(swept: Swept) -> Finished:
    return finished(taken_in(swept, range(FRAMES)), refused={"stale pose": 3})


@pytest.fixture(scope="module")
def made(done: Finished) -> Products:
    return products(done, faces_max=3000)


def same(one: Finished, other: Finished) -> bool:
    return (
        one.volume.grid == other.volume.grid
        and np.array_equal(one.volume.values, other.volume.values)
        and np.array_equal(one.volume.hits, other.volume.hits)
        and one.report.measured == other.report.measured
        and one.stills == other.stills
    )


def test_bodies_are_measured_within_the_uncertainty_that_is_told(done: Finished) -> None:
    for body in PHANTOM.bodies[:2]:
        row = min(
            done.report.measured,
            key=lambda one: float(np.linalg.norm(np.subtract(one.centre_mm, body.centre_mm))),
        )
        assert abs(row.volume_ml - body.volume_ml) <= row.volume_uncertainty_ml
        off = np.linalg.norm(np.subtract(row.centre_mm, body.centre_mm))
        assert off <= row.centre_uncertainty_mm
        assert row.whole
    assert done.report.refused == (("stale pose", 3),)
    assert (done.report.frames, done.report.missing, done.report.notes) == (FRAMES, 0, ())


def test_order_and_repetition_change_nothing(swept: Swept, done: Finished) -> None:
    order = np.random.default_rng(1).permutation(FRAMES).tolist()
    other = finished(taken_in(swept, [*order, *order[:20]]), refused={"stale pose": 3})
    assert same(done, other)


def test_a_sweep_goes_on_after_a_restart_as_if_there_had_been_none(
    swept: Swept, done: Finished
) -> None:
    before = taken_in(swept, range(0, FRAMES, 2))
    again = SweepVolume(("probe-1", "main", "s1"), CONFIG)
    again.take_over(msgpack.unpackb(msgpack.packb(before.state())))
    for place in range(FRAMES):  # those that were there are told again
        again.add(*swept[place])
    other = finished(again, refused={"stale pose": 3})
    assert same(done, other)
    assert other.report == done.report


def test_an_empty_sweep_survives_a_restart_too() -> None:
    again = SweepVolume(("probe-1", "main", "s1"), CONFIG)
    again.take_over(msgpack.unpackb(msgpack.packb(taken_in([], []).state())))
    with pytest.raises(VolumeError, match="sweep s1: expected frames with poses, got none"):
        finished(again)


def test_what_is_missing_stands_in_the_report(swept: Swept) -> None:
    some = [place for place in range(FRAMES) if not 30 <= place < 40]
    report = finished(taken_in(swept, some)).report
    assert report.missing == 10
    assert report.notes[0] == "10 of 80 frames are missing"
    assert any("gaps between frames" in note for note in report.notes)


def test_while_it_lasts_the_device_hears_how_it_goes(swept: Swept) -> None:
    sweep = SweepVolume(("probe-1", "main", "s1"), dataclasses.replace(CONFIG, speed_max_mm_s=5.0))
    told = [sweep.add(*swept[place]) for place in (*range(30), *range(50, 60))]
    feedback = [one for one in told if one is not None]
    assert [one.frames for one in feedback] == [10, 20, 30, 40]
    assert feedback[0].too_fast
    assert feedback[0].gaps_total == 0
    last = SweepFeedback.from_bytes(feedback[-1].artefact().data)
    assert last.gaps[-1][:2] == (30, 51)
    assert last.covered < 0.8
    assert "TOO FAST" in last.words


def test_frames_that_cannot_be_placed_are_counted_and_cost_nobody_else(swept: Swept) -> None:
    sweep = taken_in(swept, range(FRAMES))
    frame, image = swept[0]
    far = list(frame.pose)
    far[3] = 90_000.0
    with pytest.raises(VolumeError, match="pose"):
        sweep.add(dataclasses.replace(frame, sequence=901, pose=tuple(far)), image)
    with pytest.raises(VolumeError, match="px as before"):
        sweep.add(dataclasses.replace(frame, sequence=902), image[:50].copy())
    assert sweep.misplaced == 2
    assert sweep.frames == FRAMES
    assert "2 frames could not be placed" in finished(sweep).report.notes


def test_a_volume_that_would_be_too_large_is_coarser_and_says_so(swept: Swept) -> None:
    small = dataclasses.replace(CONFIG, voxels_max=200_000)
    told = finished(taken_in(swept, range(FRAMES), small))
    assert told.volume.grid.voxels <= 200_000
    assert told.volume.grid.spacing_mm[0] == pytest.approx(1.2)
    assert "voxels are 1.2 mm instead of 0.6 mm" in " ".join(told.report.notes)


def test_everything_that_is_given_back_says_what_it_is_not(made: Products) -> None:
    told = {one.name: one for one in made.artefacts}
    assert set(told) == {
        *("s1.points.msgpack", "s1.nrrd", "s1.slices.png", "s1.coverage.png"),
        *("s1.fhir.json", "s1.pdf", "s1.us.dcm", "s1.sr.dcm"),
    }
    assert Cloud.from_bytes(told["s1.points.msgpack"].data).note == BANNER
    assert BANNER.encode() in told["s1.nrrd"].data[:400]
    assert BANNER in json.loads(told["s1.fhir.json"].data)["code"]["text"]
    assert BANNER.encode() in told["s1.pdf"].data
    assert BANNER.encode() in told["s1.us.dcm"].data
    assert BANNER.encode() in told["s1.sr.dcm"].data
    for name in ("s1.slices.png", "s1.coverage.png"):
        assert told[name].data.startswith(b"\x89PNG")


def test_the_points_and_meshes_are_few_enough_to_be_drawn(made: Products) -> None:
    (points,) = (one for one in made.artefacts if one.name == "s1.points.msgpack")
    told = Cloud.from_bytes(points.data)
    assert 10_000 < len(told.points) <= 120_000
    assert [name for name, _ in told.meshes] == [
        f"structure {n + 1}" for n in range(len(told.meshes))
    ]
    assert sum(len(mesh.faces) for _, mesh in told.meshes) <= 3000 + 200 * len(told.meshes)


def test_only_the_region_is_in_the_image(made: Products, swept: Swept) -> None:
    import io

    import pydicom

    (image,) = (one for one in made.artefacts if one.name == "s1.us.dcm")
    told = pydicom.dcmread(io.BytesIO(image.data)).pixel_array
    assert 8 <= len(told) <= 16
    assert not told[:, :, :4].any()
    assert not told[:, :, 124:].any()
    pictures = [one[:, 4:124] for _, one in swept]
    assert all(any(np.array_equal(one[:, 4:124], p) for p in pictures) for one in told)


def test_the_nrrd_is_the_volume(made: Products, done: Finished) -> None:
    (packed,) = (one for one in made.artefacts if one.name == "s1.nrrd")
    gray = np.frombuffer(gzip.decompress(packed.data.partition(b"\n\n")[2]), np.uint8)
    assert np.array_equal(gray, np.clip(np.floor(done.volume.values + 0.5), 0, 255).ravel())
