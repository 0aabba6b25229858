"""The report of a conversion: numbers as JSON, a table to read, and plots."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from ...errors import DependencyError
from . import plots

_log = logging.getLogger(__name__)

LAYERS_SHOWN = 10
CUTS_SHOWN = 12


def write_report(report: dict[str, Any], folder: Path) -> None:
    """Write report.json, report.md, and plots where matplotlib is installed."""
    (folder / "report.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    (folder / "report.md").write_text(table(report) + "\n", encoding="utf-8")
    try:
        _draw(report, folder)
    except DependencyError as error:
        _log.warning("%s", error)


def table(report: dict[str, Any]) -> str:
    """The report as Markdown."""
    names = {"float": "float32 (LiteRT)", "local": "device", "cloud": "server"}
    lines = [
        f"# {report['bundle']}",
        "",
        f"Accuracy on {report['pictures']} pictures; latencies on this machine, model alone.",
        "",
        "| model | bytes | accuracy | p50/p99 ms, 1 thread | p50/p99 ms, 2 threads |",
        "| --- | --- | --- | --- | --- |",
    ]
    for part in ("float", "local", "cloud"):
        if part in report["parts"]:
            values = report["parts"][part]
            times = " | ".join(_latency(values, threads) for threads in (1, 2))
            accuracy = f"{values['accuracy']:.4f}"
            lines.append(f"| {names[part]} | {values['bytes']} | {accuracy} | {times} |")
    if report["loss"] is not None:
        lines += ["", _difference(report)]
    if report["layers"]:
        lines += ["", "| layer | operator | error, dB |", "| --- | --- | --- |"]
        lines += [
            f"| `{one['layer']}` | {one['operator']} | {one['sqnr_db']:.1f} |"
            for one in report["layers"][:LAYERS_SHOWN]
        ]
    if report["cuts"]:
        lines += ["", "| cut after | tensor | shape | bytes, int8 |", "| --- | --- | --- | --- |"]
        lines += [
            f"| {cut['after']} | `{cut['tensor']}` | {'x'.join(map(str, cut['shape']))} "
            f"| {cut['bytes_int8']} |"
            for cut in sorted(report["cuts"], key=lambda cut: cut["bytes_int8"])[:CUTS_SHOWN]
        ]
    return "\n".join(lines)


def _difference(report: dict[str, Any]) -> str:
    faster = report["speedup"]
    return (
        f"int8 against float32: {report['size_ratio']:.1%} of the bytes, "
        f"{faster['1_threads']} times as fast with 1 thread and {faster['2_threads']} with 2, "
        f"{100 * report['loss']:.2f} points of accuracy lost, the same answers in "
        f"{report['agreement']:.1%}."
    )


def _latency(values: dict[str, Any], threads: int) -> str:
    if f"p50_ms_{threads}_threads" not in values:
        return "-"
    return f"{values[f'p50_ms_{threads}_threads']:.2f} / {values[f'p99_ms_{threads}_threads']:.2f}"


def _draw(report: dict[str, Any], folder: Path) -> None:
    if report["layers"]:
        worst = report["layers"][:LAYERS_SHOWN]
        values = {one["layer"]: one["sqnr_db"] for one in worst}
        plots.bars(
            values, folder / "layers.png", title="Worst layers", unit="signal over error, dB"
        )
    if report["cuts"]:
        xs = [float(cut["after"]) for cut in report["cuts"]]
        ys = [float(cut["bytes_int8"]) for cut in report["cuts"]]
        plots.lines(
            {"int8": (xs, ys)},
            folder / "cuts.png",
            title="Bytes at each possible cut",
            x="operators on the device",
            y="bytes a frame",
            log_y=True,
        )
