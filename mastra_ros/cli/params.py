"""`mastra params`: every parameter, as a parameter file or as the table of the docs."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..config import OWN_FILES, read_own_file
from ..config.files import apply_sets, load_parameters, to_markdown, to_yaml
from ..config.own_files import own_yaml
from ..errors import ConfigError

HELP = (
    "Print a parameter file with every parameter, explained. Given FILE or --set, check them\n"
    "and print the values that then count. With --of, those of a file that is not for nodes."
)
EXAMPLE = "mastra params config/factory_inspection.yaml --set scheduling.deadline_ms=200"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("file", nargs="?", type=Path, metavar="FILE", help="a parameter file")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        dest="sets",
        metavar="STAGE.PARAMETER=VALUE",
        help="change one value; may be given several times",
    )
    parser.add_argument(
        "--of",
        choices=tuple(OWN_FILES),
        help="of volumes (the file that MASTRA_VOLUME names) or of `mastra casting --params`",
    )
    parser.add_argument("--markdown", action="store_true", help="print the table of the docs")


def run(args: argparse.Namespace) -> int:
    """Print."""
    if args.markdown:
        if args.file or args.sets or args.of:
            raise ConfigError("--markdown: shows the defaults, expected no FILE, --set or --of")
        print(to_markdown(), end="")
        return 0
    if args.of:
        if args.sets:
            raise ConfigError("--set: is for the parameters of nodes, expected no --of")
        config = OWN_FILES[args.of].config
        print(own_yaml(read_own_file(config, args.file) if args.file else config()), end="")
        return 0
    values = load_parameters(args.file) if args.file else {}
    print(to_yaml(apply_sets(values, args.sets)), end="")
    return 0
