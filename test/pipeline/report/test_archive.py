"""A real Orthanc takes what we send, and gives it back as it was."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from mastra_ros.errors import LinkError
from mastra_ros.pipeline.report.dicom_sr import structured_report
from mastra_ros.pipeline.report.dicom_us import still, us_multiframe
from mastra_ros.pipeline.report.measured import Report
from mastra_ros.pipeline.report.store import Archive, store

for package in ("pydicom", "highdicom", "pynetdicom"):
    pytest.importorskip(package, reason=f'{package} is not installed: pip install ".[medical]"')


NOTE = "RESEARCH USE ONLY - NOT A MEDICAL DEVICE"
BEGAN_NS = 1_760_000_000_000_000_000
START_S = 60.0


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Archive, str]]:
    """One that runs for this module: its archive, and the address of its HTTP interface."""
    program = shutil.which("Orthanc") or shutil.which("Orthanc", path="/usr/sbin")
    if program is None:
        pytest.skip("Orthanc is not installed: apt-get install orthanc")
    folder = tmp_path_factory.mktemp("orthanc")
    dicom, http = free_port(), free_port()
    settings = {
        "Name": "test",
        "StorageDirectory": str(folder / "db"),
        "IndexDirectory": str(folder / "db"),
        "DicomAet": "ARCHIVE",
        "DicomPort": dicom,
        "HttpPort": http,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomAlwaysAllowStore": True,
        "DicomCheckCalledAet": True,
        "Plugins": [],
    }
    (folder / "orthanc.json").write_text(json.dumps(settings))
    log = (folder / "log").open("wb")
    running = subprocess.Popen(
        [program, str(folder / "orthanc.json")], stdout=log, stderr=subprocess.STDOUT
    )
    try:
        url = f"http://127.0.0.1:{http}"
        until_s = time.monotonic() + START_S
        while True:
            try:
                asked(f"{url}/system")
                break
            except OSError:
                text = (folder / "log").read_text(errors="replace")[-2000:]
                assert running.poll() is None, text
                assert time.monotonic() < until_s, text
                time.sleep(0.1)
        yield Archive("ARCHIVE", "127.0.0.1", dicom), url
    finally:
        running.terminate()
        running.wait(30)
        log.close()


def asked(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.loads(answer.read())


def made() -> tuple[Any, Any, np.ndarray[Any, Any]]:
    report = Report(
        ("probe-1", "main", "sweep-9"),
        "subject-7",
        BEGAN_NS,
        BEGAN_NS,
        BEGAN_NS,
        3,
        0,
        (0.5, 0.5, 0.5),
        (10, 10, 10),
        "mean",
        "nearest",
        "abcdef12",
        1.0,
        0.0,
        (),
    )
    pictures = np.random.default_rng(1).integers(0, 256, (3, 40, 50), dtype=np.uint8)
    stills = [still(n, BEGAN_NS + n, one) for n, one in enumerate(pictures)]
    images = us_multiframe(report, stills, (0.2, 0.2), NOTE)
    return images, structured_report(report, images, NOTE), pictures


def test_an_archive_keeps_both_objects(orthanc: tuple[Archive, str]) -> None:
    archive, url = orthanc
    images, structured, pictures = made()
    store([images, structured], archive)
    kept = {
        asked(f"{url}/instances/{one}/simplified-tags")["SOPInstanceUID"]: one
        for one in asked(f"{url}/instances")
    }
    assert set(kept) == {images.SOPInstanceUID, structured.SOPInstanceUID}
    import io

    import pydicom

    with urllib.request.urlopen(f"{url}/instances/{kept[images.SOPInstanceUID]}/file") as answer:
        again = pydicom.dcmread(io.BytesIO(answer.read()))
    assert np.array_equal(again.pixel_array, pictures)
    store([images, structured], archive)  # again: it is the same object
    assert len(asked(f"{url}/instances")) == 2


def test_an_archive_of_another_name_is_told(orthanc: tuple[Archive, str]) -> None:
    archive, _ = orthanc
    images, _, _ = made()
    with pytest.raises(LinkError, match="expected an association"):
        store([images], Archive("NOBODY", archive.host, archive.port), timeout_s=10.0)
