"""Rows of clients that steer: what they ask for locks no device out and fails no request."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator

import httpx

from mastra_ros.protocol.clients import add_client, client_audience, load_client_key
from mastra_ros.protocol.tokens import sign_token

from . import client
from .healthy import tls_of
from .row import Record, row
from .site import ATTACKERS, Site, Sites, wait_until

SETTINGS, REQUESTS = "1 settings", "10 requests"
OPERATOR = "olga"
Asked = tuple[str, str, bytes]
"""Method, path and body."""


def _ask(site: Site, asked: Iterator[Asked]) -> Iterator[tuple[Asked, httpx.Response]]:
    """Each answer to an operator; a line of it."""
    if not (site.keys / "clients" / f"{OPERATOR}.pub").exists():
        add_client(site.keys, OPERATOR, "operator")
    key, audience = load_client_key(site.keys, OPERATOR), client_audience(site.keys)

    def ask(method: str, path: str, body: bytes = b"") -> httpx.Response:
        headers = {"Authorization": f"Bearer {sign_token(OPERATOR, key, audience)}"}
        return http.request(method, path, headers=headers, content=body)

    with httpx.Client(
        base_url=f"https://127.0.0.1:{site.port}", verify=tls_of(site.keys), timeout=20.0
    ) as http:
        wait_until(lambda: ask("GET", "/v1/settings").status_code == 200)
        for one in asked:
            yield one, ask(*one)


def _none_is_our_fault(sites: Sites, record: Record, asked: Iterator[Asked]) -> None:
    site = sites.site()
    with site.watched(record, least_s=sites.least_s):
        for (method, path, body), answer in _ask(site, asked):
            record.attempts += 1
            good = answer.status_code < 500 and len(answer.content) < 2**20
            record.expect(good, f"{method} {path:.60} {body[:60]!r} got {answer.status_code}")


@row(SETTINGS, "wishes of an operator that no message can carry")
def too_long(sites: Sites, record: Record) -> None:
    """What is kept is said in each welcome: one that could not be sent would end every session."""
    site = sites.site()
    device = ATTACKERS[2]
    wishes: list[dict[str, object]] = [
        {"ultrasound.tgc_db": "1," * 2500},
        {"ultrasound.tgc_db": "\ud800"},
        {"ultrasound.calipers": ["1,1 2,2"] * 500},
        {"ultrasound.calipers": ["1" * 5000]},
        {"scheduling.policy": "x" * 5000},
        {"compression.quality": 10**400},
        {f"nobody.{n}": n for n in range(64)},
    ]
    path = f"/v1/devices/{device}/settings"
    asked = [("PATCH", path, json.dumps({"values": wish}).encode()) for wish in wishes]

    async def comes_in() -> None:
        async with client.session(site, device, "steered"):
            pass

    with site.watched(record, least_s=sites.least_s):
        for (_, _, body), answer in _ask(site, iter(asked)):
            record.attempts += 1
            record.expect(answer.status_code == 422, f"{body[:60]!r} got {answer.status_code}")
            client.run(comes_in())


@row(REQUESTS, "changes and roll-outs of clients that make no sense")
def senseless_changes(sites: Sites, record: Record) -> None:
    """Each is refused in a line, and the audit that tells of them can be read."""
    names = ("compression.quality", "x", "\\ud800", "a\\nb", "", "\\u0000", "x" * 300, "gateway.x")
    values = (
        "1" + "0" * 4299,
        "1e999",
        "NaN",
        '"\\ud800"',
        "[1]",
        '{"a":1}',
        '"' + "x" * 5000 + '"',
    )
    bodies = [f'{{"values":{{"{n}":{v}}}}}'.encode() for n, v in itertools.product(names, values)]
    bodies += [b"", b"[" * 10_000, b'{"values":[]}', b"\xff", b'"\\ud800"', b"{}"]
    odd = ('"..%2f"', '"\\ud800"', "1e999", "null", "[]", '"a\\u0000b"', "1" + "0" * 400)
    bundles = [
        f'{{"bundle":{n},"labels_fit":{v}}}'.encode() for n, v in itertools.product(odd, odd)
    ]
    path = f"/v1/devices/{ATTACKERS[0]}/settings"
    asked = [("PATCH", path, body) for body in bodies[:: sites.many(4, 1)]]
    asked += [("POST", "/v1/rollouts", body) for body in [*bodies, *bundles][:: sites.many(6, 1)]]
    asked += [("POST", f"/v1/rollouts/{n}/back", b"{}") for n in ("0", "9" * 30, "x")]
    _none_is_our_fault(sites, record, iter([*asked, ("GET", "/v1/audit?limit=1000", b"")]))


@row(REQUESTS, "questions of clients with odd places, numbers and names")
def senseless_questions(sites: Sites, record: Record) -> None:
    """Of records, artefacts, roll-outs, devices and the audit."""
    paths = (
        *("audit", "records", "artefacts", "rollouts", "devices", "devices/evil-1/status"),
        *("devices/evil-1/picture", "devices/%00/status", "devices/%ED%A0%80/settings"),
        *("devices/..%2f../status", f"artefacts/{'9' * 30}/data", "artefacts/x/data"),
    )
    numbers = ("-1", "9" * 20, "%D9%A1", "1e3", "", "nan", str(2**63), "%00", "x" * 5000)
    names = ("after", "limit", "device", "stream", "kind", "since_ns", "stamp_ns")
    asked = [
        ("GET", f"/v1/{path}?{name}={number}", b"")
        for path, name, number in itertools.product(paths, names, numbers)
    ]
    _none_is_our_fault(sites, record, iter(asked[:: sites.many(12, 2)]))
