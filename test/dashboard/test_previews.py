"""A preview is reckoned beside the page, within bounds, and what cannot be is one line."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from bench.dashboard_scene import status
from mastra_ros.dashboard import views
from mastra_ros.dashboard.fleet import Sample
from mastra_ros.dashboard.preview_worker import answer
from mastra_ros.dashboard.previews import AT_ONCE, WAITING_MAX, PreviewError, Previews

SAMPLES = [Sample(1000.0 + n, status(1000.0 + n, cut=10 <= n < 15)) for n in range(30)]
SLEEPER = ("-c", "import time; time.sleep(600)")


def run(work: Coroutine[Any, Any, Any]) -> Any:
    """In a thread of its own: the browser of other tests keeps an event loop in the main thread."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


def test_what_each_policy_would_have_done_comes_from_another_process() -> None:
    changes = {"scheduling.deadline_ms": 80.0}
    rows = run(Previews(limit_s=500.0).of([*SAMPLES, SAMPLES[0]], changes, {}))
    policies = {row["policy"]: row for row in rows}
    assert {"dta", "always-local", "always-cloud"} <= set(policies)
    assert sum(row["in_use"] for row in rows) == 1
    shown = {row["policy"].rstrip(" *"): row for row in views.preview_rows(rows)}
    assert shown["always-local"]["local"] == "100 %"
    cloud = policies["always-cloud"]
    assert cloud["after"] != cloud["before"]


def test_a_value_that_there_is_not_is_one_line() -> None:
    async def work() -> None:
        with pytest.raises(PreviewError, match="deadline_ms"):
            await Previews(limit_s=500.0).of(SAMPLES, {"scheduling.deadline_ms": -5.0}, {})

    run(work())


@pytest.mark.parametrize(
    "told",
    [
        {"link": {"connected": True, "rtt_ms": math.inf, "goodput_bps": 1e308}},
        {"link": {"connected": True, "rtt_ms": 1e-300, "goodput_bps": 1e-300}, "models": []},
        {"route": {"results": {"local": 1e18}}, "load": {"cpu": -5, "memory": "much"}},
        {"link": "no", "route": None, "codecs": 7},
    ],
)
def test_whatever_a_device_has_told_the_worker_answers(told: dict[str, Any]) -> None:
    at_s = [float(n) for n in range(6)]
    made = answer({"samples": [told] * 6, "at_s": at_s, "changes": {}, "now": {}})
    assert set(made) in ({"rows"}, {"error"})


def test_who_takes_too_long_is_ended_and_too_many_are_refused() -> None:
    async def work() -> None:
        previews = Previews(limit_s=0.2, command=SLEEPER)
        asked = [
            asyncio.ensure_future(previews.of(SAMPLES, {}, {}))
            for _ in range(AT_ONCE + WAITING_MAX + 1)
        ]
        told = await asyncio.gather(*asked, return_exceptions=True)
        keys = [one.key for one in told if isinstance(one, PreviewError)]
        assert keys.count("preview.busy") == 1
        assert keys.count("preview.slow") == AT_ONCE + WAITING_MAX

    run(work())


def test_who_leaves_leaves_no_worker_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Any] = []
    begin = asyncio.create_subprocess_exec

    async def spy(*arguments: Any, **options: Any) -> Any:
        started.append(await begin(*arguments, **options))
        return started[-1]

    monkeypatch.setattr(asyncio, "create_subprocess_exec", spy)

    async def work() -> None:
        asked = asyncio.ensure_future(Previews(command=SLEEPER).of(SAMPLES, {}, {}))
        while not started:
            await asyncio.sleep(0.01)
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)
        assert started[0].returncode is not None

    run(work())
