"""A roll-out that goes back does so whenever it is asked for, and over restarts of the gateway."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from mastra_ros.artefacts import Artefact
from mastra_ros.config import GatewayConfig
from mastra_ros.gateway import latecomers
from mastra_ros.gateway import rolling as rolling_module
from mastra_ros.gateway.applications.keeping import Keeping
from mastra_ros.gateway.clients import CLIENT, Client
from mastra_ros.gateway.rollable import Rollable
from mastra_ros.gateway.rolling import APPLICATION, ARCHIVE, BACK, KIND, Rolling
from mastra_ros.gateway.statuses import Hearing, StatusBoard
from mastra_ros.gateway.steering import Rollout, SteeringBook
from mastra_ros.gateway.watching import Watching
from mastra_ros.inference import load_bundle
from mastra_ros.protocol.statuses import StatusReport
from mastra_ros.statuses import pack_status

ROOT = Path(__file__).parents[2]
NEW, OLD = "b" * 64, "a" * 64


class SlowBook(SteeringBook):
    """Once it is made `slow`, what it is given to keep next waits for `go_on`."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.slow = False
        self.began, self.go_on = threading.Event(), threading.Event()

    def keep_rollout(self, *values: Any, **options: Any) -> None:
        slow, self.slow = self.slow, False
        if slow:
            self.began.set()
            assert self.go_on.wait(60)
        super().keep_rollout(*values, **options)


