"""The table of engines in docs/models.md, from bench/results/engines.json."""

from __future__ import annotations

from typing import Any

START, END = "<!-- engines: start -->", "<!-- engines: end -->"
ROWS = {
    "gateway": ("gateway's board network, 640x640", "float32 onnxruntime"),
    "device": ("device's board network, 640x640, int8", "litert"),
    "mobilenet_v2_uint8": ("MobileNetV2, 224x224, uint8", "litert"),
    "mobilenet_v2_ptq": ("MobileNetV2 of TF 2, 224x224, int8 inside", "litert"),
    "yolox_nano_int8": ("YOLOX-nano, 416x416, int8 inside", "litert"),
}
"""Networks in their order: what they are called, and the form that the others are held against."""
LEFT = {
    "": "",
    "AVX512_CORE_BF16": ", OpenVINO without AMX",
    "AVX512_CORE_VNNI": ", OpenVINO with VNNI alone",
    "AVX512_CORE": ", OpenVINO without bf16 and VNNI",
}
WHERE = "| network | processor | form and engine | ms a frame, 1 thread | 2 threads | times | F |"


def table(document: dict[str, Any]) -> str:
    """Networks by processor and engine, the fastest of each place in bold."""
    lines = [WHERE, "|" + " --- |" * (WHERE.count("|") - 1)]
    for name, (title, against) in ROWS.items():
        for told in document["machines"]:
            for run in told["runs"]:
                if name in run["networks"]:
                    place = told["machine"]["name"] + LEFT[run["cap"]]
                    lines += _rows(title, place, run["networks"][name], against)
    lines += ["", *_notes(document)]
    return "\n".join(lines)


def _rows(title: str, place: str, network: dict[str, Any], against: str) -> list[str]:
    one = {row["threads"]: row["forms"] for row in network["rows"] if row["batch"] == 1}
    best = min(one[1], key=lambda form: one[1][form]["p50_ms"])
    lines = []
    for form, times in one[1].items():
        ms = f"{times['p50_ms']:.2f}"
        two = f"{one[2][form]['p50_ms']:.2f}" if 2 in one else ""
        gain = one[1][against]["p50_ms"] / times["p50_ms"]
        score = network.get("f_score", {}).get(form)
        shown = f"**{ms}**" if form == best else ms
        chosen = " (auto)" if form == network.get("auto", {}).get("chosen") else ""
        f_score = f"{score:.4f}" if score is not None else ""
        lines.append(
            f"| {title} | {place} | {form}{chosen} | {shown} | {two} | {gain:.2f} | {f_score} |"
        )
        title = place = ""
    return lines


def _notes(document: dict[str, Any]) -> list[str]:
    notes = []
    for told in document["machines"]:
        machine, first = told["machine"], told["runs"][0]["networks"]
        versions = ", ".join(f"{name} {text}" for name, text in machine["versions"].items() if text)
        notes.append(f"- {machine['name']}: {', '.join(machine['flags'])}; {versions}.")
        for name in ("gateway", "device"):
            for part, one in first[name].get("profile", {}).items():
                notes.append(
                    f"- {machine['name']}, `{part}` on OpenVINO: of {one['run_ms']:.1f} ms a run "
                    f"{one['convolutions_ms']:.1f} are convolutions, {one['others_ms']:.1f} other "
                    f"operations, {max(one['between_ms'], 0.0):.1f} what lies between them."
                )
        rows = [row for row in first["gateway"]["rows"] if row["threads"] == 1]
        form = first["gateway"]["auto"].get("chosen") or "float32 onnxruntime"
        joined = ", ".join(f"{row['batch']}: {row['forms'][form]['p50_ms']:.1f}" for row in rows)
        notes.append(f"- {machine['name']}, {form}, ms a frame by frames in a run: {joined}.")
    return notes
