"""Writes the measurements of docs/compression.md from bench/results/compression.json, and draws its
curves into docs/images.

    python -m bench.compression_table [--check]

With --check nothing is written, and the status is 1 if they are old.
"""

from __future__ import annotations

import sys
from typing import Any

from bench import page
from bench.compression_plots import FOLDER, draw
from bench.compression_unseen import PREFIX
from bench.published import result

PAGE = "docs/compression.md"
UNITS = {"f": "F", "psnr_db": "dB"}


def tables(document: dict[str, Any]) -> str:
    """Each scene at one agreement, the points of ours, and which bars do not hold."""
    scenes: dict[str, dict[str, Any]] = {
        name: told for name, told in document.get("scenes", {}).items() if "compared" in told
    }
    lines = [
        "| scene | at | JPEG | tiles | best codec in time | its bytes | `auto` | of the best |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, told in scenes.items():
        found = told["compared"]
        size: dict[str, float] = found["bytes"]
        cells = (size.get(curve) for curve in ("JPEG", "tiles", found.get("best", ""), "auto"))
        jpeg, tiles, best, ours = ("-" if one is None else f"{one:,.0f}" for one in cells)
        ratio = "-" if found.get("ratio") is None else f"{found['ratio']:.2f}"
        at = f"{found['at']:g} {UNITS[found['unit']]}"
        lines.append(
            f"| {name} | {at} | {jpeg} | {tiles} | {found.get('best', '-')} | {best} | {ours} | "
            f"{ratio} |"
        )
    drawn = {name: told for name, told in scenes.items() if not name.startswith(PREFIX)}
    pictures = [f"![{name}](images/compression_{name}.png)" for name in drawn]
    return "\n".join([*lines, "", *pictures, "", *_ours(drawn), "", *page.missed(document)])


def _ours(scenes: dict[str, dict[str, Any]]) -> list[str]:
    lines = [
        "| scene | ours | bytes a frame | F | PSNR, dB | encoding, ms a VGA frame, p50 / p99 |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, told in scenes.items():
        for point in told["points"]:
            if point["plain"]:
                continue
            f = "-" if point["f"] is None else f"{point['f']:.3f}"
            times = "-"
            if "vga_p50_ms" in point:
                times = f"{point['vga_p50_ms']:.1f} / {point['vga_p99_ms']:.1f}"
            lines.append(
                f"| {name} | {point['curve']}, {point['quality']} | {point['bytes']:,.0f} | {f} | "
                f"{point['psnr_db']:.1f} | {times} |"
            )
    return lines


def main() -> int:
    """Bring the page up to date, or say that it is old."""
    check = page.asked_to_check(__doc__)
    document = result(page.ROOT, "compression")
    new = page.between(page.read(PAGE), f"\n{tables(document)}\n")
    if not check:
        draw(document, page.ROOT / FOLDER)
    return page.write(PAGE, new, check=check)


if __name__ == "__main__":
    sys.exit(main())
