"""What a page shows of what devices tell: an absent sensor is absent, and a cut a band."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest

from bench.dashboard_scene import status
from mastra_ros.dashboard import rollout_views, texts, views
from mastra_ros.dashboard.device_facts import facts
from mastra_ros.dashboard.fleet import Device, Sample

FOLDER = Path(views.__file__).parent


def samples(*statuses: dict[str, Any], begin_s: float = 1000.0) -> list[Sample]:
    return [Sample(begin_s + place, one) for place, one in enumerate(statuses)]


def of(told: dict[str, Any], **more: Any) -> Device:
    options = {"connected": True, "heard": True, "last_seen_s": 999.0, "streams": {"main": told}}
    return Device("cam-1", **{**options, **more})


UP, DOWN = {"link": {"connected": True}}, {"link": {"connected": False}}


def test_a_cut_lasts_from_the_first_status_that_tells_of_it_to_the_next_that_does_not() -> None:
    assert views.cuts(samples(UP, DOWN, DOWN, UP, {}, DOWN)) == [(1001.0, 1003.0), (1005.0, 1005.0)]
    assert views.cuts([]) == []
    assert views.cuts(samples(UP, {}, UP)) == []


def test_a_device_that_is_not_heard_is_cut_off_until_now() -> None:
    assert views.cuts(samples(UP, UP), 1030.0) == [(1001.0, 1030.0)]
    assert views.cuts(samples(UP, DOWN), 1030.0) == [(1001.0, 1030.0)]
    (chart, *_) = views.device_charts(samples(status(1.0)), 1030.0, "en", silent=True)
    (band,) = chart["series"][0]["markArea"]["data"]
    assert (band[0]["xAxis"], band[1]["xAxis"]) == (1_000_000.0, 1_030_000.0)
    assert "link down" in views.said(chart, "en")


def test_a_missing_sensor_is_absent_and_not_nought() -> None:
    bare = {"route": {"now": "local"}}
    row = views.fleet_row(of(bare), 1000.0, "en")
    assert (row["temperature"], row["cpu"], row["age"], row["seen"]) == ("", "", "", "1 s")
    titles = [one["title"]["text"] for one in views.device_charts(samples(bare), 1001.0, "en")]
    assert "Temperature (°C)" not in titles
    assert facts(of(bare), "en") == [("Route", "local")]
    full = [one["title"]["text"] for one in views.device_charts(samples(status(1)), 1001.0, "en")]
    assert "Temperature (°C)" in full
    assert views.fleet_row(of({"load": {"cpu": 0.0}}), 1000.0, "en")["cpu"] == "0 %"


def test_everything_that_a_device_tells_of_itself_is_above_its_charts() -> None:
    told = status(1.0, pipeline={"pass": 28, "reject": 1})
    told["models"]["split"] = {"inference_ms": {"p50": 3.0, "p99": 4.0}}
    told["spool"] |= {"packets": 3, "bytes": 42_000, "dropped": 2}
    told["link"] |= {"uploaded_bytes": 1_900_000_000}
    found = dict(facts(of(told), "en"))
    for name, value in {
        "Counted by the application": "pass 28, reject 1",
        "Codec, bytes a second": "jpeg-80 400.0 kB",
        "Packets in the spool": "3 42.0 kB",
        "Packets dropped": "2",
        "Sent": "1.9 GB",
        "Memory": "38 %",
        "Throttled": "no",
        "Split model p50 / p99": "3.0 / 4.0 ms",
        "Loss": "1 %",
        "Goodput": "18.4 Mbit/s",
        "Bundle": "board_defects 3f2a9c41d7e0",
    }.items():
        assert found[name] == value, name
    odd = {"pipeline": {"a": "b"}, "codecs": {"x": 3}, "spool": {"bytes": "many"}, "models": 3}
    assert facts(of(odd), "en") == []


def test_a_line_is_broken_where_nothing_was_told() -> None:
    told = {"link": {"rtt_ms": 3.0}}
    points = views.line([Sample(0.0, told), Sample(1.0, told), Sample(30.0, told)], "link.rtt_ms")
    assert [value for _, value in points] == [3.0, 3.0, None, 3.0]


def test_alarms_come_from_the_status_and_the_worst_first() -> None:
    told = {
        "link": {"connected": False},
        "privacy": {"open": False},
        "load": {"throttled": True},
        "diagnostics": {"camera": {"level": "error"}, "x": "of a newer version"},
    }
    assert views.alarms_of(of(told)) == ["error", "cut", "privacy", "throttled"]
    assert views.alarms_of(of({}, heard=False)) == ["silent"]
    assert set(views.alarms_of(of(told))) <= set(views.ALARMS)


def test_devices_are_found_by_words_of_name_state_version_and_bundle() -> None:
    fleet = [Device(f"cam-{n:04d}", n % 2 == 0, n % 4 == 0) for n in range(1000)]
    assert len(views.matching(fleet, "")) == 1000
    assert [one.name for one in views.matching(fleet, "CAM-0007")] == ["cam-0007"]
    assert len(views.matching(fleet, "", "away")) == 500
    assert len(views.matching(fleet, "cam silent")) == 250
    assert views.matching([of(status(1.0))], "0.1.0 board_defects connected")
    assert not views.matching([of(status(1.0))], "0.2.0")


def test_switches_are_told_once_and_the_newest_first() -> None:
    def switch(at: int) -> dict[str, Any]:
        return {"at_ns": at, "from": "cloud", "to": "local", "reason": "load"}

    told = [{"route": {"switches": [switch(1), switch(2)]}}, {"route": {"switches": [switch(2)]}}]
    assert [one["at_ns"] for one in views.switches(samples(*told))] == [2, 1]


@pytest.mark.parametrize(
    ("wanted", "settings", "shown"),
    [
        ({}, None, ""),
        ({}, {"values": {"x": 1}}, "On the device: 1"),
        ({"x": 2}, None, "Asked for: 2"),
        ({"x": 2}, {"values": {"x": 1}}, "Asked for: 2"),
        ({"x": 2}, {"values": {"x": 2}, "refused": {"x": "before"}}, "On the device: 2"),
        ({"x": 2}, {"values": {"x": 1}, "refused": {"x": "no"}}, "Refused by the device: no"),
        ({"x": 2}, "of a newer version", "Asked for: 2"),
        ({"x": [1]}, {"values": {}, "lists": {"x": [1]}}, "On the device: [1]"),
        ({"x": [1]}, {"values": 3, "lists": {"x": [2]}, "refused": []}, "Asked for: [1]"),
    ],
)
def test_what_the_device_did_with_a_setting_is_said(
    wanted: dict[str, Any], settings: Any, shown: str
) -> None:
    told = {} if settings is None else {"settings": settings}
    assert views.setting_state("x", wanted, told, "en") == shown


def test_a_list_stands_in_a_field_and_comes_back() -> None:
    for values in ([], [1, 2.5], ["a"]):
        assert views.as_list("x", views.as_text(values)) == values
    assert views.as_list("x", None) == []
    for wrong in ("1", "{}", "[1", "x"):
        with pytest.raises(ValueError, match="expected a list"):
            views.as_list("x", wrong)


def test_every_text_is_there_in_both_languages_with_the_same_values() -> None:
    for key, both in texts._TEXTS.items():
        assert len(both) == len(texts.LANGUAGES), key
        assert all(both), key
        named = [set(re.findall(r"{(\w+)}", one)) for one in both]
        assert named[0] == named[1], key
        if re.search(r"[a-z]{3}", both[0]) and not both[1].isascii():
            assert re.search(r"[\u4e00-\u9fff]", both[1]), key


def test_every_name_of_a_text_in_the_code_is_one_that_there_is() -> None:
    kinds = {key.partition(".")[0] for key in texts._TEXTS}
    used = set()
    for path in FOLDER.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if path.name != "texts.py" and isinstance(node, ast.Constant):
                value = str(node.value)
                if re.fullmatch(r"[a-z]+\.[a-z_0-9]+", value) and value.partition(".")[0] in kinds:
                    used.add(value)
    views_of_status = {one for one in used if one.partition(".")[0] in ("route", "link", "load")}
    assert used - views_of_status <= set(texts._TEXTS)
    for kind, names in {
        "alarm": views.ALARMS,
        "state": ("connected", "silent", "away"),
        "colours": ("auto", "light", "dark"),
        "rollout": (*rollout_views.PHASES, "paused"),
        "rolled": rollout_views.STATES,
    }.items():
        assert {f"{kind}.{name}" for name in names} <= set(texts._TEXTS)


WORDED = ("label", "button", "input", "switch", "notify", "link", "set_text", "number")


def test_the_pages_hold_no_words_of_one_language_alone() -> None:
    for name in ("pages.py", "settings_form.py", "rollout_page.py", "preview_panel.py"):
        for node in ast.walk(ast.parse((FOLDER / name).read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            if node.func.attr in WORDED:
                for value in node.args[:1]:
                    literal = value.value if isinstance(value, ast.Constant) else ""
                    assert literal in ("", "Mastra"), f"{name}:{node.lineno} {literal!r}"


def test_a_form_begins_with_what_the_device_has_and_not_with_what_is_declared() -> None:
    told = {"settings": {"values": {"scheduling.route": "local"}, "refused": {}, "live": {}}}
    assert views.in_force_of(told) == {}, "it was changed back at the device itself"
    told["settings"]["live"] = {"scheduling.route": "cloud"}
    assert views.in_force_of(told) == {"scheduling.route": "cloud"}
    assert views.in_force_of({"settings": {"values": {"a.b": 1}}}) == {"a.b": 1}, "an older device"
    assert views.in_force_of({"settings": 3}) == {}
    told["settings"]["live_lists"] = {"ultrasound.calipers": ["1,2 3,4"]}
    assert views.in_force_of(told)["ultrasound.calipers"] == ["1,2 3,4"]
