"""Who may read what devices have told: clients all of it, a device its own, nobody else."""

from __future__ import annotations

import hashlib
import json
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from mastra_ros.artefacts import Artefact
from mastra_ros.errors import ConfigError
from mastra_ros.gateway.applications.keeping import Keeping
from mastra_ros.gateway.embedded import EmbeddedGateway
from mastra_ros.gateway.records import RecordBatch, SqliteRecordStore
from mastra_ros.gateway.sets import SetBatch, SqliteSetStore
from mastra_ros.gateway.sets.rows import SetQuery
from mastra_ros.protocol.clients import add_client, client_audience, load_client_key
from mastra_ros.protocol.keys import audience_of, load_device_key
from mastra_ros.protocol.records import RecordItem
from mastra_ros.protocol.tokens import sign_token
from mastra_ros.records import pack_body

Get = Callable[..., httpx.Response]


def leave_records(state: Path) -> None:
    store = SqliteRecordStore(state)
    for device in ("cam-1", "cam-2"):
        for kind in ("verdict", "event"):
            items = tuple(
                RecordItem(kind, n, n - 1, n * 10, pack_body({"n": n, "raw": b"\x00\xff"}))
                for n in range(1, 8)
            )
            store.commit(RecordBatch(device, "main", "0" * 16, items)).result(30)
    store.close()


