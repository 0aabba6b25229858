"""The gateway's half: plans from records, the same after a restart, and nothing hostile hurts."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mastra_ros.artefacts import Artefact
from mastra_ros.pipeline.application import Question, SeenRecord
from mastra_ros.pipeline.traffic.cloud.application import TrafficCloud
from mastra_ros.pipeline.traffic.events import (
    CameraState,
    Crossing,
    LanePresence,
    Presence,
    Turning,
)
from mastra_ros.pipeline.traffic.junction.guard import SignalGuard
from mastra_ros.pipeline.traffic.junction.plan import plan_of
from mastra_ros.pipeline.traffic.junction.records import (
    SignalState,
    junction_record,
    state_record,
)
from mastra_ros.records import Record, unpack_body
from test.pipeline.traffic.crossroads import SIDES, crossroads

S = 10**9


def seen(place: int, record: Record, stream: str = "main", device: str = "cam") -> SeenRecord:
    body = unpack_body(record.packed())
    return SeenRecord(place, device, stream, record.kind, record.stamp_ns, 0.0, body)


def presence(at_s: int, **lanes: int) -> Record:
    told = {**dict.fromkeys(SIDES, 0), **lanes}
    return Presence(
        at_s * S,
        1000.0,
        tuple(LanePresence(name, n, n, visible_m=100.0) for name, n in told.items()),
    ).to_record()


def an_hour_in_short() -> list[Record]:
    """What a device tells: its layout, lanes, crossings, turnings and what it shows."""
    told = [junction_record(crossroads(), 99 * S)]
    for second in range(100, 220):
        told.append(presence(second, n=second % 7, e=second % 11))
        if second % 3 == 0:
            to = "to-n-left" if second % 2 else "to-n-straight"
            told.append(Crossing(second * S, second, "stop", "n", "in", "car", 31.5).to_record())
            told.append(Turning(second * S, second, "n", to, "car").to_record())
        if second % 40 == 0:
            phase = "ew" if second % 80 else "ns"
            told.append(
                state_record(SignalState(second * S, "crossroads", phase, True, second * S))
            )
    return told


def run(app: TrafficCloud, told: list[Record], place: int = 0) -> list[Artefact]:
    answers = []
    for number, record in enumerate(told):
        answers += list(app.on_record(seen(place + number, record)))
    return [one for one in answers if isinstance(one, Artefact)]


def test_every_five_seconds_there_is_a_plan_for_the_device() -> None:
    plans = run(TrafficCloud(), an_hour_in_short())
    assert len(plans) == 24
    assert {(p.kind, p.name, p.keep, p.device, p.stream) for p in plans} == {
        ("signal_plan", "crossroads", "newest", "cam", "main")
    }
    last = plan_of(plans[-1].data)
    assert (last.stamp_ns, last.junction, plans[-1].expires_s) == (215 * S, "crossroads", 15.0)
    guard = SignalGuard(crossroads(), 215 * S)
    assert guard.offer(plans[-1].data, 216 * S) == ""


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 200))
def test_rebuilt_from_a_snapshot_and_the_records_after_it_is_the_same_to_the_bit(at: int) -> None:
    told = an_hour_in_short()
    whole = TrafficCloud()
    plans = run(whole, told)
    before, after = TrafficCloud(), TrafficCloud()
    first = run(before, told[:at])
    after.restore(before.snapshot())
    assert first + run(after, told[at:], at) == plans
    assert after.snapshot() == whole.snapshot()


def test_without_a_layout_there_is_flow_and_no_plan() -> None:
    app = TrafficCloud()
    assert not run(app, an_hour_in_short()[1:])
    (camera,) = app.on_get(Question("flow", {}))["cameras"]
    assert camera["turning"][0]["origin"] == "n"


def test_several_cameras_may_see_one_junction() -> None:
    app = TrafficCloud()
    layout = junction_record(crossroads(), 99 * S, cameras=("north", "other"))
    list(app.on_record(seen(1, layout)))
    for place, (stream, lanes) in enumerate((("north", "ns"), ("other", "ew"))):
        told = tuple(LanePresence(name, 2, 2) for name in lanes)
        event = Presence((100 + 5 * place) * S, 1000.0, told).to_record()
        answers = list(app.on_record(seen(2 + place, event, stream)))
    (plan,) = answers
    assert isinstance(plan, Artefact)
    assert plan.stream == "main"
    junctions = app.on_get(Question("signals", {}))["junctions"]
    assert set(junctions[0]["lanes"]) == set(SIDES)


def test_while_its_camera_has_moved_a_junction_gets_no_plan() -> None:
    app = TrafficCloud()
    told = [junction_record(crossroads(), 0), CameraState(S, "moved").to_record()]
    assert not run(app, [*told, presence(2, n=3)])
    assert run(app, [CameraState(3 * S, "sees").to_record(), presence(4, n=3)])


def test_a_device_asks_about_itself_alone() -> None:
    app = TrafficCloud()
    for place, device in enumerate(("one", "two")):
        list(app.on_record(seen(place, presence(100, n=2), device=device)))
    for question, devices in (
        (Question("flow", {}), ["one", "two"]),
        (Question("flow", {"device": "two"}), ["two"]),
        (Question("flow", {}, "one"), ["one"]),
        (Question("flow", {"stream": "nobody"}), []),
    ):
        told = app.on_get(question)["cameras"]
        assert [one["device"] for one in told] == devices


@pytest.mark.parametrize(
    "query",
    [
        {"interval_s": "61"},
        {"interval_s": "30"},
        {"interval_s": "-60"},
        {"interval_s": "sixty"},
        {"from_ns": "1e9"},
        {"to_ns": "9" * 19},
        {"unknown": "1"},
    ],
)
def test_a_question_that_makes_no_sense_is_refused(query: dict[str, str]) -> None:
    app = TrafficCloud()
    run(app, an_hour_in_short()[:9])
    with pytest.raises(ValueError, match=next(iter(query))):
        app.on_get(Question("flow", query))


PLAIN = st.one_of(
    st.none(), st.booleans(), st.integers(-9, 9), st.floats(-9, 9), st.text(max_size=3)
)
BODIES = st.dictionaries(
    st.sampled_from(
        ("junction", "phases", "movements", "static", "lanes", "lane", "track", "state", "phase",
         "green", "since_ns", "window_ms", "type", "policy", "parameters", "cameras", "line")
    ),
    st.recursive(PLAIN, lambda inner: st.lists(inner, max_size=3), max_leaves=5),
)  # fmt: skip


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(TrafficCloud.kinds), BODIES), max_size=10))
def test_records_that_make_no_sense_are_counted_and_change_nothing(
    told: list[tuple[str, dict[str, Any]]],
) -> None:
    app = TrafficCloud()
    run(app, an_hour_in_short()[:20])
    for place, (kind, body) in enumerate(told):
        list(app.on_record(SeenRecord(100 + place, "cam", "main", kind, 150 * S, 0.0, body)))
    again = TrafficCloud()
    again.restore(app.snapshot())
    assert again.snapshot() == app.snapshot()
    assert list(app.on_record(seen(200, presence(300, n=1))))


def test_what_is_told_fits_json_and_prometheus() -> None:
    app = TrafficCloud()
    run(app, an_hour_in_short())
    for path in app.paths:
        json.dumps(app.on_get(Question(path, {})), allow_nan=False)
    figures = {(one.name, one.labels.get("lane")): one.value for one in app.figures()}
    assert figures["crossings", None] == 40
    assert figures["plans", None] == 24
    assert figures["queue_vehicles", "n"] == 6
