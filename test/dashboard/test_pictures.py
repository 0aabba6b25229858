"""How often the dashboard asks for pictures, and what it says where there are none."""

from __future__ import annotations

import asyncio
import itertools
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

pytest.importorskip("httpx", reason="the extra dashboard is not installed")
from mastra_ros.dashboard.gateway import GatewayError, PictureWithheld
from mastra_ros.dashboard.pictures import ABSENT_S, MISSED_MAX, MISSING_S, PERIOD_S, Pictures


class Gateway:
    """Answers with the next of `answers`, the last one for ever."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked_s: list[float] = []
        self.now_s = 0.0

    async def picture(self, _: str) -> bytes:
        self.asked_s.append(self.now_s)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return bytes(answer)


def looked(gateway: Gateway, seconds: float) -> Pictures:
    """Two pages look ten times a second for so long."""
    pictures = Pictures(gateway, lambda: gateway.now_s)  # type: ignore[arg-type]

    async def look() -> None:
        for tick in range(round(10 * seconds)):
            gateway.now_s = tick / 10
            for _ in range(2):
                await pictures.look("cam-1")

    with ThreadPoolExecutor(1) as thread:  # the browser of other tests keeps a loop in this one
        thread.submit(asyncio.run, look()).result()
    return pictures


def gaps_s(gateway: Gateway) -> list[float]:
    return [round(b - a, 1) for a, b in itertools.pairwise(gateway.asked_s)]


def test_two_pictures_a_second_are_asked_for_however_many_pages_look() -> None:
    gateway = Gateway(b"\xff\xd8")
    looked(gateway, 5.0)
    assert set(gaps_s(gateway)) == {PERIOD_S}


def test_a_device_without_pictures_is_asked_ever_less() -> None:
    gateway = Gateway(GatewayError("none"))
    looked(gateway, 20.0)
    gaps = gaps_s(gateway)
    assert gaps[:MISSED_MAX] == [MISSING_S] * MISSED_MAX
    assert set(gaps[MISSED_MAX:]) == {ABSENT_S}


def test_one_that_has_pictures_again_is_asked_as_before_and_the_reason_is_gone() -> None:
    withheld = [PictureWithheld("the gate is shut")] * 6
    gateway = Gateway(*withheld, b"\xff\xd8")
    assert looked(gateway, 2.0).why_none("cam-1") == "the gate is shut"
    gateway = Gateway(*withheld, b"\xff\xd8")
    pictures = looked(gateway, 20.0)
    assert gaps_s(gateway)[-1] == PERIOD_S
    assert pictures.why_none("cam-1") == ""
    assert pictures.why_none("cam-2") == ""


@pytest.mark.skipif(not hasattr(os, "SCHED_BATCH"), reason="Linux alone knows it")
def test_the_dashboard_interrupts_nothing_that_runs(scene: Any) -> None:
    chosen = os.sched_getscheduler(0)
    wanted = os.SCHED_BATCH if chosen == os.SCHED_OTHER else chosen
    assert os.sched_getscheduler(scene.process.pid) == wanted
