"""`mastra gateway`: the server alone."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
from typing import Any

from ..config import GatewayConfig, build
from ..config.files import apply_sets, load_parameters
from ..errors import ConfigError
from ..startup import check_clock

HELP = """\
Serve devices over TLS 1.3: check their tokens, infer their frames in batches, keep each
result once. Prints `ready https://HOST:PORT` when devices may connect."""
EXAMPLE = "mastra gateway --keys keys --bundle models/board_defects --port 8443"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--keys", metavar="DIR", help="folder of keys; default: MASTRA_KEYS")
    parser.add_argument("--host", help="address to listen on; default: 127.0.0.1")
    parser.add_argument("--port", type=int, help="port; 0 takes a free one; default: 8443")
    parser.add_argument(
        "--bundle",
        action="append",
        metavar="DIR",
        help="bundle to serve; may be given again, the first answers where none is named",
    )
    parser.add_argument("--state", metavar="DIR", help="folder of the results' database")
    parser.add_argument("--params", metavar="FILE", help="parameter file with a section gateway")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        dest="sets",
        metavar="gateway.PARAMETER=VALUE",
        help="set a parameter; may be given again",
    )
    parser.add_argument("--parent", type=int, default=0, help=argparse.SUPPRESS)


def run(args: argparse.Namespace) -> int:
    """Serve until a signal comes."""
    check_clock()
    config = config_of(args)
    # Imported here, so that `mastra gateway --help` needs none of the server's packages.
    from ..gateway.server import serve

    answered = asyncio.run(
        serve(config, lambda url: print(f"ready {url}", flush=True), parent_pid=args.parent)
    )
    if not answered:
        # Python would wait for the model's thread, which nothing can end.
        logging.shutdown()
        sys.stdout.flush()
        os._exit(1)
    return 0


def config_of(args: argparse.Namespace) -> GatewayConfig:
    """The parameters: those of the file, changed by --set, changed by the other options."""
    parameters: dict[str, dict[str, Any]] = load_parameters(args.params) if args.params else {}
    values = dict(apply_sets(parameters, args.sets).get("gateway", {}))
    given = {
        "keys_dir": args.keys,
        "host": args.host,
        "port": args.port,
        "bundles": tuple(args.bundle) if args.bundle else None,
        "state_dir": args.state,
    }
    values.update({name: value for name, value in given.items() if value is not None})
    try:
        return build(GatewayConfig, values)
    except ConfigError as error:
        raise ConfigError(f"gateway: {error}") from error
