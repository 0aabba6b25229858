"""Draws the rate-accuracy curves of bench/results/compression.json, a picture a scene, for docs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench.compression_unseen import PREFIX
from mastra_ros.figures import new_figure

FOLDER = "docs/images"
SIZE_INCH, DPI = (6.0, 3.8), 75
OURS = {"auto": "black", "auto, royalty-free": "tab:gray"}


def draw(document: dict[str, Any], folder: Path) -> list[Path]:
    """Write compression_SCENE.png for each scene that is not held out; the files."""
    made = []
    for name, scene in document.get("scenes", {}).items():
        if "compared" not in scene or name.startswith(PREFIX):
            continue
        path = folder / f"compression_{name}.png"
        _draw(name, scene, path)
        made.append(path)
    return made


def _draw(name: str, scene: dict[str, Any], path: Path) -> None:
    told = scene["compared"]
    figure = new_figure(*SIZE_INCH, dpi=DPI)
    axes = figure.add_subplot()
    points: dict[str, list[tuple[float, float]]] = {}
    for point in scene["points"]:
        if point[told["unit"]] is not None:
            points.setdefault(point["curve"], []).append((point["bytes"], point[told["unit"]]))
    for curve, found in points.items():
        found.sort()
        colour = OURS.get(curve)
        style = {"color": colour, "linewidth": 2.2, "zorder": 3} if colour else {"linewidth": 1.0}
        marker = "o-" if len(found) > 1 else "s"
        axes.plot(*zip(*found, strict=True), marker, markersize=3, label=curve, **style)
    axes.axhline(told["at"], color="tab:red", linestyle=":", linewidth=1.0)
    axes.set_xscale("log")
    axes.set_xlabel("bytes a frame")
    axes.set_ylabel("agreement F" if told["unit"] == "f" else "PSNR, dB")
    axes.set_title(f"{name}, {scene['size']}, {scene['frames']} frames", fontsize=10)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=6)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, pil_kwargs={"optimize": True})
