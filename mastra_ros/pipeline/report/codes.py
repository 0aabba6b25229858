"""Codes that FHIR R4B lets stand only as they are in its lists; `fhir.resources` lets any pass.

Checked are the required bindings of what our reports use:
http://hl7.org/fhir/R4B/valueset-diagnostic-report-status.html and so on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from mastra_ros.errors import VolumeError

REPORT_STATUS = {
    *("registered", "partial", "preliminary", "final", "amended", "corrected", "appended"),
    *("cancelled", "entered-in-error", "unknown"),
}
OBSERVATION_STATUS = {
    *("registered", "preliminary", "final", "amended", "corrected", "cancelled"),
    *("entered-in-error", "unknown"),
}
DEVICE_STATUS = {"active", "inactive", "entered-in-error", "unknown"}
USE_OF_IDENTIFIER = {"usual", "official", "temp", "secondary", "old"}
COMPARATOR = {"<", "<=", ">=", ">"}
NARRATIVE = {"generated", "extensions", "additional", "empty"}
SYSTEMS = {
    "http://loinc.org": re.compile(r"[1-9]\d{0,6}-\d"),
    "http://snomed.info/sct": re.compile(r"[1-9]\d{5,17}"),
    "http://dicom.nema.org/resources/ontology/DCM": re.compile(r"[1-9]\d{5}"),
    "http://unitsofmeasure.org": re.compile(r"mL|mm|mm/s|%|1|\{[a-z]+\}"),
    "http://terminology.hl7.org/CodeSystem/v2-0074": re.compile(r"RUS|IMG|RAD|CT"),
}
STATUS = {
    "DiagnosticReport": REPORT_STATUS,
    "Observation": OBSERVATION_STATUS,
    "Device": DEVICE_STATUS,
}


def check_codes(resource: Mapping[str, Any]) -> None:
    """VolumeError naming the first code of a resource, as JSON, that is in no list."""
    _walk(resource, str(resource.get("resourceType", "resource")))


def _walk(told: Any, path: str) -> None:
    if isinstance(told, Mapping):
        _check(told, path)
        for name, value in told.items():
            _walk(value, f"{path}.{name}")
    elif isinstance(told, Sequence) and not isinstance(told, (str, bytes)):
        for place, value in enumerate(told):
            _walk(value, f"{path}[{place}]")


def _check(told: Mapping[str, Any], path: str) -> None:
    kind = told.get("resourceType")
    if kind is not None:
        if kind not in STATUS:
            raise VolumeError(f"{path}: expected one of {', '.join(STATUS)}, got {kind!r:.40}")
        _expect(told, "status", STATUS[kind], path, needed=kind != "Device")
    last = re.sub(r"\[\d+\]$", "", path).rpartition(".")[2]
    if last == "identifier":
        _expect(told, "use", USE_OF_IDENTIFIER, path)
    if last == "text" and "div" in told:
        _expect(told, "status", NARRATIVE, path, needed=True)
    if last.startswith("value") and "value" in told:
        _expect(told, "comparator", COMPARATOR, path)
    system, code = told.get("system"), told.get("code")
    if isinstance(code, str):
        if system not in SYSTEMS:
            raise VolumeError(f"{path}.system: expected a known code system, got {system!r:.80}")
        if not SYSTEMS[system].fullmatch(code):
            raise VolumeError(f"{path}.code: expected a code of {system}, got {code!r:.40}")


def _expect(
    told: Mapping[str, Any], name: str, allowed: set[str], path: str, *, needed: bool = False
) -> None:
    value = told.get(name)
    if value is None and not needed:
        return
    if value not in allowed:
        some = ", ".join(sorted(allowed))
        raise VolumeError(f"{path}.{name}: expected one of {some}, got {value!r:.40}")
