"""Reports: FHIR with codes out of its lists only, a PDF, and DICOM that others accept."""

from __future__ import annotations

import base64
import dataclasses
import io
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mastra_ros.errors import ConfigError, LinkError, VolumeError
from mastra_ros.pipeline.report.codes import check_codes
from mastra_ros.pipeline.report.dicom_sr import structured_report
from mastra_ros.pipeline.report.dicom_us import still, to_bytes, us_multiframe
from mastra_ros.pipeline.report.fhir import diagnostic_report, read_report
from mastra_ros.pipeline.report.measured import Measured, Report
from mastra_ros.pipeline.report.pdf import pdf_report
from mastra_ros.pipeline.report.store import Archive, store
from mastra_ros.pipeline.ultrasound.banner import BANNER

for package in ("pydicom", "highdicom", "fhir.resources", "reportlab", "pynetdicom"):
    pytest.importorskip(package, reason=f'{package} is not installed: pip install ".[medical]"')


BEGAN_NS = 1_760_000_000_000_000_000
SECOND_NS = 10**9


def measured(number: int, *, whole: bool = True) -> Measured:
    ways = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
    place = (25.6, -22.0, 24.0 * number)
    axes = (22.0, 18.0, 14.0)
    name = f"structure {number}"
    return Measured(name, "bright", 2.86, 0.1, axes, ways, 0.4, place, 0.2, 171.0, 89.0, whole)


REPORT = Report(
    ("probe-1", "main", "sweep-1"),
    "subject-7",
    BEGAN_NS,
    BEGAN_NS + 8 * SECOND_NS,
    BEGAN_NS + 9 * SECOND_NS,
    238,
    2,
    (0.5, 0.5, 0.5),
    (124, 114, 132),
    "mean",
    "nearest",
    "abcdef1234567890",
    0.98,
    0.1,
    (measured(1), measured(2, whole=False)),
    ("2 of 240 frames are missing",),
    (("stale pose", 3),),
    77.5,
)


@pytest.fixture(scope="module")
def pictures() -> list[NDArray[np.uint8]]:
    rng = np.random.default_rng(1)
    return [rng.integers(0, 256, (64, 48), dtype=np.uint8) for _ in range(5)]


@pytest.fixture(scope="module")
def objects(pictures: list[NDArray[np.uint8]]) -> tuple[Any, Any]:
    """The ultrasound image and the structured report."""
    stills = [still(n, BEGAN_NS + n * SECOND_NS, one) for n, one in enumerate(pictures)]
    images = us_multiframe(REPORT, stills, (0.2, 0.3), BANNER)
    return images, structured_report(REPORT, images, BANNER)


def test_a_report_goes_around_through_fhir_and_holds_the_pdf() -> None:
    pdf = pdf_report(REPORT, [], BANNER)
    data = diagnostic_report(REPORT, pdf, BANNER)
    told = read_report(data)
    assert told == json.loads(data)
    assert told["status"] == "preliminary"
    assert BANNER in told["code"]["text"]
    assert base64.b64decode(told["presentedForm"][0]["data"]) == pdf
    first = told["contained"][0]
    assert first["valueQuantity"]["value"] == 2.86
    assert first["valueQuantity"]["code"] == "mL"
    assert [one["valueQuantity"]["value"] for one in first["component"]][3:] == [25.6, -22.0, 24.0]
    assert "lower bound" in told["contained"][1]["code"]["text"]
    assert {one["reference"] for one in told["result"]} == {"#m1", "#m2"}


def test_a_report_without_structures_or_subject_is_one_too() -> None:
    bare = dataclasses.replace(REPORT, measured=(), subject="", notes=(), refused=())
    told = read_report(diagnostic_report(bare, pdf_report(bare, [], BANNER), BANNER))
    assert "result" not in told
    assert told["subject"] == {"display": "not told"}


