"""What a page shows of a roll-out: its stage, the soak that is left, each device, and why."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

pytest.importorskip("httpx")
from mastra_ros.dashboard import rollout_views as views
from mastra_ros.dashboard.fleet import Device
from mastra_ros.dashboard.gateway import GatewayError
from mastra_ros.dashboard.rollouts import Rollouts
from mastra_ros.gateway.steering import Rollout, to_plain

NEW, OLD = "b" * 64, "a" * 64
DEVICES = tuple(f"cam-{n}" for n in range(30))


def told(**changes: Any) -> dict[str, Any]:
    """As the gateway tells it."""
    plain = to_plain(Rollout(3, "boards-2", "boards", "2", NEW, DEVICES, "olga", 1000.9, soak_s=60))
    return {**plain, **changes}


def having(digest: str, **bundle: Any) -> Device:
    streams = {"main": {"bundle": {"digest": digest, **bundle}}}
    return Device("cam-0", connected=True, heard=True, streams=streams)


@pytest.mark.parametrize(
    ("stage", "shown"),
    [(0, "1 of 4: 1 of 30"), (1, "2 of 4 (10 %): 3 of 30"), (3, "4 of 4 (100 %): 30 of 30")],
)
def test_the_stage_and_how_many_devices_that_are_as_the_gateway_reckons(
    stage: int, shown: str
) -> None:
    one = told(stage=stage)
    assert views.stage(one, "en") == f"Stage {shown} devices"
    given = Rollout(3, "boards-2", "boards", "2", NEW, DEVICES, "olga", 1000.9, stage=stage)
    assert tuple(views.reached_by(one)) == given.reached


def test_the_soak_that_is_left() -> None:
    assert views.soak(told(soaking_s=1010.0), 1030.0, "en") == "40 s of soak left"
    assert views.soak(told(soaking_s=1010.0), 9999.0, "en") == "0 s of soak left"
    assert views.soak(told(soaking_s=0.0, soak_s=7200.0), 0.0, "en") == "2 h of soak left"
    assert "waits until all" in views.soak(told(), 1030.0, "en")
    for over in ({"phase": "done"}, {"phase": "back"}, {"paused": True}):
        assert views.soak(told(soaking_s=1010.0, **over), 1030.0, "en") == ""
    assert views.phase(told(paused=True), "en") == "paused"
    assert views.phase(told(phase="of a newer version"), "en") == "of a newer version"


MARK = "3.1000"
REFUSED = {"rollout": MARK, "refused": "labels differ"}


@pytest.mark.parametrize(
    ("changes", "device", "state"),
    [
        ({}, None, ("waiting", "")),
        ({}, having(OLD), ("waiting", "")),
        ({}, having(NEW), ("had", "")),
        ({"told": {"cam-0": 1.0}}, having(OLD), ("given", "")),
        ({"told": {"cam-0": 1.0}}, None, ("given", "")),
        ({"told": {"cam-0": 1.0}}, having(NEW), ("has", "")),
        ({"told": {"cam-0": 1.0}}, having(OLD, **REFUSED), ("refused", "labels differ")),
        ({"told": {"cam-0": 1.0}}, having(OLD, rollout="2.7", refused="x"), ("given", "")),
        ({"phase": "back", "told": {"cam-0": 1.0}}, having(NEW), ("leaving", "")),
        ({"phase": "rolled_back", "told": {"cam-0": 1.0}}, having(OLD), ("before", "")),
        ({"phase": "rolled_back", "told": {"cam-0": 1.0}}, None, ("unknown", "")),
        ({"phase": "rolled_back"}, having(NEW), ("untouched", "")),
    ],
)
def test_how_a_device_is_in_a_rollout(
    changes: dict[str, Any], device: Device | None, state: tuple[str, str]
) -> None:
    assert views.state_of(told(**changes), "cam-0", device) == state
    assert state[0] in views.STATES


def test_rows_name_each_device_with_what_is_known_of_it() -> None:
    one = told(told={"cam-0": 1.0}, switched={"cam-0": 1e9})
    fleet = {"cam-0": having(NEW, rollout=MARK, agreement=0.98)}
    first, second = views.device_rows(one, fleet, "en", 0, 2)
    assert (first["bundle"], first["agreement"], first["state"]) == ("in use", "98 %", "connected")
    assert first["since"].startswith("2001-09-")
    assert (second["name"], second["bundle"], second["state"]) == (
        "cam-1",
        "waits for its stage",
        "",
    )
    other = {"cam-0": having(NEW, rollout="2.7", agreement=0.98)}
    assert views.device_rows(one, other, "en", 0, 1)[0]["agreement"] == "", "of another roll-out"
    assert [row["name"] for row in views.device_rows(one, fleet, "en", 28, 50)] == [*DEVICES[28:]]


def test_what_an_older_or_newer_gateway_tells_breaks_nothing() -> None:
    for odd in ({}, {"stages": "x", "stage": "y", "devices": 3, "switched": None}, {"stages": []}):
        assert views.past_rows([odd], "en")[0]["bundle"] == ""
        assert views.stage(odd, "en") == ""
        assert views.device_rows(odd, {}, "en", 0, 50) == []
        assert views.share_switched(odd) == 0.0
    assert views.choices("of a newer version") == ({}, [])
    good, wrong = views.choices(
        [{"name": "a", "version": "2", "digest": NEW}, {"name": "b", "error": "no"}, 7, {"name": 3}]
    )
    assert (good, wrong) == ({"a": f"a 2 {NEW[:12]}"}, ["b: no"])


class Gateway:
    """Answers what it is told to, and counts."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.answer: Any = {"rollouts": [told()], "bundles": [], "now_s": 0.0}

    async def get(self, path: str, **query: Any) -> Any:
        self.asked.append((path, query))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def post(self, path: str, asked: Any, person: str) -> None:
        self.asked.append((path, asked, person))


def test_the_gateway_is_asked_once_for_all_pages_and_what_it_says_wrongly_is_told() -> None:
    gateway, now = Gateway(), [0.0]
    rollouts = Rollouts(gateway, lambda: now[0])  # type: ignore[arg-type]

    async def work() -> None:
        await asyncio.gather(*(rollouts.look() for _ in range(20)))
        assert len(gateway.asked) == 1
        assert abs(rollouts.now_s) < 60, "the gateway's clock counts"
        for wrong in (GatewayError("it is away"), {"bundles": 3}, []):
            now[0] += 1.0
            gateway.answer = wrong
            await rollouts.look()
            assert rollouts.problem
            assert len(rollouts.kept) == 1, "what was known is still shown"
        gateway.answer = {"rollouts": [], "bundles": []}
        await rollouts.move(3, "pause", "ada")
        assert gateway.asked[-2] == ("/v1/rollouts/3/pause", {}, "ada")
        assert (rollouts.problem, rollouts.kept) == ("", [])

    with ThreadPoolExecutor(1) as thread:  # the browser of other tests keeps a loop in this one
        thread.submit(asyncio.run, work()).result()