def leave_sets(state: Path) -> None:
    """Of each device: `first` with three frames and its end, `second` with one, `gone`, closed."""
    store = SqliteSetStore(state)

    def put(device: str, name: str, seq: int, stamp_ns: int, data: bytes) -> None:
        item = RecordItem(name, seq, seq - 1, stamp_ns, hashlib.sha256(data).digest())
        store.commit(SetBatch(device, "main", "0" * 16, item, seq, data)).result(30)

    for device in ("cam-1", "cam-2"):
        for number in (1, 2, 3):
            put(device, "first", number, 100 * number, b"frame %d" % number)
        put(device, "first", 4, 0, b"")
        put(device, "second", 1, 1000, b"frame")
        put(device, "gone", 1, 5000, b"frame")
        store.close_set(device, "main", "gone")
        while not store.sets(SetQuery(device, closed=True)):
            pass
    store.close()


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The state of a gateway with records and artefacts of two devices."""
    folder = tmp_path_factory.mktemp("reading") / "state"
    leave_records(folder)
    leave_sets(folder)
    keeping = Keeping(folder)
    for place, device in enumerate(("cam-1", "cam-2")):
        made = Artefact("plan", "one", device.encode(), device=device, stream="main")
        keeping.put("test", made, place, 0)
    keeping.close()
    return folder


@pytest.fixture(scope="module")
def get(
    state: Path,
    keys: Path,
    tls: ssl.SSLContext,
    start_gateway: Callable[..., EmbeddedGateway],
) -> Iterator[Get]:
    """Asks, as a client, a device, or with any token."""
    add_client(keys, "ada", "reader")
    gateway = start_gateway(state, applications=())
    with httpx.Client(base_url=gateway.url, verify=tls, timeout=60) as client:

        def ask(path: str, who: str = "ada", *, token: str = "", **headers: str) -> httpx.Response:
            if not token and who == "ada":
                token = sign_token(who, load_client_key(keys, who), client_audience(keys))
            elif not token:
                token = sign_token(who, load_device_key(keys, who), audience_of(keys))
            return client.get(path, headers={"Authorization": f"Bearer {token}", **headers})

        yield ask


def test_a_client_reads_the_records_of_all_devices_page_by_page(get: Get) -> None:
    names, after, pages = [], "0", 0
    while after is not None:
        answer = get(f"/v1/records?limit=9&after={after}")
        assert answer.status_code == 200
        told = answer.json()
        names += [(one["device"], one["kind"], one["seq"]) for one in told["records"]]
        after, pages = told["next"], pages + 1
    assert pages == 4
    assert len(set(names)) == len(names) == 28
    first = get("/v1/records?limit=1").json()["records"][0]
    assert first["body"] == {"n": 1, "raw": {"base64": "AP8="}}
    assert first["stream"] == "main"


def test_records_are_filtered_by_device_stream_kind_and_time(get: Get) -> None:
    told = get("/v1/records?device=cam-2&stream=main&kind=event&from_ns=30&to_ns=50").json()
    assert [(one["device"], one["kind"], one["seq"]) for one in told["records"]] == [
        ("cam-2", "event", 3),
        ("cam-2", "event", 4),
    ]
    assert told["next"] is None
    assert get("/v1/records?stream=other").json()["records"] == []


def test_all_of_it_comes_a_line_each_where_that_is_asked_for(get: Get) -> None:
    answer = get("/v1/records?kind=verdict", Accept="application/x-ndjson")
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    assert len([json.loads(line) for line in answer.text.splitlines()]) == 14


def test_sets_are_told_with_what_is_kept_of_them_page_by_page(get: Get) -> None:
    names, after = [], "0"
    while after is not None:
        told = get(f"/v1/sets?limit=2&after={after}").json()
        assert len(told["sets"]) <= 2
        names += [(one["device"], one["name"], one["state"]) for one in told["sets"]]
        after = told["next"]
    states = {"first": "open", "second": "open", "gone": "closed"}
    assert names == [(d, n, s) for d in ("cam-1", "cam-2") for n, s in states.items()]
    first, *_, gone = get("/v1/sets?device=cam-2").json()["sets"]
    assert first == {
        "device": "cam-2",
        "stream": "main",
        "name": "first",
        "frames": 3,
        "bytes": 21,
        "first_stamp_ns": 100,
        "last_stamp_ns": 300,
        "ended": True,
        "state": "open",
        "begun_s": first["begun_s"],
        "closed_s": None,
    }
    assert gone["closed_s"] >= gone["begun_s"]
    lines = get("/v1/sets", Accept="application/x-ndjson").text.splitlines()
    assert len([json.loads(line) for line in lines]) == 6


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("state=open", ["first", "second"]),
        ("state=closed", ["gone"]),
        ("name=second", ["second"]),
        ("stream=other", []),
        ("from_ns=200&to_ns=300", ["first"]),
        ("from_ns=301&state=open", ["second"]),
        ("to_ns=100&state=open", []),
    ],
)
def test_sets_are_filtered_by_name_state_and_time(get: Get, query: str, names: list[str]) -> None:
    told = get(f"/v1/sets?device=cam-1&{query}").json()["sets"]
    assert [one["name"] for one in told] == names


def test_a_device_reads_its_own_sets_alone(get: Get) -> None:
    told = get("/v1/sets", "cam-1").json()["sets"]
    assert {one["device"] for one in told} == {"cam-1"}
    assert get("/v1/sets?device=cam-2", "cam-1").status_code == 403
    assert get("/v1/sets?state=ajar").status_code == 400
    assert get("/v1/sets?name=../x").status_code == 400


def test_a_device_reads_its_own_alone(get: Get) -> None:
    told = get("/v1/records?limit=1000", "cam-1").json()["records"]
    assert {one["device"] for one in told} == {"cam-1"}
    assert get("/v1/records?device=cam-2", "cam-1").status_code == 403
    assert [one["device"] for one in get("/v1/devices", "cam-1").json()["devices"]] == ["cam-1"]
    (mine,) = get("/v1/artefacts", "cam-1").json()["artefacts"]
    assert get(f"/v1/artefacts/{mine['id']}/data", "cam-1").content == b"cam-1"
    assert get(f"/v1/artefacts/{mine['id'] + 1}/data", "cam-1").status_code == 403
    assert get("/v1/artefacts/99/data", "cam-1").status_code == 404


def test_a_client_reads_artefacts_and_devices(get: Get) -> None:
    told = get("/v1/artefacts").json()["artefacts"]
    assert [(one["device"], one["kind"], one["size"]) for one in told] == [
        ("cam-1", "plan", 5),
        ("cam-2", "plan", 5),
    ]
    assert get(f"/v1/artefacts/{told[1]['id']}/data").content == b"cam-2"
    devices = get("/v1/devices").json()["devices"]
    seen = [(one["device"], one["connected"], one["streams"], one["heard"]) for one in devices]
    assert ("cam-1", False, [], False) in seen
    assert get("/metrics").status_code == 200


def test_artefacts_are_filtered_by_device_stream_kind_and_time(get: Get) -> None:
    first, second = get("/v1/artefacts").json()["artefacts"]
    made_ns = int(second["made_s"] * 1e9) + 1000  # a double holds no single ns
    for query, devices in {
        "device=cam-2&stream=main&kind=plan": ["cam-2"],
        "kind=report": [],
        "stream=other": [],
        f"from_ns={made_ns}": [],
        f"to_ns={made_ns}": ["cam-1", "cam-2"],
        f"to_ns={int(first['made_s'] * 1e9) - 1000}": [],
        f"from_ns=0&to_ns={made_ns}&device=cam-1": ["cam-1"],
    }.items():
        told = get(f"/v1/artefacts?{query}").json()
        assert [one["device"] for one in told["artefacts"]] == devices, query
    page = get("/v1/artefacts?limit=1").json()
    assert len(page["artefacts"]) == 1
    rest = get(f"/v1/artefacts?after={page['next']}").json()["artefacts"]
    assert [one["device"] for one in rest] == ["cam-2"]


def test_devices_are_filtered_by_device_stream_and_time(get: Get) -> None:
    for query, some in {
        "device=cam-2": True,
        "device=cam-2&stream=main": False,  # it was never heard
        "device=cam-2&from_ns=0": False,
        "device=nobody": False,
    }.items():
        assert bool(get(f"/v1/devices?{query}").json()["devices"]) == some, query


@pytest.mark.parametrize(
    "path",
    [
        "/v1/artefacts?from_ns=yesterday",
        "/v1/devices?to_ns=1.5",
        "/v1/records?limit=0",
        "/v1/records?limit=99999999999999999999",
        "/v1/records?limit=x",
        "/v1/records?after=-1",
        "/v1/records?from_ns=1e9",
        "/v1/records?device=../x",
        "/v1/records?kind=%00",
        "/v1/artefacts?stream=a%20b",
    ],
)
def test_a_question_that_makes_no_sense_is_one_line(get: Get, path: str) -> None:
    answer = get(path)
    assert answer.status_code == 400
    assert "expected" in answer.json()["error"]


@pytest.mark.parametrize("path", ["/v2", "/v1/stream", "/v1/records-of-others", "/nothing"])
def test_a_client_may_do_nothing_that_devices_do(get: Get, path: str) -> None:
    assert get(path).status_code == 403


def test_tokens_for_the_wrong_audience_or_by_the_wrong_key_are_refused(
    get: Get, keys: Path
) -> None:
    client, device = load_client_key(keys, "ada"), load_device_key(keys, "cam-1")
    wrong: list[Any] = [
        sign_token("ada", client, audience_of(keys)),
        sign_token("cam-1", device, client_audience(keys)),
        sign_token("ada", device, client_audience(keys)),
        sign_token("bob", client, client_audience(keys)),
        "a.b.c",
        "a." + "W1tb" * 500 + ".c",
    ]
    for token in wrong:
        assert get("/v1/records", token=token).status_code == 401


def test_a_client_whose_key_is_removed_is_out_at_once(get: Get, keys: Path) -> None:
    add_client(keys, "eve", "operator")
    token = sign_token("eve", load_client_key(keys, "eve"), client_audience(keys))
    assert get("/v1/devices", token=token).status_code == 200
    (keys / "clients" / "eve.pub").unlink()
    assert get("/v1/devices", token=token).status_code == 401


def test_keys_of_clients_are_made_once_and_for_a_role_that_there_is(
    tmp_path: Path, keys: Path
) -> None:
    with pytest.raises(ConfigError, match="reader, operator, admin"):
        add_client(keys, "carl", "king")
    add_client(keys, "carl", "reader")
    with pytest.raises(ConfigError, match="has keys already"):
        add_client(keys, "carl", "reader")
    with pytest.raises(ConfigError, match="expected a name"):
        add_client(keys, "../carl", "reader")