class Site:
    """What a gateway keeps, and what it knows since it was started: at first nothing."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.book = SlowBook(folder)
        stack.callback(self.book.close)
        self.keeping = Keeping(folder)
        stack.callback(self.keeping.close)
        self.board, self.hearing = StatusBoard(), Hearing()
        self._told = 0

    def rolling(self, rollouts_dir: str = "") -> Rolling:
        return Rolling(
            *(GatewayConfig(rollouts_dir=rollouts_dir), self.book, self.keeping),
            Watching(self.board, self.hearing, lambda: None),
            served=lambda _: None,
            devices=lambda: ["cam-1"],
        )

    def given(self, **changes: Any) -> Rollout:
        """A roll-out that cam-1 was given, and has."""
        now_s = time.time()
        given = self.book.begin_rollout(
            lambda number: Rollout(
                *(number, "boards-2", "boards", "2", NEW, ("cam-1",), "olga", now_s),
                stages=(1.0,),
                soak_s=0.0,
                changed_s=now_s,
                told={"cam-1": now_s},
                switched={"cam-1": now_s},
            ),
            role="operator",
        )
        after = replace(given, **changes)
        self.book.keep_rollout(given, after, who="olga", role="operator", now_s=now_s)
        made = Artefact(
            *(KIND, given.name, b"a bundle"),
            version=given.mark,
            media_type=ARCHIVE,
            device="cam-1",
            stream="main",
        )
        assert self.keeping.put(APPLICATION, made, 2 * given.id, 0)
        return after

    def done(self, source: str, digest: str, *devices: str, **changes: Any) -> Rollout:
        """A roll-out that is done, and for which cam-1 was not there."""
        now_s = time.time()
        begun = self.book.begin_rollout(
            lambda number: Rollout(
                *(number, source, "boards", "2", digest, devices, "olga", now_s),
                stages=(1.0,),
                told=dict.fromkeys(devices, now_s),
            ),
            role="operator",
        )
        after = replace(begun, **{"phase": "done", **changes})
        self.book.keep_rollout(begun, after, who="gateway", role="gateway", now_s=now_s)
        return after

    @property
    def marks(self) -> list[str]:
        """Of which roll-outs something waits for the device."""
        waiting = self.keeping.undelivered("cam-1", "main", time.time(), 10)
        return [kept.version for kept in waiting]

    @property
    def outcomes(self) -> list[str]:
        """What the audit says of cam-1, the newest first."""
        return [row.outcome for row in self.book.audit("cam-1", 0, 100)]

    def hear(self, digest: str, device: str = "cam-1", name: str = "boards") -> None:
        self._told += 1
        body = pack_status({"bundle": {"name": name, "digest": digest}})
        report = StatusReport(1, self._told, body)
        assert self.board.take(device, "main", report, time.time()) is None
        self.hearing.saw(device, "main", time.time(), 60.0)

    @property
    def phase(self) -> str:
        return self.book.rollouts()[0].phase

    @property
    def left(self) -> list[str]:
        """What waits for the device, by its media type."""
        return self.waiting("cam-1")

    def waiting(self, device: str) -> list[str]:
        """The same, of any device."""
        waiting = self.keeping.undelivered(device, "main", time.time(), 10)
        return [kept.media_type for kept in waiting]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with ExitStack() as stack:
        yield Site(tmp_path / "state", stack)


def asker(
    rolling: Rolling, number: int, what: str = "back", role: str = "operator"
) -> Callable[[], Awaitable[httpx.Response]]:
    """Asks for the bundle of before, or for something else, as somebody with this role does."""
    inside = Starlette(routes=rolling.routes())

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await inside({**scope, CLIENT: Client("olga", role)}, receive, send)

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
            return await client.post(f"/v1/rollouts/{number}/{what}")

    return ask


def test_a_gateway_that_starts_again_takes_back_what_it_had_given_and_then_says_so(
    site: Site,
) -> None:
    site.given(phase="back", reason="asked by olga")
    rolling = site.rolling()
    asyncio.run(rolling.step())
    assert site.left == [BACK], "left for a device that has not come back yet"
    assert site.phase == "back"
    site.hear(NEW)
    asyncio.run(rolling.step())
    assert site.phase == "back"
    site.hear(OLD)
    asyncio.run(rolling.step())
    assert site.phase == "rolled_back"
    assert site.left == [BACK], "left once"


def test_a_device_that_stays_away_finds_it_taken_back_when_it_comes(site: Site) -> None:
    site.given(phase="back", reason="asked by olga", changed_s=time.time() - 1e6)
    asyncio.run(site.rolling().step())
    assert site.phase == "rolled_back"
    assert site.left == [BACK]


def test_what_is_asked_for_while_a_step_is_kept_is_not_lost(site: Site) -> None:
    given = site.given(soaking_s=0.0)
    site.hear(NEW)
    rolling = site.rolling()
    rolling._given.add((given.id, "cam-1", "main", "new"))  # by the steps before

    async def both() -> httpx.Response:
        site.book.slow = True
        step = asyncio.ensure_future(rolling.step())  # which finds that it is done
        await asyncio.to_thread(site.book.began.wait, 60)
        asked = asyncio.ensure_future(asker(rolling, given.id)())
        await asyncio.wait({asked}, timeout=1.0)  # no longer than the step where it is in turn
        site.book.go_on.set()
        await step
        return await asked

    answer = asyncio.run(both())
    assert answer.status_code == 200, answer.text
    assert site.phase == "back"
    asyncio.run(rolling.step())
    assert site.left == [BACK]


MODELS, SOURCE = str(ROOT / "models"), "board_defects"
HERE = load_bundle(f"{MODELS}/{SOURCE}").digest


def test_a_device_that_was_away_for_the_whole_of_a_rollout_is_given_the_newest_that_is_done(
    site: Site,
) -> None:
    site.done(SOURCE, OLD, "cam-1")
    newest = site.done(SOURCE, HERE, "cam-1")
    site.done(SOURCE, NEW, "cam-2")  # not for cam-1
    site.done(SOURCE, NEW, "cam-1", phase="rolled_back", told={})
    rolling = site.rolling(MODELS)
    asyncio.run(rolling.step())
    assert site.marks == [], "nothing is known of it"
    site.hear("c" * 64)
    for _ in range(2):
        asyncio.run(rolling.step())
        assert site.marks == [newest.mark]
        assert site.left == [ARCHIVE]
    asyncio.run(site.rolling(MODELS).step())
    assert site.outcomes == ["given, late"], "once, over restarts of the gateway"


def test_a_device_that_has_the_bundle_or_had_it_is_not_given_it_late(site: Site) -> None:
    done = site.done(SOURCE, HERE, "cam-1")
    rolling = site.rolling(MODELS)
    site.hear(HERE)
    asyncio.run(rolling.step())
    assert site.marks == []
    site.book.keep_rollout(
        *(done, replace(done, switched={"cam-1": 1.0})), who="g", role="gateway", now_s=1.0
    )
    site.hear("c" * 64)
    asyncio.run(site.rolling(MODELS).step())
    assert site.marks == [], "it has left it by itself"


def test_a_device_that_a_later_rollout_has_reached_is_not_given_an_older_one(site: Site) -> None:
    site.done(SOURCE, OLD, "cam-1")
    later = site.done(SOURCE, HERE, "cam-1", phase="running")
    site.hear("c" * 64)
    asyncio.run(site.rolling(MODELS).step())
    assert site.marks == [later.mark]


def test_a_rollout_that_is_done_while_a_device_is_away_is_given_when_it_comes(site: Site) -> None:
    running = site.done(SOURCE, HERE, "cam-1", "cam-2", phase="running", soak_s=0.0)
    rolling = site.rolling(MODELS)
    site.hear(HERE, "cam-2")
    for _ in range(3):
        asyncio.run(rolling.step())
    assert site.phase == "done"
    site.hear("c" * 64)
    asyncio.run(rolling.step())
    assert site.marks == [running.mark]


def test_a_device_whose_key_came_after_a_rollout_to_all_devices_is_given_it_and_taken_back_with_it(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed(monkeypatch, HERE)
    site.done(SOURCE, OLD, "cam-1", everyone=True)
    newest = site.done(SOURCE, HERE, "cam-1", everyone=True)
    site.done(SOURCE, NEW, "cam-1")  # for that one alone
    rolling = site.rolling(MODELS)
    site.hear("c" * 64, "cam-9")
    asyncio.run(rolling.step())
    assert site.waiting("cam-9") == [ARCHIVE]
    kept = next(one for one in site.book.rollouts() if one.id == newest.id)
    assert kept.devices == ("cam-1", "cam-9")
    assert "cam-9" in kept.told
    assert [row.outcome for row in site.book.audit("cam-9", 0, 9)] == ["given, late"]
    for again in (rolling, site.rolling(MODELS)):
        asyncio.run(again.step())
    assert site.waiting("cam-9") == [ARCHIVE], "once, over restarts of the gateway"


def test_the_latest_rollout_is_taken_back_from_who_joined_it_too(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed(monkeypatch, HERE)
    done = site.done(SOURCE, HERE, "cam-1", everyone=True)
    rolling = site.rolling(MODELS)
    site.hear("c" * 64, "cam-9")
    asyncio.run(rolling.step())
    assert site.waiting("cam-9") == [ARCHIVE]
    assert asyncio.run(asker(rolling, done.id)()).status_code == 200
    asyncio.run(rolling.step())
    assert site.waiting("cam-9") == [BACK]


@pytest.mark.parametrize("everyone", [False, True], ids=["for some devices", "of another bundle"])
def test_a_device_that_a_rollout_is_not_meant_for_is_not_given_it(
    site: Site, everyone: bool
) -> None:
    site.done(SOURCE, HERE, "cam-1", everyone=everyone)
    site.hear("c" * 64, "cam-9", name="bottles" if everyone else "boards")
    asyncio.run(site.rolling(MODELS).step())
    assert site.waiting("cam-9") == []


def test_of_a_thousand_devices_that_join_some_are_given_it_in_each_step_and_all_in_the_end(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed(monkeypatch, HERE)
    monkeypatch.setattr(latecomers, "AT_ONCE", 4)
    site.done(SOURCE, HERE, "cam-1", everyone=True)
    names = [f"new-{n}" for n in range(9)]
    for name in (*names, "mute-1", "mute-2", "mute-3", "mute-4", "mute-5"):
        site.hear("" if name.startswith("mute") else "c" * 64, name)
    rolling = site.rolling(MODELS)
    asyncio.run(rolling.step())
    assert sum(bool(site.waiting(name)) for name in names) <= 4
    for _ in range(6):
        asyncio.run(rolling.step())
    assert all(site.waiting(name) == [ARCHIVE] for name in names)


def test_a_bundle_that_is_gone_is_told_once_and_given_to_nobody(site: Site) -> None:
    site.done("no_such_bundle", HERE, "cam-1")
    rolling = site.rolling(MODELS)
    site.hear("c" * 64)
    for _ in range(2):
        asyncio.run(rolling.step())
    assert site.marks == []
    (outcome,) = site.outcomes
    assert outcome.startswith("not given, late: there is no bundle no_such_bundle")


def test_a_rollout_is_paused_and_goes_on_as_operators_ask(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed(monkeypatch, NEW)
    given = site.given()
    site.hear(NEW)
    rolling = site.rolling()

    def ask(what: str, number: int = given.id, role: str = "operator") -> tuple[int, str]:
        answer = asyncio.run(asker(rolling, number, what, role)())
        return answer.status_code, answer.json().get("error", "")

    assert ask("pause", role="reader")[0] == 403
    assert ask("pause", 7) == (409, "roll-out 7 is not under way")
    assert ask("resume") == (409, f"roll-out {given.id} is as it is asked to be already")
    assert ask("pause")[0] == 200
    assert site.book.rollouts()[0].paused
    asyncio.run(rolling.step())
    asyncio.run(site.rolling().step())  # a gateway that starts again knows of it
    assert site.phase == "running"
    assert ask("resume")[0] == 200
    for _ in range(3):
        asyncio.run(rolling.step())
    assert site.phase == "done"
    assert ask("pause")[0] == 409
    outcomes = [row.outcome for row in site.book.audit("", 0, 9)]
    assert outcomes[:3] == ["done", "resumed", "paused"]


def packed(monkeypatch: pytest.MonkeyPatch, digest: str) -> None:
    """There is a bundle with this digest to roll out, whatever its name is."""
    bundle = SimpleNamespace(digest=digest)
    monkeypatch.setattr(Rollable, "open", lambda *_: bundle)
    monkeypatch.setattr(rolling_module, "pack_bundle", lambda _: b"a bundle, packed")


def test_the_list_is_as_long_as_is_asked_for_and_tells_the_time(site: Site) -> None:
    for _ in range(3):
        site.given(phase="rolled_back")
    inside = Starlette(routes=site.rolling().routes())

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await inside({**scope, CLIENT: Client("rita", "reader")}, receive, send)

    async def ask(query: str) -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
            return await client.get(f"/v1/rollouts{query}")

    told = asyncio.run(ask("?limit=2")).json()
    assert [one["id"] for one in told["rollouts"]] == [3, 2]
    assert abs(told["now_s"] - time.time()) < 3600
    assert len(asyncio.run(ask("")).json()["rollouts"]) == 3
    assert asyncio.run(ask("?limit=0")).status_code == 400
