"""Measurements as a DICOM Comprehensive 3D SR, after the template TID 1500."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from mastra_ros.pipeline.volume.surface import needs_medical

from .dicom_us import MAKER, uid
from .measured import Measured, Report, when


def structured_report(report: Report, images: Any, note: str) -> Any:
    """A dataset; images: that of `us_multiframe`, on which the measurements rest."""
    try:
        import highdicom as hd
        from highdicom import sr
        from pydicom.sr.codedict import codes
    except ImportError:
        raise needs_medical("highdicom") from None
    observer = sr.ObserverContext(
        observer_type=codes.DCM.Device,
        observer_identifying_attributes=sr.DeviceObserverIdentifyingAttributes(
            uid=uid("mastra_ros"), name="mastra_ros", manufacturer_name=MAKER
        ),
    )
    source = sr.SourceImageForSegmentation(
        referenced_sop_class_uid=images.SOPClassUID,
        referenced_sop_instance_uid=images.SOPInstanceUID,
    )
    # Even where no structure was found, a report measures something: what was swept.
    swept = sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(
            uid=hd.UID(uid(report.key, "swept")), identifier="what was swept"
        ),
        finding_type=sr.CodedConcept("111030", "DCM", "Image Region"),
        measurements=[
            _measurement(
                sr.CodedConcept("118565006", "SCT", "Volume"),
                report.swept_ml,
                sr.CodedConcept("mL", "UCUM", "milliliter"),
                sr,
            )
        ],
    )
    groups = [swept]
    groups += [_group(report, one, source, hd, sr) for one in report.measured]
    content = sr.MeasurementReport(
        observation_context=sr.ObservationContext(observer_device_context=observer),
        procedure_reported=sr.CodedConcept("16310003", "SCT", "Ultrasonography"),
        imaging_measurements=groups,
        title=sr.CodedConcept("126000", "DCM", "Imaging Measurement Report"),
    )
    made = when(report.made_ns)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # names of people that a pseudonym is not
        ds: Any = sr.Comprehensive3DSR(
            evidence=[images],
            content=content[0],
            series_instance_uid=uid(report.key, "sr series"),
            series_number=2,
            sop_instance_uid=uid(report.key, "sr"),
            instance_number=1,
            manufacturer=MAKER,
            manufacturer_model_name="mastra_ros",
            software_versions="mastra_ros",
            device_serial_number=report.key[:16],
            series_description=note,
            is_complete=True,
            is_final=False,
            is_verified=False,
        )
    for name in ("Content", "InstanceCreation", "Series"):
        setattr(ds, f"{name}Date", f"{made:%Y%m%d}")
        setattr(ds, f"{name}Time", f"{made:%H%M%S}.{made.microsecond:06d}")
    ds.PatientComments = note
    return ds


def _group(report: Report, one: Measured, source: Any, hd: Any, sr: Any) -> Any:
    """One structure: where it is, as an ellipsoid, and what was measured."""
    centre = np.asarray(one.centre_mm)
    ends = [
        centre + sign * length / 2 * np.asarray(direction)
        for length, direction in zip(one.axes_mm, one.directions, strict=True)
        for sign in (-1.0, 1.0)
    ]
    shape = sr.VolumeSurface(
        graphic_type=sr.GraphicTypeValues3D.ELLIPSOID,
        graphic_data=[np.asarray(ends)],
        frame_of_reference_uid=uid(report.key, "frame of reference"),
        source_images=[source],
    )
    values = [
        _measurement(
            sr.CodedConcept("118565006", "SCT", "Volume"),
            one.volume_ml,
            sr.CodedConcept("mL", "UCUM", "milliliter"),
            sr,
        )
    ]
    for name, length in zip(("Length", "Length", "Length"), one.axes_mm, strict=True):
        values.append(
            _measurement(
                sr.CodedConcept("410668003", "SCT", name),
                length,
                sr.CodedConcept("mm", "UCUM", "millimeter"),
                sr,
            )
        )
    return sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(
            uid=hd.UID(uid(report.key, one.name)), identifier=f"{one.name} ({one.kind})"
        ),
        referenced_volume_surface=shape,
        finding_type=sr.CodedConcept("111030", "DCM", "Image Region"),
        measurements=values,
    )


def _measurement(name: Any, value: float, unit: Any, sr: Any) -> Any:
    return sr.Measurement(name=name, value=float(round(value, 3)), unit=unit)
