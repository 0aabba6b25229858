"""Bundles are rolled out, held and taken back from the page, by who may."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("argon2", reason="the extra dashboard is not installed")
from bench.dashboard_scene import BUNDLE, PASSWORD, VIEWER, log_in, status

SCRIPT = '<img src=x onerror="window.pwned=1">'


@pytest.fixture
def device(scene: Any) -> Any:
    """One that does as it is told, and has its first bundle again afterwards."""
    found = scene.devices["cam-1"]
    found.bundle, found.takes, found.offered = {}, True, []
    found.tell(status(time.time()))
    yield found
    found.bundle, found.takes = {}, True
    found.tell(status(time.time()))


@pytest.fixture
def sees(wait_for: Callable[..., None]) -> Callable[..., None]:
    """Waits for a text in a page while the device tells its statuses."""

    def see(page: Any, device: Any, selector: str) -> None:
        page.bring_to_front()

        def seen() -> bool:
            device.tell(status(time.time()))
            page.wait_for_timeout(200)
            return bool(page.locator(selector).count())

        wait_for(seen, selector)

    return see


def begin(page: Any, devices: str, soak_s: str = "600") -> None:
    """Fill in the form, by keyboard as well as it goes."""
    from playwright.sync_api import Error

    page.bring_to_front()  # a menu opens in the tab in front alone
    option = page.get_by_role("option", name="tiny-2 2")
    for left in reversed(range(60)):
        if not option.is_visible():
            page.get_by_role("combobox", name="Bundle").click()
        try:
            option.click(timeout=2000)
            break
        except Error:  # a click that came late has closed the menu that the one before had opened
            if not left:
                raise
    page.get_by_label("Devices (empty: all)").fill(devices)
    page.get_by_label("Soak of a stage (s)").fill(soak_s)
    page.get_by_role("button", name="Begin").click()


def test_a_bundle_goes_out_is_held_and_comes_back_from_the_page(
    scene: Any, tab: Callable[..., Any], device: Any, sees: Callable[..., None]
) -> None:
    page = tab("/rollouts")
    other = tab("/rollouts", beside=page)
    begin(page, "cam-1, nobody")
    page.wait_for_selector("[role=status]:has-text('there is no device')")
    begin(page, "cam-1")
    row = "tr:has-text('cam-1')"
    for each in (page, other):  # two tabs
        sees(each, device, f"{row}:has-text('in use'):has-text('98 %')")
        sees(each, device, "text=Stage 1 of 4: 1 of 1 devices")
        sees(each, device, "text=/of soak left/")
    begin(other, "cam-2")
    other.wait_for_selector("[role=status]:has-text('is under way')")
    page.get_by_role("button", name="Pause").click()
    sees(other, device, "[role=status]:text-is('paused')")
    other.get_by_role("button", name="Go on").click()
    sees(page, device, "[role=status]:text-is('under way')")
    page.get_by_role("button", name="Take back").click()
    sees(other, device, "[role=status]:text-is('rolled back')")
    sees(other, device, f"{row}:has-text('the one before is in use')")
    assert other.locator("td:has-text('asked by dashboard for ada')").count() == 1
    assert device.bundle["digest"] == BUNDLE["digest"]
    audit = tab("/audit", beside=page)
    for outcome in ("begun", "paused", "resumed", "switched", "rolled_back"):
        audit.wait_for_selector(f"tr:has-text('tiny'):has-text('{outcome}')")


def test_a_device_that_refuses_takes_it_back_and_the_page_says_why(
    scene: Any, tab: Callable[..., Any], device: Any, sees: Callable[..., None]
) -> None:
    device.takes = False
    page = tab("/rollouts")
    begin(page, "cam-1", "0")
    sees(page, device, "tr:has-text('cam-1'):has-text('given, not in use yet')")
    while not device.offered:
        page.wait_for_timeout(100)
    device.bundle = {**BUNDLE, "rollout": device.offered[0], "refused": f"too new {SCRIPT}"}
    sees(page, device, "[role=status]:text-is('rolled back')")
    sees(page, device, "text=/cam-1: too new <img/")
    assert page.evaluate("window.pwned") is None
    assert page.locator("img[src=x]").count() == 0


def test_a_viewer_sees_rollouts_and_begins_none(
    scene: Any, chromium: Any, tab: Callable[..., Any]
) -> None:
    context = chromium.new_context(locale="en-GB")
    try:
        page = context.new_page()
        log_in(page, scene.url, VIEWER, PASSWORD)
        page.goto(f"{scene.url}/rollouts")
        page.wait_for_selector("text=A viewer sees roll-outs")
        for name in ("Begin", "Pause", "Take back"):
            button = page.get_by_role("button", name=name)
            assert all(one.is_disabled() for one in button.all()), name
        assert page.get_by_role("button", name="Begin").count() == 1
    finally:
        context.close()
