"""The formats of `bundle.yaml`, and what each of them added.

A bundle is written in the oldest format that can say what it says, so that devices in the field
read it as long as they can; an older reader refuses a newer format with one line.

Format 2 added:

- `parts.PART.score_thresholds`: a threshold for each number of views, `{1: 0.47, 2: 0.42}`,
  instead of `score_threshold`;
- `parts.PART.input`: `type` (float32, float16, uint8, int8) and `layout` (nchw, nhwc) of the file's
  input, where its shape does not tell or its numbers are the pixel values themselves;
- the part `cloud_int8`, which stands beside `cloud`, and the engine `openvino`;
- the kinds of output `yolov8` and `yolov5`, with `output.box_unit`;
- `output.scores` of detectors.

Format 3 added the engine `torch`, which reads exported programs (.pt2).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .interface import YOLO

OF_PARTS = ("score_thresholds", "input")
NEW_PARTS = ("cloud_int8",)
NEW_ENGINES = ("openvino",)
ENGINES_OF_3 = ("torch",)


def least_format(document: Mapping[str, Any]) -> int:
    """The oldest format that can say what the content of a bundle.yaml says."""
    return max((format_ for _, format_ in newer_than(1, document)), default=1)


def newer_than(format_: int, document: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """Places in the content of a bundle.yaml that this format does not know, and whose they are."""
    if format_ < 2:
        yield from ((place, 2) for place in of_format_2(document))
    parts = document.get("parts")
    for name, part in parts.items() if format_ < 3 and isinstance(parts, dict) else ():
        if isinstance(part, dict) and part.get("engine") in ENGINES_OF_3:
            yield f"parts.{name}.engine", 3


def of_format_2(document: Mapping[str, Any]) -> Iterator[str]:
    """Places in the content of a bundle.yaml that format 1 does not know, as dotted names."""
    parts = document.get("parts")
    for name, part in parts.items() if isinstance(parts, dict) else ():
        if name in NEW_PARTS:
            yield f"parts.{name}"
        if isinstance(part, dict):
            yield from (f"parts.{name}.{one}" for one in OF_PARTS if one in part)
            if part.get("engine") in NEW_ENGINES:
                yield f"parts.{name}.engine"
    output = document.get("output")
    if isinstance(output, dict) and output.get("kind") != "classification":
        if output.get("kind") in YOLO:
            yield "output.kind"
        if "scores" in output:
            yield "output.scores"
