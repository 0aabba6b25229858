"""`mastra dashboard`: the web page beside a gateway."""

from __future__ import annotations

import argparse
import asyncio
import getpass
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError
from ..share import share_file

if TYPE_CHECKING:
    from ..dashboard.oidc_config import OidcConfig

HELP = """\
Show the devices of a gateway in a browser, and change what may be changed. Prints
`ready http://HOST:PORT` when it can be opened. People log in; `add-person` adds them."""
EXAMPLE = "mastra dashboard --gateway https://127.0.0.1:8443 --keys keys --client dashboard"

PEOPLE = "people.yaml"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--gateway",
        default="https://127.0.0.1:8443",
        metavar="URL",
        help="default: https://127.0.0.1:8443",
    )
    parser.add_argument("--keys", metavar="DIR", help="folder of keys; default: MASTRA_KEYS")
    parser.add_argument(
        "--client",
        default="dashboard",
        metavar="NAME",
        help="client whose key is used (mastra keys add-client DIR NAME --role operator); "
        "nobody can do more here than it may; default: dashboard",
    )
    parser.add_argument(
        "--people", metavar="FILE", help=f"who may log in; default: {PEOPLE} in the folder of keys"
    )
    parser.add_argument("--host", default="127.0.0.1", help="default: 127.0.0.1")
    parser.add_argument("--port", type=int, default=8480, help="0 takes a free one; default: 8480")
    parser.add_argument("--certificate", metavar="FILE", help="for TLS; needed beyond loopback")
    parser.add_argument("--key", metavar="FILE", help="the certificate's private key")
    parser.add_argument(
        "--origin",
        action="append",
        default=[],
        metavar="URL",
        help="where people find it, such as https://dash.example; default: the address itself",
    )
    parser.add_argument(
        "--prices",
        metavar="FILE",
        help="what the cost so far is reckoned with; default: config/prices.yaml",
    )
    _add_oidc(parser)
    parser.add_argument("--parent", type=int, default=0, help=argparse.SUPPRESS)
    actions = parser.add_subparsers(
        dest="action", metavar="ACTION", help="without one the page is served"
    )
    person = actions.add_parser(
        "add-person", help="add a person, or give a new role and password (asked for, or stdin)"
    )
    person.add_argument("--people", metavar="FILE", dest="person_people")
    person.add_argument("--keys", metavar="DIR", dest="person_keys")
    person.add_argument("name", metavar="NAME")
    person.add_argument("--role", choices=("viewer", "operator", "admin"), default="viewer")


def run(args: argparse.Namespace) -> int:
    """Serve until a signal comes, or add a person."""
    if args.action == "add-person":
        return _add_person(args)
    from ..dashboard.gateway import GatewayClient
    from ..dashboard.serving import Place, serve

    place = Place(
        args.host,
        args.port,
        Path(args.certificate) if args.certificate else None,
        Path(args.key) if args.key else None,
        tuple(args.origin),
    )
    keys = _keys(args.keys)
    prices = _prices(args.prices)
    provider = _provider(args)

    async def work() -> None:
        gateway = GatewayClient(args.gateway, keys, args.client)
        await serve(
            gateway,
            Path(args.people) if args.people else keys / PEOPLE,
            place,
            lambda url: print(f"ready {url}", flush=True),
            parent_pid=args.parent,
            prices=prices,
            oidc=provider,
        )

    asyncio.run(work())
    return 0


def _add_oidc(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("log-in at a provider of OpenID Connect (off by default)")
    group.add_argument("--oidc-issuer", metavar="URL", help="turns it on: https://HOST[/PATH]")
    group.add_argument("--oidc-client-id", default="", metavar="ID", help="as it is known there")
    group.add_argument(
        "--oidc-secret-file", metavar="FILE", help="the client's secret, for its owner alone"
    )
    group.add_argument(
        "--oidc-role-claim",
        default="groups",
        metavar="CLAIM",
        help="claim of the ID token that says who may what, such as realm_access.roles; "
        "default: groups",
    )
    group.add_argument(
        "--oidc-role",
        action="append",
        default=[],
        metavar="VALUE=ROLE",
        help="who has this value in the claim is viewer, operator or admin; once or more often",
    )
    group.add_argument(
        "--oidc-name-claim",
        default="preferred_username",
        metavar="CLAIM",
        help="claim that names a person; default: preferred_username, then sub",
    )
    group.add_argument(
        "--oidc-ca", metavar="FILE", help="authority of its certificate; default: the system's"
    )


def _provider(args: argparse.Namespace) -> OidcConfig | None:
    from ..dashboard.oidc_config import OidcConfig, read_secret, roles_of

    if not args.oidc_issuer:
        return None
    if not args.oidc_secret_file:
        raise ConfigError("--oidc-issuer: it needs --oidc-secret-file")
    return OidcConfig(
        args.oidc_issuer,
        args.oidc_client_id,
        read_secret(Path(args.oidc_secret_file)),
        roles_of(args.oidc_role),
        role_claim=args.oidc_role_claim,
        name_claim=args.oidc_name_claim,
        ca=Path(args.oidc_ca) if args.oidc_ca else None,
    )


def _prices(given: str | None) -> dict[str, Any]:
    """What the page reckons costs with, as `dashboard.gateway_panel.Prices` has it."""
    from ..planning import load_prices

    found = load_prices(given or share_file("config/prices.yaml"))
    return {
        "server_hour": found.server.price_hour,
        "received_gb": found.uplink_per_gb + found.ingress_per_gb,
        "currency": found.currency,
        "as_of": found.as_of,
    }


def _add_person(args: argparse.Namespace) -> int:
    from ..dashboard.people import People

    given = args.person_people or args.people
    path = Path(given) if given else _keys(args.person_keys or args.keys) / PEOPLE
    if sys.stdin.isatty():
        password = getpass.getpass(f"password of {args.name}: ")
        if password != getpass.getpass("once more: "):
            raise ConfigError("the passwords differ")
    else:
        password = sys.stdin.readline().rstrip("\n")
    People(path).add(args.name, args.role, password)
    print(f"{path}: {args.name} may log in as {args.role}")
    return 0


def _keys(given: str | None) -> Path:
    folder = given or os.environ.get("MASTRA_KEYS", "")
    if not folder:
        raise ConfigError("dashboard: no folder of keys; give --keys DIR or set MASTRA_KEYS")
    return Path(folder)
