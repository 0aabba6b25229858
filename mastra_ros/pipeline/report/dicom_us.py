"""Frames of a sweep as a DICOM Ultrasound Multi-frame Image, every frame JPEG-LS without loss."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mastra_ros.errors import VolumeError
from mastra_ros.pipeline.volume.surface import needs_medical

from .measured import Report, when

US_MULTIFRAME = "1.2.840.10008.5.1.4.1.1.3.1"
JPEG_LS = "1.2.840.10008.1.2.4.80"
UID_ROOT = "2.25."
NAME = "RESEARCH^SUBJECT"
MAKER = "Mastra"


@dataclass(frozen=True)
class Still:
    """A frame to be kept: sequence number, stamp, and its pixels as JPEG-LS."""

    sequence: int
    stamp_ns: int
    width_px: int
    height_px: int
    data: bytes


def still(sequence: int, stamp_ns: int, image: NDArray[np.uint8]) -> Still:
    """Pack a frame, (height, width), without loss."""
    import jpeg_ls

    data = bytes(jpeg_ls.encode(np.ascontiguousarray(image)))
    return Still(sequence, stamp_ns, image.shape[1], image.shape[0], data)


def uid(*names: str) -> str:
    """A UID that is the same for the same names."""
    import hashlib

    digest = hashlib.sha256("\0".join(names).encode()).digest()
    return UID_ROOT + str(int.from_bytes(digest[:16], "big"))


def us_multiframe(
    report: Report, stills: Sequence[Still], spacing_mm: tuple[float, float], note: str
) -> Any:
    """A dataset with its file meta. Raises VolumeError for no frames, or of several sizes.

    spacing_mm: of the pixels, across and down.
    """
    try:
        from pydicom.dataset import Dataset
        from pydicom.encaps import encapsulate
    except ImportError:
        raise needs_medical("pydicom") from None
    sizes = {(one.width_px, one.height_px) for one in stills}
    if len(sizes) != 1:
        raise VolumeError(f"DICOM: expected frames of one size, got {sorted(sizes)!r:.80}")
    ordered = sorted(stills, key=lambda one: one.sequence)
    (width, height) = sizes.pop()
    ds: Any = Dataset()
    _patient_and_study(ds, report, note)
    ds.SOPClassUID = US_MULTIFRAME
    ds.SOPInstanceUID = uid(report.key, "us")
    ds.SeriesInstanceUID = uid(report.key, "us series")
    ds.SeriesNumber = 1
    ds.InstanceNumber = 1
    ds.Modality = "US"
    ds.SeriesDescription = note
    ds.ImageType = ["ORIGINAL", "PRIMARY"]
    ds.ImageComments = note
    ds.Laterality = ""  # nobody has told it
    ds.BurnedInAnnotation = "NO"
    ds.LossyImageCompression = "00"
    ds.PatientOrientation = ""
    began = when(report.began_ns)
    for name in ("Series", "Acquisition", "Content"):
        setattr(ds, f"{name}Date", f"{began:%Y%m%d}")
        setattr(ds, f"{name}Time", f"{began:%H%M%S}.{began.microsecond:06d}")
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.Rows, ds.Columns = height, width
    ds.BitsAllocated = ds.BitsStored = 8
    ds.HighBit = 7
    ds.PixelRepresentation = 0
    ds.NumberOfFrames = len(ordered)
    times = [one.stamp_ns / 1e6 for one in ordered]
    ds.FrameTimeVector = [
        0.0,
        *(max(0.0, round(b - a, 3)) for a, b in pairwise(times)),
    ]
    ds.FrameIncrementPointer = 0x00181065
    ds.SequenceOfUltrasoundRegions = [_region(width, height, spacing_mm)]
    ds.PixelData = encapsulate([one.data for one in ordered])
    ds["PixelData"].is_undefined_length = True
    ds["PixelData"].VR = "OB"
    _finish(ds, JPEG_LS)
    return ds


def to_bytes(ds: Any) -> bytes:
    """As a DICOM file."""
    import pydicom

    file = io.BytesIO()
    pydicom.dcmwrite(file, ds, enforce_file_format=True)
    return file.getvalue()


def _patient_and_study(ds: Any, report: Report, note: str) -> None:
    began = when(report.began_ns)
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.PatientName = NAME
    ds.PatientID = report.subject or report.key[:16]
    ds.PatientBirthDate = ""
    ds.PatientSex = ""
    ds.PatientComments = note
    ds.StudyInstanceUID = uid(report.key, "study")
    ds.StudyID = report.key[:8]
    ds.StudyDate = f"{began:%Y%m%d}"
    ds.StudyTime = f"{began:%H%M%S}.{began.microsecond:06d}"
    ds.StudyDescription = note
    ds.AccessionNumber = ""
    ds.ReferringPhysicianName = ""
    ds.Manufacturer = MAKER
    ds.ManufacturerModelName = "mastra_ros"
    ds.SoftwareVersions = "mastra_ros"
    ds.DeviceSerialNumber = report.key[:16]


def _region(width: int, height: int, spacing_mm: tuple[float, float]) -> Any:
    """Tissue, seen in two dimensions, in cm a pixel."""
    from pydicom.dataset import Dataset

    region: Any = Dataset()
    region.RegionSpatialFormat = 1
    region.RegionDataType = 1
    region.RegionFlags = 0
    region.RegionLocationMinX0 = region.RegionLocationMinY0 = 0
    region.RegionLocationMaxX1, region.RegionLocationMaxY1 = width - 1, height - 1
    region.PhysicalUnitsXDirection = region.PhysicalUnitsYDirection = 3
    region.PhysicalDeltaX, region.PhysicalDeltaY = spacing_mm[0] / 10.0, spacing_mm[1] / 10.0
    return region


def _finish(ds: Any, transfer_syntax: str) -> None:
    from pydicom.dataset import FileMetaDataset

    meta: Any = FileMetaDataset()
    meta.MediaStorageSOPClassUID = ds.SOPClassUID
    meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    meta.TransferSyntaxUID = transfer_syntax
    meta.ImplementationClassUID = uid("mastra_ros")
    meta.ImplementationVersionName = "MASTRA"
    ds.file_meta = meta
