"""Alarms: told once a change, by a webhook that is called over TLS; rules name what there is."""

from __future__ import annotations

import json
import re
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from mastra_ros.errors import ConfigError
from mastra_ros.gateway.alarms import KINDS, Alarm, AlarmStates, Webhook
from mastra_ros.gateway.alarms.states import Dropping, faults_of
from mastra_ros.gateway.embedded import EmbeddedGateway
from mastra_ros.gateway.metrics import Metrics

ROOT = Path(__file__).resolve().parents[3]


def test_an_alarm_is_told_once_when_it_begins_and_once_when_it_ends() -> None:
    states = AlarmStates()
    silent = {("silent", "cam-1"): "not heard for 3 s"}
    (raised,) = states.update(silent, 1.0)
    assert raised == Alarm("silent", "cam-1", "raised", "not heard for 3 s", 1.0)
    assert states.update({("silent", "cam-1"): "not heard for 4 s"}, 2.0) == []
    assert states.counts()["silent"] == 1
    both = states.update({**silent, ("cut", "cam-2"): "x" * 900}, 3.0)
    assert [(one.kind, len(one.text)) for one in both] == [("cut", 200)]
    assert {one.state for one in states.update({}, 4.0)} == {"cleared"}
    assert set(states.counts()) == set(KINDS)


def test_what_a_status_says_is_wrong() -> None:
    assert faults_of({}) == {}
    assert faults_of({"privacy": {"mode": "mask", "open": True}}) == {}
    assert "gate" in faults_of({"privacy": {"mode": "mask", "open": False}})
    error = {"level": "error", "message": "records: no space left"}
    assert faults_of({"diagnostics": {"bridge": error}}) == {"disk": "records: no space left"}
    dropping = Dropping()
    counts = [dropping.look("a", "main", {"spool": {"dropped": n}}) for n in (7, 7, 9, 9, 0, 1)]
    assert counts == [0, 0, 2, 0, 0, 1]


class Receiver:
    """A server that notes what is posted to it, and answers by `statuses`, then 200."""

    def __init__(self, keys: Path | None) -> None:
        self.told: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.statuses: list[int] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = outer.statuses.pop(0) if outer.statuses else 200
                outer.paths.append(self.path)
                if status == 200:
                    outer.told.append(json.loads(body))
                self.send_response(status)
                self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        if keys is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(keys / "server.crt", keys / "server.key")
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        scheme = "http" if keys is None else "https"
        self.url = f"{scheme}://127.0.0.1:{self.server.server_port}/hook?key=secret"
        self._thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self._thread.join()


@pytest.fixture
def receiver(keys: Path) -> Iterator[Receiver]:
    made = Receiver(keys)
    yield made
    made.close()


def alarm(number: int = 1) -> Alarm:
    return Alarm("cut", f"cam-{number}", "raised", "it has no session", 5.0)


def until(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


def test_a_call_is_tried_again_and_the_address_is_in_no_log(
    keys: Path, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    outcomes: list[str] = []
    hook = Webhook(receiver.url, ca=str(keys / "ca.crt"), on_call=outcomes.append, pause_s=0.01)
    receiver.statuses = [500, 429]
    hook.tell(alarm())
    until(lambda: outcomes == ["delivered"])
    assert receiver.told == [alarm().to_plain()]
    assert receiver.paths == ["/hook?key=secret"] * 3
    receiver.statuses = [500] * 5
    hook.tell(alarm(2))
    receiver.statuses.append(302)  # of the next one
    hook.tell(alarm(3))
    until(lambda: len(outcomes) == 3)
    assert outcomes[1:] == ["failed", "failed"]
    assert "/elsewhere" not in receiver.paths
    hook.close()
    assert "cam-2" in caplog.text
    assert "secret" not in caplog.text


def test_a_certificate_that_nobody_vouches_for_is_not_trusted(receiver: Receiver) -> None:
    outcomes: list[str] = []
    hook = Webhook(receiver.url, on_call=outcomes.append, pause_s=0.01)
    hook.tell(alarm())
    until(lambda: outcomes == ["failed"])
    hook.close()
    assert receiver.told == []


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/",
        "ftp://127.0.0.1/",
        "nonsense",
        "https://",
        "https://a:b@c/",
        "https://a:x/",
    ],
)
def test_addresses_that_would_not_do_are_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="alarm_webhook"):
        Webhook(url)


def test_a_device_that_goes_is_told_of_once_and_that_it_is_back(
    keys: Path,
    receiver: Receiver,
    tmp_path: Path,
    start_gateway: Callable[..., EmbeddedGateway],
    connect_device: Callable[..., Any],
) -> None:
    gateway = start_gateway(
        tmp_path / "state", alarm_webhook=receiver.url, alarm_ca=str(keys / "ca.crt")
    )
    device = connect_device(gateway, stream="alarmed")
    device.websocket.close()

    def told() -> set[tuple[str, str]]:
        return {(one["kind"], one["state"]) for one in receiver.told}

    until(lambda: {("cut", "raised"), ("silent", "raised")} <= told())
    assert len(receiver.told) == 2
    connect_device(gateway, stream="alarmed")
    until(lambda: {("cut", "cleared"), ("silent", "cleared")} <= told())
    assert len(receiver.told) == 4
    assert {one["device"] for one in receiver.told} == {"cam-1"}


def test_rules_and_dashboard_name_metrics_that_there_are() -> None:
    metrics = Metrics()
    metrics.on_alarms(dict.fromkeys(KINDS, 0))
    known = set(re.findall(r"# TYPE (\S+) (\S+)", metrics.text().decode()))
    names = {name for name, _ in known}
    names |= {f"{name}_total" for name, kind in known if kind == "counter"}
    ends = ("bucket", "sum", "count")
    names |= {f"{name}_{end}" for name, kind in known if kind == "histogram" for end in ends}
    rules = (ROOT / "deploy" / "prometheus_rules.yaml").read_text("utf-8")
    board = (ROOT / "deploy" / "grafana_dashboard.json").read_text("utf-8")
    for text in (rules, board):
        used = set(re.findall(r"mastra_gateway_\w+", text))
        assert len(used) > 3
        assert used <= names, used - names
    (group,) = yaml.safe_load(rules)["groups"]
    told = {kind for rule in group["rules"] for kind in re.findall(r'kind="(\w+)"', rule["expr"])}
    assert told == set(KINDS)
    panels = json.loads(board)["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
