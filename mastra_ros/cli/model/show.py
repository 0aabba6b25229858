"""`mastra model show`: what a bundle holds."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ...inference import BundleInput

HELP = "Print what a bundle holds: its models, what they want and give, and what was measured."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("bundle", metavar="BUNDLE", help="folder, or name of an installed bundle")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Load the bundle, which checks it, and print it."""
    from ...inference import load_bundle
    from ...model.verify import read_document

    bundle = load_bundle(args.bundle)
    document = read_document(bundle.path.parent)
    if args.json:
        print(json.dumps(document, indent=2))
        return 0
    rows = [
        ("bundle", f"{bundle.name} {bundle.version} ({bundle.path.parent})"),
        ("task", f"{bundle.task}, outputs read as {bundle.output.kind}"),
        ("labels", f"{len(bundle.labels)}: {_shortened(', '.join(bundle.labels))}"),
        ("input", _input(bundle.input)),
    ]
    for part in bundle.parts.values():
        rows.append((part.name, f"{part.path.name}: {part.model} {part.version} on {part.engine}"))
        rows.append(("", f"{part.path.stat().st_size} bytes, SHA-256 {part.sha256}"))
        views = ", two views of each frame" if part.views > 1 else ""
        rows.append(("", f"score threshold {part.score_threshold:g}{views}"))
        for number, threshold in part.score_thresholds.items():
            if number != part.views:
                rows.append(("", f"score threshold with {number} views: {threshold:g}"))
        if part.input_type or part.layout:
            rows.append(("", f"input {part.input_type} {part.layout}".rstrip()))
        rows += [("", line) for line in _flat(part.measurements) if not line.startswith("bytes:")]
    rows += [
        (str(name), line)
        for name, value in document.items()
        if name not in ("format", "name", "version", "task", "labels", "input", "output", "parts")
        for line in _flat(value if isinstance(value, dict) else {str(name): value})
    ]
    for name, text in rows:
        print(f"{name:8} {text}")
    return 0


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}: {value}"


def _input(spec: BundleInput) -> str:
    values = f"mean {_numbers(spec.mean)}, std {_numbers(spec.std)}"
    return f"{spec.width_px}x{spec.height_px} {spec.colour}, {spec.resize}, {values}"


def _shortened(text: str, width: int = 90) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"


def _numbers(values: tuple[float, ...]) -> str:
    return " ".join(f"{value:g}" for value in values)
