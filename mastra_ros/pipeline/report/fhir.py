"""A report as a FHIR R4B DiagnosticReport: preliminary, its Observations and the PDF inside."""

from __future__ import annotations

import base64
import json
from datetime import datetime
from typing import Any

from mastra_ros.errors import VolumeError
from mastra_ros.pipeline.volume.surface import needs_medical

from .codes import check_codes
from .measured import Measured, Report, when

UCUM = "http://unitsofmeasure.org"
SNOMED = "http://snomed.info/sct"
DICOM = "http://dicom.nema.org/resources/ontology/DCM"
UNCERTAINTY = "http://hl7.org/fhir/StructureDefinition/iso21090-uncertainty"
UNCERTAINTY_TYPE = "http://hl7.org/fhir/StructureDefinition/iso21090-uncertaintyType"
IDENTIFIERS = "urn:mastra:sweep"


def diagnostic_report(report: Report, pdf: bytes, note: str) -> bytes:
    """As JSON, checked against the resource's definition and the lists of codes."""
    told = {
        "resourceType": "DiagnosticReport",
        "id": report.key,
        "contained": [_observation(report, one, place) for place, one in _placed(report)],
        "identifier": [{"system": IDENTIFIERS, "value": "/".join(report.identity)}],
        "status": "preliminary",
        "category": [
            {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0074", "code": "RUS"}]}
        ],
        "code": {
            "coding": [
                {
                    "system": "http://loinc.org",
                    "code": "18748-4",
                    "display": "Diagnostic imaging study",
                }
            ],
            "text": f"Freehand 3D ultrasound: measurements. {note}",
        },
        "subject": _subject(report),
        "effectivePeriod": {"start": _moment(report.began_ns), "end": _moment(report.ended_ns)},
        "issued": _moment(report.made_ns),
        "result": [{"reference": f"#m{place}"} for place, _ in _placed(report)],
        "presentedForm": [
            {
                "contentType": "application/pdf",
                "data": base64.b64encode(pdf).decode(),
                "title": note,
                "creation": _moment(report.made_ns),
            }
        ],
    }
    if not told["contained"]:
        del told["contained"], told["result"]
    check_codes(told)
    _model().model_validate(told)
    return json.dumps(told, separators=(",", ":")).encode()


def read_report(data: bytes) -> dict[str, Any]:
    """A DiagnosticReport as its definition has it. VolumeError where it is none, or a code is
    none of its list's."""
    try:
        told = json.loads(data)
        if not isinstance(told, dict) or told.get("resourceType") != "DiagnosticReport":
            raise ValueError(f"{told!r:.80}")
        check_codes(told)
        model = _model().model_validate(told)
    except (ValueError, TypeError, KeyError) as error:
        text = str(error).replace("\n", " ")
        raise VolumeError(f"FHIR: expected a DiagnosticReport, got {text:.200}") from None
    again: dict[str, Any] = json.loads(model.model_dump_json())
    return again


def _placed(report: Report) -> list[tuple[int, Measured]]:
    return list(enumerate(report.measured, start=1))


def _observation(report: Report, one: Measured, place: int) -> dict[str, Any]:
    components = [
        {
            "code": {
                "coding": [{"system": SNOMED, "code": "410668003", "display": "Length"}],
                "text": f"axis {number} of the ellipsoid with the same moments",
            },
            "valueQuantity": _quantity(length, one.axis_uncertainty_mm, "mm"),
        }
        for number, length in enumerate(one.axes_mm, start=1)
    ]
    components += [
        {
            "code": {
                "coding": [{"system": DICOM, "code": "111010", "display": "Center"}],
                "text": f"{axis} of the centre",
            },
            "valueQuantity": _quantity(mm, one.centre_uncertainty_mm, "mm"),
        }
        for axis, mm in zip("xyz", one.centre_mm, strict=True)
    ]
    whole = "" if one.whole else "; not seen whole, so the volume is a lower bound"
    notes = [{"text": remark} for remark in report.notes]
    return {
        "resourceType": "Observation",
        "id": f"m{place}",
        "status": "preliminary",
        "code": {
            "coding": [{"system": SNOMED, "code": "118565006", "display": "Volume"}],
            "text": f"volume of {one.name} ({one.kind}{whole})",
        },
        "subject": _subject(report),
        "effectivePeriod": {"start": _moment(report.began_ns), "end": _moment(report.ended_ns)},
        "valueQuantity": _quantity(one.volume_ml, one.volume_uncertainty_ml, "mL"),
        "component": components,
        **({"note": notes} if notes else {}),
    }


def _subject(report: Report) -> dict[str, Any]:
    if report.subject:
        return {"identifier": {"system": "urn:mastra:subject", "value": report.subject}}
    return {"display": "not told"}


def _quantity(value: float, uncertainty: float, unit: str) -> dict[str, Any]:
    return {
        "extension": [
            # The standard uncertainty: of the expanded one, k = 2, it is a half.
            {"url": UNCERTAINTY, "valueDecimal": round(uncertainty / 2, 4)},
            {"url": UNCERTAINTY_TYPE, "valueCode": "N"},
        ],
        "value": round(value, 3),
        "unit": unit,
        "system": UCUM,
        "code": unit,
    }


def _moment(stamp_ns: int) -> str:
    moment: datetime = when(stamp_ns)
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def _model() -> Any:
    try:
        from fhir.resources.R4B.diagnosticreport import DiagnosticReport
    except ImportError:
        raise needs_medical("fhir.resources") from None
    return DiagnosticReport
