"""Writes the tables in docs/models.md from bench/results/models.json and engines.json.

    python -m bench.models_table [--check]

With --check nothing is written, and the status is 1 if the table is old.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from bench import engines_table, page

RESULTS, PAGE = "bench/results/models.json", "docs/models.md"
ENGINES = "bench/results/engines.json"
HEAD = (
    "| network | float32, bytes | int8, bytes | ratio | faster, 1 / 2 threads "
    "| accuracy float32 | int8 | lost, points | same answers |"
)
NAMES = {
    "board_device": "board detector of the device, 640x640, DeepPCB val.txt",
    "board_gateway": "board detector of the gateway, the same",
    "mobilenet_edgetpu": "MobileNetEdgeTPU, 224x224, crops of DeepPCB",
    "mobilenet_v4": "MobileNetV4-Conv-Small, the same",
    "mobilenet_v2_full": "MobileNetV2 1.0, the same",
    "crops": "MobileNetV2 0.35, ReLU6, 96x96, crops of DeepPCB",
    "crops_silu_ptq": "the same with SiLU",
    "crops_silu_qat": "the same with SiLU, QAT",
    "efficientnet_lite0": "EfficientNet-Lite0, 224x224, against itself (*)",
    "efficientnet_lite0_qat": "the same, QAT (*)",
    "yolox_nano": "YOLOX-nano from ONNX, 416x416, against itself (*)",
}
"""What the rows are called, in their order."""


def table(document: dict[str, Any]) -> str:
    """The table as Markdown, and what it was measured on."""
    models = document["models"]
    lines = [HEAD, "|" + " --- |" * (HEAD.count("|") - 1)]
    lines += [_row(NAMES[name], models[name]) for name in NAMES if name in models]
    return "\n".join([*lines, "", *_notes(models)])


def _row(name: str, one: dict[str, Any]) -> str:
    exact, local = one["parts"]["float"], one["parts"]["local"]
    faster = " / ".join(f"{one['speedup'][f'{n}_threads']:.2f}" for n in (1, 2))
    return (
        f"| {name} | {exact['bytes']} | {local['bytes']} | {one['size_ratio']:.1%} | {faster} "
        f"| {one['accuracy_float']:.4f} | {one['accuracy_int8']:.4f} | {100 * one['loss']:.2f} "
        f"| {one['agreement']:.1%} |"
    )


def _notes(models: dict[str, Any]) -> list[str]:
    notes = []
    for name, one in models.items():
        sure = one.get("sure")
        if name in NAMES and sure and sure["pictures"]:
            notes.append(
                f"- {NAMES[name].removesuffix(' (*)')}: of {one['pictures']} pictures float32 is "
                f"sure of {sure['pictures']} (score {sure['least_score']:g} or more); int8 says "
                f"the same in {sure['accuracy_int8']:.1%} of those."
            )
    places: dict[str, list[str]] = {}
    for name in NAMES:
        if name in models and "machine" in models[name]:
            places.setdefault(_place(models[name]["machine"]), []).append(name)
    notes += [f"- {', '.join(names)}: on {place}." for place, names in places.items()]
    return notes


def _place(machine: dict[str, Any]) -> str:
    int8 = (
        f"with {', '.join(machine['int8'])}" if machine["int8"] else "without dot products of int8"
    )
    return f"{machine['cpus']} cores of {machine['cpu']} ({machine['vectors']}, {int8})"


def main() -> int:
    """Read the command line and write the page, or check it."""
    check = page.asked_to_check(__doc__)
    made = table(json.loads((page.ROOT / RESULTS).read_text(encoding="utf-8")))
    engines = engines_table.table(json.loads((page.ROOT / ENGINES).read_text(encoding="utf-8")))
    new = page.between(page.read(PAGE), made)
    new = page.between(new, engines, engines_table.START, engines_table.END)
    return page.write(PAGE, new, check=check)


if __name__ == "__main__":
    sys.exit(main())