@pytest.mark.parametrize(
    ("path", "bogus"),
    [
        (("status",), "done"),
        (("status",), None),
        (("contained", 0, "status"), "measured"),
        (("contained", 0, "valueQuantity", "comparator"), "~"),
        (("contained", 0, "valueQuantity", "code"), "litre"),
        (("contained", 0, "valueQuantity", "system"), "http://example.org"),
        (("code", "coding", 0, "code"), "volume"),
        (("category", 0, "coding", 0, "code"), "XYZ"),
        (("identifier", 0, "use"), "mine"),
        (("contained", 0, "resourceType"), "Opinion"),
    ],
)
def test_a_code_that_is_in_no_list_is_refused(path: tuple[Any, ...], bogus: Any) -> None:
    told = json.loads(diagnostic_report(REPORT, b"%PDF-", BANNER))
    check_codes(told)
    at = told
    for name in path[:-1]:
        at = at[name]
    if bogus is None:
        del at[path[-1]]
    else:
        at[path[-1]] = bogus
    with pytest.raises(VolumeError, match="expected"):
        check_codes(told)
    with pytest.raises(VolumeError):
        read_report(json.dumps(told).encode())


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b'{"resourceType": "Patient"}', b"\xff"])
def test_what_is_no_report_is_refused_in_one_line(data: bytes) -> None:
    with pytest.raises(VolumeError, match="FHIR: expected a DiagnosticReport") as told:
        read_report(data)
    assert "\n" not in str(told.value)


def test_the_pdf_is_the_same_for_the_same_report() -> None:
    one = pdf_report(REPORT, [], BANNER)
    assert one == pdf_report(REPORT, [], BANNER)
    assert one.startswith(b"%PDF-")
    many = dataclasses.replace(REPORT, measured=tuple(measured(n) for n in range(1, 150)))
    assert pdf_report(many, [], BANNER).count(b"/Type /Page\n") > 1


def test_the_frames_come_out_of_dicom_as_they_went_in(
    objects: tuple[Any, Any], pictures: list[NDArray[np.uint8]]
) -> None:
    import pydicom

    again = pydicom.dcmread(io.BytesIO(to_bytes(objects[0])))
    assert again.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.4.80"
    assert np.array_equal(again.pixel_array, np.stack(pictures))
    assert again.SeriesDescription == BANNER
    assert [float(one) for one in again.FrameTimeVector] == [0, 1000, 1000, 1000, 1000]
    region = again.SequenceOfUltrasoundRegions[0]
    assert (region.PhysicalDeltaX, region.PhysicalDeltaY) == pytest.approx((0.02, 0.03))
    assert again.PatientID == "subject-7"


def test_the_structured_report_holds_every_number(objects: tuple[Any, Any]) -> None:
    import pydicom

    again = pydicom.dcmread(io.BytesIO(to_bytes(objects[1])))
    assert again.SOPClassUID == "1.2.840.10008.5.1.4.1.1.88.34"
    assert again.VerificationFlag == "UNVERIFIED"
    assert again.PreliminaryFlag == "PRELIMINARY"
    values = []

    def walk(item: Any) -> None:
        for one in item.get("ContentSequence", ()):
            if one.ValueType == "NUM":
                values.append(float(one.MeasuredValueSequence[0].NumericValue))
            walk(one)

    walk(again)
    assert values == [77.5, *[2.86, 22.0, 18.0, 14.0] * 2]


def test_frames_of_several_sizes_make_no_image(pictures: list[NDArray[np.uint8]]) -> None:
    mixed = [still(1, BEGAN_NS, pictures[0]), still(2, BEGAN_NS, pictures[1][:8])]
    with pytest.raises(VolumeError, match="one size"):
        us_multiframe(REPORT, mixed, (0.2, 0.2), BANNER)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_dciodvfy_finds_no_error(objects: tuple[Any, Any], place: int, tmp_path: Path) -> None:
    """The image, the structured report, and one of a sweep in which nothing was found."""
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy is not installed: apt-get install dicom3tools")
    path = tmp_path / "object.dcm"
    bare = dataclasses.replace(REPORT, measured=())
    every = [*objects, structured_report(bare, objects[0], BANNER)]
    path.write_bytes(to_bytes(every[place]))
    done = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    assert not [line for line in said.splitlines() if line.startswith("Error")], said
    assert ("USMultiFrameImage", "Comprehensive3DSR", "Comprehensive3DSR")[place] in said


@pytest.mark.parametrize("text", ["", "a:1", "A@b", "A@b:0", "A@b:99999", "toolongatitle12345@b:1"])
def test_an_archive_is_named_by_title_host_and_port(text: str) -> None:
    with pytest.raises(ConfigError, match="TITLE@HOST:PORT"):
        Archive.parse(text)
    assert Archive.parse("ORTHANC@127.0.0.1:4242") == Archive("ORTHANC", "127.0.0.1", 4242)


def test_an_archive_that_is_not_there_is_said(objects: tuple[Any, Any]) -> None:
    with pytest.raises(LinkError, match=r"X@127\.0\.0\.1:1: expected a connection"):
        store(objects, Archive("X", "127.0.0.1", 1), timeout_s=5.0)
