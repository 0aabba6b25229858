"""Writes the measurements of docs/privacy.md from bench/results/privacy.json.

    python -m bench.privacy_table [--check]

With --check nothing is written, and the status is 1 if they are old.
"""

from __future__ import annotations

import sys
from typing import Any

from bench import page
from bench.published import result

PAGE = "docs/privacy.md"


def tables(document: dict[str, Any]) -> str:
    """What was found, what could be read, gaps in a video, costs, and which bars do not hold."""
    lines = [
        "| | finders | covered | 95 % | count | area of masks over truth, median |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for kind in ("plates", "faces"):
        for row in document.get(kind, ()):
            for name in ("default", "all"):
                one = row[name]
                low, high = one["interval"]
                lines.append(
                    f"| {kind}, {row['width_px']} px wide | {name} | {one['recall']:.3f} | "
                    f"{low:.3f} to {high:.3f} | {row['count']} | "
                    f"{one['area_of_truth_median']:.1f} |"
                )
    lines += [
        "",
        *_reading(document),
        *_video(document),
        *_bands(document),
        *_journey(document),
        *_cost(document),
        "",
    ]
    lines += [*_runs(document), ""]
    notes = document.get("notes", {}).values()
    lines += [*(f"Note: {note}." for note in notes), "", *page.missed(document)]
    return "\n".join(lines)


def _reading(document: dict[str, Any]) -> list[str]:
    told = document.get("reading")
    if not told:
        return []
    text = (
        f"A reader of text reads {told['read_before']} of {told['plates']} plates exactly on the "
        f"photographs, and {told['read_after']} after hiding ({told['masked']} lay under masks)."
    )
    return [text]


def _video(document: dict[str, Any]) -> list[str]:
    told = document.get("video")
    if not told:
        return []
    gaps = ", ".join(f"{name}: {n}" for name, n in told["frames_uncovered"].items())
    text = (
        f"Carried along known paths through {told['frames']} frames of crossing.mp4 at 1280x720, "
        f"frames in which one was not covered: {gaps}. Of a frame "
        f"{told['picture_share_median']:.1%} was hidden (median)."
    )
    return ["", text]


def _bands(document: dict[str, Any]) -> list[str]:
    told = document.get("bands")
    if not told:
        return []
    plates = "; ".join(
        f"{row['width_px']} px wide: {row['without']:.3f} without, {row['with']:.3f} with"
        for row in told["plates"]
    )
    street = told["street"]
    text = (
        f"With heads and bands of a detector of the task ({told['task']}), plates covered, "
        f"{plates}. In {street['frames']} frames of crossing.mp4 the finders hide "
        f"{street['share_without_median']:.1%} of a frame (median), heads and bands "
        f"{street['share_of_bands_median']:.1%}, both together {street['share_with_median']:.1%}."
    )
    return ["", text]


def _journey(document: dict[str, Any]) -> list[str]:
    lines = []
    for hide, told in document.get("journey", {}).items():
        text = (
            f"Through the nodes of the factory to the gateway ({told['frames']} frames of "
            f"crossing.mp4, hide: {hide}), of {told['faces']} pasted faces and {told['plates']} "
            f"plates the finders found {told['faces_found_before']} and "
            f"{told['plates_found_before']} on the device, and {told['faces_found_after']} and "
            f"{told['plates_found_after']} in what the gateway decodes; "
            f"{told['plates_read_before']} plates could be read before, and "
            f"{told['plates_read_after']} there."
        )
        lines += ["", text]
    return lines


def _runs(document: dict[str, Any]) -> list[str]:
    told = document.get("runs", {})
    if not told:
        return []
    each = ", ".join(
        f"{name} {run['on']} ({run['plates_and_heads']}, {run['engine']})"
        for name, run in told.items()
    )
    return ["", f"Measured, with which detector of plates and heads and on which runtime: {each}."]


def _cost(document: dict[str, Any]) -> list[str]:
    told = document.get("cost")
    if not told:
        return []
    lines = [
        "",
        "| one core, ms (p50) | full search | all finders | busy junction | road | still scene |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for size, one in told.items():
        columns = ("full_ms", "full_all_ms", "street_ms", "road_ms", "still_ms")
        cells = " | ".join(f"{one[name]['p50']:.0f}" for name in columns)
        lines.append(f"| {size} | {cells} |")
    return lines


def main() -> int:
    """Bring the page up to date, or say that it is old."""
    made = tables(result(page.ROOT, "privacy"))
    new = page.between(page.read(PAGE), f"\n{made}\n")
    return page.write(PAGE, new, check=page.asked_to_check(__doc__))


if __name__ == "__main__":
    sys.exit(main())
