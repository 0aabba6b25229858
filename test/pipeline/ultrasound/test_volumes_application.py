"""The application `ultrasound`: when a sweep is finished, and that a restart changes nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from mastra_ros.artefacts import Artefact
from mastra_ros.config import VolumeConfig
from mastra_ros.errors import ConfigError, RecordError
from mastra_ros.pipeline.application import Answer, CloseSet, SeenFrame, SeenRecord
from mastra_ros.pipeline.ultrasound.cloud.application import UltrasoundVolumes
from mastra_ros.pipeline.ultrasound.cloud.products import warm_up
from mastra_ros.pipeline.ultrasound.region import Region
from mastra_ros.pipeline.ultrasound.sweep import SweepBegin, SweepEnd, SweepFeedback, TrackedFrame

for package in ("skimage", "pydicom", "highdicom", "fhir.resources", "reportlab"):
    pytest.importorskip(package, reason=f'{package} is not installed: pip install ".[medical]"')

BEGAN_NS = 1_760_000_000_000_000_000
FRAMES = 24
REGION = Region((0, 0, 48, 48))
CONFIG = VolumeConfig(spacing_mm=0.5)


def seen_frame(number: int, sweep: str = "s1", **changes: Any) -> SeenFrame:
    """One of a sweep over a bright ball of 4 mm in tissue."""
    pose = np.diag([0.4, 0.4, 1.0, 1.0])
    pose[2, 3] = 0.6 * number
    y, x = np.mgrid[:48, :48]
    far = np.sqrt((0.4 * x - 9.4) ** 2 + (0.4 * y - 9.4) ** 2 + (0.6 * number - 7.5) ** 2)
    image = np.where(far < 4, 200, 90).astype(np.uint8)
    place = tuple(pose.ravel().tolist())
    stamp_ns = BEGAN_NS + number * 50_000_000
    frame = TrackedFrame(sweep, number, stamp_ns, place, "ab" * 8, (0.4, 0.4), REGION)
    told: dict[str, Any] = {
        "place": number,
        "device": "probe-1",
        "stream": "main",
        "set": sweep,
        "sequence": number,
        "stamp_ns": stamp_ns,
        "committed_s": 1_760_000_000.0 + number,
        "meta": {"ultrasound": frame.to_map()},
        "encoding": "mono8",
        "image": image,
    }
    return SeenFrame(**{**told, **changes})


def set_end(sweep: str = "s1") -> SeenFrame:
    return seen_frame(FRAMES + 1, sweep, meta={}, image=None, ends=True)


def seen_record(event: SweepBegin | SweepEnd, stream: str = "main") -> SeenRecord:
    told = event.record()
    committed_s = 1_760_000_100.0
    return SeenRecord(1, "probe-1", stream, "sweep", told.stamp_ns, committed_s, dict(told.body))


def begin(sweep: str = "s1") -> SeenRecord:
    return seen_record(SweepBegin(sweep, BEGAN_NS, 48, 48, "ab" * 8, (0.4, 0.4), REGION))


def end(sweep: str = "s1", frames: int = FRAMES) -> SeenRecord:
    return seen_record(SweepEnd(sweep, BEGAN_NS + 2 * 10**9, frames))


def named(answers: list[Answer]) -> dict[str, bytes]:
    return {one.name: one.data for one in answers if isinstance(one, Artefact)}


def shown(application: UltrasoundVolumes, *what: SeenFrame | SeenRecord) -> list[Answer]:
    answers: list[Answer] = []
    for one in what:
        see: Callable[[Any], Any] = (
            application.on_frame if isinstance(one, SeenFrame) else application.on_record
        )
        answers += see(one)
    return answers


@pytest.fixture(scope="module")
def whole() -> dict[str, bytes]:
    """The artefacts of a sweep that nothing has disturbed."""
    application = UltrasoundVolumes(CONFIG)
    frames = [seen_frame(number) for number in range(1, FRAMES + 1)]
    return named(shown(application, begin(), *frames, end()))


def test_a_sweep_gives_volume_and_report_once_all_is_there(whole: dict[str, bytes]) -> None:
    assert {name for name in whole if name != "s1"} == {
        *("s1.points.msgpack", "s1.nrrd", "s1.slices.png", "s1.coverage.png"),
        *("s1.fhir.json", "s1.pdf", "s1.us.dcm", "s1.sr.dcm"),
    }
    assert SweepFeedback.from_bytes(whole["s1"]).frames == FRAMES


def test_the_end_may_be_told_before_the_last_frames(whole: dict[str, bytes]) -> None:
    application = UltrasoundVolumes(CONFIG)
    frames = [seen_frame(number) for number in range(FRAMES, 0, -1)]
    early = shown(application, begin(), *frames[:-1], end())
    assert "s1.nrrd" not in named(early)
    last = shown(application, frames[-1])
    assert named(last)["s1.nrrd"] == whole["s1.nrrd"]
    assert last[-1] == CloseSet("s1", "probe-1", "main")
    assert shown(application, frames[0], end()) == [CloseSet("s1")], "told again it is done"


@pytest.mark.parametrize("cut", [0, 1, 13, FRAMES])
def test_after_a_restart_everything_is_the_same(whole: dict[str, bytes], cut: int) -> None:
    before, after = UltrasoundVolumes(CONFIG), UltrasoundVolumes(CONFIG)
    frames = [seen_frame(number) for number in range(1, FRAMES + 1)]
    shown(before, begin(), *frames[:cut])
    after.restore(before.snapshot())
    told = named(shown(after, *frames[max(0, cut - 3) :], end()))
    for name in ("s1.nrrd", "s1.points.msgpack", "s1.slices.png", "s1.pdf", "s1.fhir.json"):
        assert told[name] == whole[name], name


def test_the_end_of_its_set_finishes_a_sweep_with_frames_missing() -> None:
    application = UltrasoundVolumes(CONFIG)
    frames = [seen_frame(number) for number in range(1, FRAMES - 3)]
    assert "s1.pdf" not in named(shown(application, *frames, end()))
    told = named(shown(application, set_end()))
    assert b"4 of 24 frames are missing" in told["s1.fhir.json"]


def test_the_next_sweep_does_not_cut_one_off_whose_frames_are_still_on_their_way(
    whole: dict[str, bytes],
) -> None:
    application = UltrasoundVolumes(CONFIG)
    frames = [seen_frame(number) for number in range(1, FRAMES + 1)]
    # Records overtake frames: after an outage both sweeps are told before most frames are there.
    early = shown(application, begin(), *frames[:3], end(), begin("s2"), end("s2"))
    assert named(early) == {}
    told = named(shown(application, *frames[3:]))
    assert told["s1.nrrd"] == whole["s1.nrrd"]
    second = [seen_frame(number, "s2") for number in range(1, FRAMES + 1)]
    assert "s2.nrrd" in named(shown(application, *second))


def test_many_sweeps_may_be_told_before_the_first_frame_is_there(whole: dict[str, bytes]) -> None:
    application = UltrasoundVolumes(CONFIG)
    frames = [seen_frame(number) for number in range(1, FRAMES + 1)]
    told = [one for n in range(1, 31) for one in (begin(f"s{n}"), end(f"s{n}"))]
    assert named(shown(application, *told)) == {}
    assert named(shown(application, *frames))["s1.nrrd"] == whole["s1.nrrd"]


def test_the_next_sweep_finishes_one_whose_end_or_frames_were_lost() -> None:
    application = UltrasoundVolumes(CONFIG)
    frames = [seen_frame(number) for number in range(1, FRAMES + 1)]
    shown(application, begin(), *frames, begin("s2"))  # its end was never told
    assert "s1.nrrd" in named(shown(application, seen_frame(1, "s2")))
    application = UltrasoundVolumes(CONFIG)
    shown(application, begin(), *frames[:-4], end(), begin("s2"))  # the last frames never come
    told = named(shown(application, seen_frame(1, "s2")))
    assert b"4 of 24 frames are missing" in told["s1.fhir.json"]


def test_a_sweep_without_a_usable_frame_says_why() -> None:
    application = UltrasoundVolumes(CONFIG)
    broken = seen_frame(1, image=None, error="damaged")
    told = named(shown(application, begin(), broken, end(frames=1)))
    assert b"expected frames with poses, got none" in told["s1.error.txt"]
    assert told["s1.error.txt"].startswith(b"RESEARCH USE ONLY - NOT A MEDICAL DEVICE")


@pytest.mark.parametrize("package", ["skimage.measure", "highdicom", "reportlab.pdfgen.canvas"])
def test_a_gateway_without_the_packages_says_how_to_install_them(
    package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    warm_up.cache_clear()
    application = UltrasoundVolumes(CONFIG)
    frames = [seen_frame(number) for number in range(1, FRAMES + 1)]
    told = named(shown(application, begin(), *frames, end()))
    assert b'not installed: pip install ".[medical]"' in told["s1.error.txt"]
    assert set(told) == {"s1", "s1.error.txt"}


def test_other_sets_are_none_of_its_business() -> None:
    application = UltrasoundVolumes(CONFIG)
    assert shown(application, seen_frame(1, "photos", meta={}), set_end("photos")) == []


def test_a_frame_whose_place_is_another_ones_is_refused() -> None:
    application = UltrasoundVolumes(CONFIG)
    with pytest.raises(RecordError, match="expected s1 7, got s1 1"):
        shown(application, seen_frame(1, sequence=7))


def test_settings_come_from_a_file(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "volume.yaml"
    monkeypatch.setenv("MASTRA_VOLUME", str(path))
    path.write_text("spacing_mm: 0.25\n")
    UltrasoundVolumes()
    for wrong in ("spacing_mm: 99.0", "colour: red", "- 1", "archive: nowhere", "{"):
        path.write_text(wrong)
        with pytest.raises(ConfigError):
            UltrasoundVolumes()
