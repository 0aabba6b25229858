"""`mastra keys`: the folder of keys of a gateway and its devices."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "Make and show the keys that gateway and devices know each other by."
EXAMPLE = "mastra keys init keys && mastra keys add-device keys camera-1"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    actions = parser.add_subparsers(
        dest="action", required=True, metavar="ACTION", help="what to do with the folder"
    )
    init = actions.add_parser("init", help="make an authority and a certificate for the gateway")
    init.add_argument("folder", type=Path, metavar="DIR", help="made with mode 0700")
    init.add_argument(
        "--host",
        action="append",
        default=[],
        metavar="NAME",
        help="name or address that devices will call the gateway by; may be given again",
    )
    add = actions.add_parser("add-device", help="make the key pair of a device")
    add.add_argument("folder", type=Path, metavar="DIR", help="the folder of keys")
    add.add_argument("name", metavar="NAME", help="letters, digits, dot, hyphen and underscore")
    add.add_argument(
        "--algorithm",
        choices=("ed25519", "es256"),
        default="ed25519",
        help="kind of key; default: ed25519",
    )
    client = actions.add_parser(
        "add-client", help="make the key pair of a person or program that reads at the gateway"
    )
    client.add_argument("folder", type=Path, metavar="DIR", help="the folder of keys")
    client.add_argument("name", metavar="NAME", help="letters, digits, dot, hyphen and underscore")
    client.add_argument(
        "--role",
        choices=("reader", "operator", "admin"),
        default="reader",
        help="reader may read all that devices have told, operator also change their settings, "
        "admin also who may do what; default: reader",
    )
    show = actions.add_parser("show", help="tell what the folder holds, without any secret")
    show.add_argument("folder", type=Path, metavar="DIR", help="the folder of keys")
    token = actions.add_parser(
        "token", help="print a token of a device, for /metrics and /v2 of the gateway"
    )
    token.add_argument("folder", type=Path, metavar="DIR", help="the folder of keys")
    token.add_argument("name", metavar="NAME", help="the device, or the client with --client")
    token.add_argument("--client", action="store_true", help="NAME is a client")
    token.add_argument("--audience", default="", help="default: that of the folder")
    token.add_argument(
        "--lifetime", type=float, default=300.0, metavar="S", help="in s; default: 300"
    )


def run(args: argparse.Namespace) -> int:
    """Do one of the actions."""
    # Imported here, so that `mastra --help` needs no cryptography.
    from ..protocol import clients, keys
    from ..protocol.tokens import sign_token

    folder: Path = args.folder
    if args.action == "init":
        keys.init_keys(folder, [*keys.LOOPBACK, *args.host], own_audience=True)
        print(f"{folder}: authority and certificate of the gateway are there")
        print(f"next: mastra keys add-device {folder} NAME")
    elif args.action == "add-device":
        algorithm = {"es256": "p256"}.get(args.algorithm, args.algorithm)
        private = keys.add_device(folder, args.name, algorithm)
        together = str(folder / "ca.crt")
        if (folder / "audience").exists():
            together = f"{together} and {folder / 'audience'}"
        print(f"{private}: for the device, together with {together}")
        print(f"{private.with_suffix('.pub')}: for the gateway")
    elif args.action == "add-client":
        private = clients.add_client(folder, args.name, args.role)
        print(f"{private}: for {args.name}, who may come to the gateway as {args.role}")
        print(f"next: mastra keys token {folder} {args.name} --client")
    elif args.action == "token" and args.client:
        audience = args.audience or clients.client_audience(folder)
        print(
            sign_token(
                args.name, clients.load_client_key(folder, args.name), audience, args.lifetime
            )
        )
    elif args.action == "token":
        key = keys.load_device_key(folder, args.name)
        audience = args.audience or keys.audience_of(folder)
        print(sign_token(args.name, key, audience, args.lifetime))
    else:
        held = keys.show(folder)
        print(f"authority  SHA-256 {held.authority}")
        print(f"           until {held.authority_until}")
        print(f"gateway    {', '.join(held.server_names)}")
        print(f"           until {held.server_until}")
        for name, kind in held.devices.items():
            print(f"device     {name} ({kind})")
    return 0
