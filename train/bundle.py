"""Read and write `bundle.yaml` of the board detector."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from mastra_ros.camera.drawn.board import LABELS
from mastra_ros.inference.formats import least_format
from train.decode import NMS_IOU, STRIDE_PX

VERSION = "1.0.0"
PARTS = {
    "local": {"file": "local.tflite", "engine": "litert", "model": "board_defects_device"},
    "cloud": {"file": "cloud.onnx", "engine": "onnxruntime", "model": "board_defects_gateway"},
}


def read_bundle(folder: Path) -> dict[str, Any]:
    """The content of FOLDER/bundle.yaml; a new description without parts where there is none."""
    path = folder / "bundle.yaml"
    if path.exists():
        content: dict[str, Any] = yaml.safe_load(path.read_text())
        return content
    return {
        "format": 1,
        "name": "board_defects",
        "version": VERSION,
        "task": "detection",
        "labels": list(LABELS),
        "input": {
            "width_px": 640,
            "height_px": 640,
            "colour": "gray",
            "resize": "letterbox",
            "pad_value": 0,
            "mean": [0.0],
            "std": [255.0],
        },
        "output": {"kind": "anchor_free", "stride_px": STRIDE_PX, "nms_iou": NMS_IOU},
        "parts": {},
    }


def write_bundle(folder: Path, content: dict[str, Any]) -> None:
    """Write FOLDER/bundle.yaml, in the oldest format that can say it."""
    content = {**content, "format": least_format(content)}
    text = yaml.safe_dump(content, sort_keys=False, width=100, default_flow_style=None)
    (folder / "bundle.yaml").write_text(text)


def threshold_of(entry: Mapping[str, Any], views: int) -> float:
    """The score threshold of a part's entry for a number of views."""
    by_views = entry.get("score_thresholds", {})
    return float(by_views[views] if views in by_views else entry["score_threshold"])


def add_part(folder: Path, part: str, thresholds: Mapping[int, float]) -> None:
    """Enter a part's file into the bundle, with its digest, and without measurements yet.

    `thresholds`: one for each number of views, of which the largest is used.
    """
    content = read_bundle(folder)
    file = PARTS[part]["file"]
    content["parts"][part] = {
        "file": file,
        "engine": PARTS[part]["engine"],
        "sha256": hashlib.sha256((folder / file).read_bytes()).hexdigest(),
        "model": PARTS[part]["model"],
        "version": VERSION,
        **(
            {"score_thresholds": dict(thresholds), "views": max(thresholds)}
            if len(thresholds) > 1
            else {"score_threshold": thresholds[1]}
        ),
        "measurements": {"bytes": (folder / file).stat().st_size},
    }
    content["parts"] = {name: content["parts"][name] for name in PARTS if name in content["parts"]}
    write_bundle(folder, content)
