"""Traffic at a real gateway: records in its store, flow over HTTP, figures, and plans."""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from mastra_ros.gateway.embedded import EmbeddedGateway
from mastra_ros.gateway.records import RecordBatch, SqliteRecordStore
from mastra_ros.pipeline.traffic.events import Crossing, LanePresence, Presence
from mastra_ros.pipeline.traffic.junction.records import junction_record
from mastra_ros.protocol.clients import add_client, client_audience, load_client_key
from mastra_ros.protocol.keys import audience_of, load_device_key
from mastra_ros.protocol.records import RecordItem
from mastra_ros.protocol.tokens import sign_token
from mastra_ros.records import Record
from test.pipeline.traffic.crossroads import SIDES, crossroads

S = 10**9
Get = Callable[..., httpx.Response]


def told() -> list[Record]:
    """A minute of one camera."""
    records = [junction_record(crossroads(), S)]
    for second in range(60, 121, 5):
        lanes = tuple(LanePresence(name, 3, 2, visible_m=100.0) for name in SIDES)
        records.append(Presence(second * S, 5000.0, lanes).to_record())
    for second in (60, 70, 80):
        event = Crossing(second * S, second, "stop", "n", "in", "bus", speed_kmh=30.0)
        records.append(event.to_record())
    return records


@pytest.fixture(scope="module")
def get(
    tmp_path_factory: pytest.TempPathFactory,
    keys: Path,
    tls: ssl.SSLContext,
    start_gateway: Callable[..., EmbeddedGateway],
) -> Iterator[Get]:
    """Asks a gateway whose application has seen it all, as a client or as a device."""
    state = tmp_path_factory.mktemp("traffic") / "state"
    store = SqliteRecordStore(state)
    for device in ("cam-1", "cam-2"):
        kinds: dict[str, int] = {}
        for record in told():
            seq = kinds[record.kind] = kinds.get(record.kind, 0) + 1
            item = RecordItem(record.kind, seq, seq - 1, record.stamp_ns, record.packed())
            done = store.commit(RecordBatch(device, "main", "0" * 16, (item,))).result(60)
            assert done.new == 1
    store.close()
    add_client(keys, "tom", "reader")
    gateway = start_gateway(state, applications=("traffic",))
    with httpx.Client(base_url=gateway.url, verify=tls, timeout=120) as client:

        def ask(path: str, who: str = "tom") -> httpx.Response:
            if who == "tom":
                token = sign_token(who, load_client_key(keys, who), client_audience(keys))
            else:
                token = sign_token(who, load_device_key(keys, who), audience_of(keys))
            return client.get(path, headers={"Authorization": f"Bearer {token}"})

        yield ask


def test_a_client_reads_the_flow_of_all_cameras(get: Get) -> None:
    answer = get("/v1/traffic/flow?interval_s=60")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    cameras = answer.json()["cameras"]
    assert [one["device"] for one in cameras] == ["cam-1", "cam-2"]
    rows = {(row["from_ns"], row["lane"]): row for row in cameras[0]["lanes"]}
    row = rows[60 * S, "n"]
    assert (row["count"], row["types"], row["seen"]) == (3, {"bus": 3}, 1.0)
    assert (row["flow_per_h"], row["headway_s"], row["queue_max"]) == (180.0, 10.0, 2)


def test_a_device_reads_its_own_alone(get: Get) -> None:
    told = get("/v1/traffic/flow", "cam-1").json()["cameras"]
    assert [one["device"] for one in told] == ["cam-1"]
    assert get("/v1/traffic/flow?device=cam-2", "cam-1").status_code == 403


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/traffic/flow?interval_s=61", 400),
        ("/v1/traffic/flow?nothing=1", 400),
        (f"/v1/traffic/flow?lane={'x' * 3000}", 400),
        ("/v1/traffic/elsewhere", 404),
        ("/v1/traffic", 404),
        ("/v1/trafficx/flow", 403),
        ("/v1/factory/flow", 403),
    ],
)
def test_what_cannot_be_answered_is_said(get: Get, path: str, status: int) -> None:
    answer = get(path)
    assert answer.status_code == status
    assert answer.json()["error"]


def test_without_a_token_nothing_is_told(get: Get, tls: ssl.SSLContext) -> None:
    url = get("/v1/traffic/signals").request.url
    assert httpx.get(url, verify=tls).status_code == 401


def test_figures_and_plans_are_there(get: Get) -> None:
    junctions = get("/v1/traffic/signals").json()["junctions"]
    assert [(one["junction"], one["plans"] > 0) for one in junctions] == [("crossroads", True)] * 2
    text = get("/metrics").text
    assert 'mastra_traffic_crossings_total{device="cam-1",stream="main",type="bus"} 3.0' in text
    plans = get("/v1/artefacts?kind=signal_plan&device=cam-1").json()["artefacts"]
    assert len(plans) == 1
    data = get(f"/v1/artefacts/{plans[0]['id']}/data").content
    assert json.loads(data)["stamp_ns"] == 120 * S
