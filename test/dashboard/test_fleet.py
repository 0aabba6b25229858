"""The gateway is asked once for all pages, and what it answers never ends the asking."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

pytest.importorskip("httpx")
from mastra_ros.dashboard import fleet as fleet_module
from mastra_ros.dashboard.fleet import HISTORY_EVERY_S, HISTORY_S, LOOKED_AT_S, Fleet
from mastra_ros.dashboard.gateway import GatewayError


class Answers:
    """A gateway that says what the test wants, and keeps what it was asked."""

    def __init__(self, **devices: Any) -> None:
        self.devices = devices
        self.entries: list[dict[str, Any]] = []
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.fault: Exception | None = None
        self.old = False

    async def get(self, path: str, **query: Any) -> Any:
        self.asked.append((path, query))
        if self.fault:
            raise self.fault
        if path == "/v1/devices":
            names = list(self.devices)[query["after"] : query["after"] + query["limit"]]
            after = query["after"] + len(names)
            told = [{"device": name, **self.devices[name]} for name in names]
            if query.get("status") == "none" and not self.old:
                told = [{key: one[key] for key in one if key != "status"} for one in told]
            return {"devices": told, "next": str(after) if after < len(self.devices) else None}
        if path == "/v1/gateway":
            return {"frames": 7}
        since = query["since"]
        history = [one for one in self.entries if one["at_ns"] > since]
        return {"streams": [{"stream": "main", "history": history}]}


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def entry(at_s: float, told_s: float | None = None) -> dict[str, Any]:
    told_s = at_s if told_s is None else told_s
    return {"at_ns": int(at_s * 1e9), "status": {"at_ns": int(told_s * 1e9)}}


def poll(fleet: Fleet) -> None:
    asyncio.run(fleet._poll())


@pytest.mark.parametrize("old", [False, True], ids=["this gateway", "one that tells all"])
def test_what_a_device_has_told_stays_while_only_who_is_heard_is_asked_for(old: bool) -> None:
    answers = Answers(cam={"connected": True, "heard": True, "status": {"main": entry(1.0)}})
    answers.old = old
    fleet = Fleet(answers)  # type: ignore[arg-type]
    poll(fleet)
    told = fleet.devices["cam"].streams
    assert told == {"main": entry(1.0)["status"]}
    answers.devices["cam"]["heard"] = False
    asyncio.run(fleet._poll(full=False))
    assert fleet.devices["cam"].streams == told
    assert fleet.devices["cam"].state == "silent"
    asked = [query.get("status") for path, query in answers.asked if path == "/v1/devices"]
    assert asked == [None, "none"]


def test_a_thousand_devices_come_page_by_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet_module, "PAGE", 300)
    answers = Answers(**{f"cam-{n}": {"connected": n % 2 == 0} for n in range(1000)})
    fleet = Fleet(answers)  # type: ignore[arg-type]
    poll(fleet)
    assert len(fleet.devices) == 1000
    assert [query["after"] for _, query in answers.asked if query] == [0, 300, 600, 900]
    assert fleet.devices["cam-1"].state == "away"


def test_states_follow_the_heartbeat() -> None:
    answers = Answers(
        here={"connected": True, "heard": True},
        quiet={"connected": True, "heard": False},
        older={"connected": True},
        gone={"connected": False, "status": {"main": None}},
    )
    fleet = Fleet(answers)  # type: ignore[arg-type]
    poll(fleet)
    states = {name: one.state for name, one in fleet.devices.items()}
    assert states == {"here": "connected", "quiet": "silent", "older": "connected", "gone": "away"}
    assert fleet.devices["gone"].status == {}


def later(clock: Clock) -> None:
    clock.now_s += HISTORY_EVERY_S


def test_histories_are_asked_for_while_somebody_looks() -> None:
    clock, answers = Clock(), Answers(cam={"connected": True})
    fleet = Fleet(answers, clock)  # type: ignore[arg-type]
    poll(fleet)
    assert [path for path, _ in answers.asked] == ["/v1/devices", "/v1/gateway"]
    assert fleet.history("cam") == {}
    answers.entries = [entry(1000.0), entry(1001.0)]
    poll(fleet)
    later(clock)
    answers.entries += [entry(1002.0, told_s=1001.5)]
    poll(fleet)
    assert answers.asked[-1][1] == {"since": int(1001e9)}
    moments = [one.at_s for one in fleet.history("cam")["main"]]
    assert moments == [1000.0, 1001.0, 1001.5]
    clock.now_s += LOOKED_AT_S + 1
    poll(fleet)
    assert fleet._watched == {}


def test_between_the_newest_comes_with_the_list_of_all_devices() -> None:
    clock, answers = Clock(), Answers(cam={"connected": True})
    fleet = Fleet(answers, clock)  # type: ignore[arg-type]
    fleet.history("cam")
    answers.entries = [entry(1000.0)]
    poll(fleet)
    for n in range(1, 4):
        clock.now_s += 1.0
        answers.devices["cam"]["status"] = {"main": entry(1000.0 + n)}
        poll(fleet)
        poll(fleet)
    assert sum(path.endswith("/status") for path, _ in answers.asked) == 1
    moments = [one.at_s for one in fleet.history("cam")["main"]]
    assert moments == [1000.0, 1001.0, 1002.0, 1003.0]


def test_what_the_list_skips_comes_with_the_history() -> None:
    clock, answers = Clock(), Answers(cam={"connected": True})
    fleet = Fleet(answers, clock)  # type: ignore[arg-type]
    fleet.history("cam")
    answers.entries = [entry(1000.0)]
    poll(fleet)
    answers.entries += [entry(1001.0), entry(1001.9)]
    answers.devices["cam"]["status"] = {"main": entry(1001.9)}
    poll(fleet)
    later(clock)
    poll(fleet)
    moments = [one.at_s for one in fleet.history("cam")["main"]]
    assert moments == [1000.0, 1001.0, 1001.9]


def test_what_a_device_tells_of_a_cut_afterwards_is_filled_in_on_an_open_page() -> None:
    clock, answers = Clock(), Answers(cam={"connected": True})
    fleet = Fleet(answers, clock)  # type: ignore[arg-type]
    fleet.history("cam")
    answers.entries = [entry(1000.0), entry(1001.0)]
    poll(fleet)
    # The newest comes first after a cut, and then what was.
    answers.entries += [entry(1030.0)]
    later(clock)
    fleet.history("cam")
    poll(fleet)
    answers.entries += [entry(1000.0 + n) for n in range(2, 30)]
    later(clock)
    poll(fleet)
    moments = [one.at_s for one in fleet.history("cam")["main"]]
    assert moments == [1000.0 + n for n in range(31)]


def test_a_hole_that_nobody_fills_is_not_asked_for_for_ever() -> None:
    clock, answers = Clock(), Answers(cam={"connected": True})
    fleet = Fleet(answers, clock)  # type: ignore[arg-type]
    fleet.history("cam")
    answers.entries = [entry(1000.0), entry(1030.0), *(entry(1030.0 + n) for n in range(1, 120))]
    poll(fleet)
    later(clock)
    poll(fleet)
    assert answers.asked[-1][1] == {"since": int(1149e9)}


def test_a_device_whose_clock_is_wrong_is_placed_by_the_gateways_and_old_ones_go() -> None:
    answers = Answers(cam={"connected": True})
    fleet = Fleet(answers)  # type: ignore[arg-type]
    fleet.history("cam")
    answers.entries = [entry(1000.0, told_s=5.0), entry(2000.0, told_s=9e9), entry(2001.0)]
    poll(fleet)
    assert [one.at_s for one in fleet.history("cam")["main"]] == [2000.0, 2001.0]
    assert HISTORY_S < 2001.0 - 1000.0


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (GatewayError("the gateway does not answer (ConnectError)"), "does not answer"),
        (KeyError("devices"), "not understood"),
    ],
)
def test_what_goes_wrong_is_told_and_got_over(
    monkeypatch: pytest.MonkeyPatch, fault: Exception, told: str
) -> None:
    monkeypatch.setattr(fleet_module, "POLL_S", 0.0)
    answers = Answers(cam={"connected": True})
    answers.fault = fault
    fleet = Fleet(answers)  # type: ignore[arg-type]

    async def work() -> None:
        fleet.look()
        polling = asyncio.ensure_future(fleet.run())
        await fleet.changed.wait()
        assert told in fleet.problem
        answers.fault = None
        while fleet.problem:
            await fleet.changed.wait()
        assert "cam" in fleet.devices
        polling.cancel()
        await asyncio.gather(polling, return_exceptions=True)

    asyncio.run(work())


def test_nobody_asks_the_gateway_while_nobody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet_module, "POLL_S", 0.0)
    clock, answers = Clock(), Answers(cam={"connected": True})
    fleet = Fleet(answers, clock)  # type: ignore[arg-type]

    async def work() -> None:
        polling = asyncio.ensure_future(fleet.run())
        await asyncio.sleep(0)
        assert answers.asked == []
        await fleet.fresh()
        assert fleet.devices["cam"].connected
        assert fleet.state == {"frames": 7}
        clock.now_s += LOOKED_AT_S + 1
        for _ in range(100):  # what is under way ends
            await asyncio.sleep(0)
        asked = len(answers.asked)
        for _ in range(100):
            await asyncio.sleep(0)
        assert len(answers.asked) == asked
        answers.devices["other"] = {"connected": False}
        await fleet.fresh()
        assert set(fleet.devices) == {"cam", "other"}
        polling.cancel()
        await asyncio.gather(polling, return_exceptions=True)

    asyncio.run(work())


def test_an_older_gateway_that_tells_nothing_of_itself_hides_no_device() -> None:
    answers = Answers(cam={"connected": True})

    async def get(path: str, **query: Any) -> Any:
        if path == "/v1/gateway":
            raise GatewayError("there is nothing at '/v1/gateway'")
        return await Answers.get(answers, path, **query)

    answers.get = get  # type: ignore[method-assign]
    fleet = Fleet(answers)  # type: ignore[arg-type]
    poll(fleet)
    assert fleet.devices["cam"].connected
    assert fleet.state == {}


def test_numbers_are_news_once_a_second_and_a_device_that_goes_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fleet_module, "POLL_S", 0.0)
    answers = Answers(cam={"connected": True})
    fleet = Fleet(answers)  # type: ignore[arg-type]

    async def polled() -> None:
        await fleet.changed.wait()

    async def work() -> None:
        fleet.look()
        polling = asyncio.ensure_future(fleet.run())
        await polled()
        seen = [fleet.news]
        for connected in (True, True, False, False):  # only every second one is whole
            answers.devices["cam"] = {"connected": connected}
            await polled()
            seen.append(fleet.news)
        polling.cancel()
        await asyncio.gather(polling, return_exceptions=True)
        assert seen == [1, 1, 2, 3, 4]

    asyncio.run(work())


def test_a_thousand_devices_are_asked_for_once_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    many = Answers(**{f"cam-{n}": {"connected": True} for n in range(1000)})
    fleet = Fleet(many)  # type: ignore[arg-type]

    ours, others = threading.get_ident(), asyncio.sleep

    async def sleep(seconds: float) -> None:
        if threading.get_ident() != ours:  # pages of other tests, in their own loop
            await others(seconds)
            return
        waits.append(seconds)
        if len(waits) == 3:
            raise asyncio.CancelledError

    monkeypatch.setattr(fleet_module.asyncio, "sleep", sleep)

    async def work() -> None:
        fleet.look()
        await fleet.run()

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(work())
    assert waits == [0.5, 1.0, 1.0]  # at first nobody knows how many there are
    assert fleet.news == 3
