"""The option `--measured`, which `mastra plan` and `mastra simulate` share."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_measured(parser: argparse.ArgumentParser, instead_of: str) -> None:
    """Declare it; the files come as a list, empty without any."""
    parser.add_argument(
        "--measured",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="of mastra model bench --json, or engines.json#MACHINE: the fastest engine's ms "
        f"instead of {instead_of}; may be given again, for the other end",
    )


def cloud_views(bundle: str) -> int:
    """How often the gateway's model sees a frame. Raises ModelError."""
    from ..inference import load_bundle

    return load_bundle(bundle).part("cloud").views
