"""The pages in a real browser, beside a real gateway with scripted devices."""

from __future__ import annotations

import importlib.util
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

pytest.importorskip("argon2", reason="the extra dashboard is not installed")
from bench.dashboard_scene import BAND, PASSWORD, VIEWER, status

SETTLED = """() => Promise.allSettled(document.getAnimations()
  .filter(one => one instanceof CSSTransition).map(one => one.finished))"""
"""Colours between two themes are those of neither."""
SCRIPT = '<img src=x onerror="window.pwned=1"><script>window.pwned=1</script>'


def tell(device: Any, seconds: int, *, until_s: float | None = None, **options: Any) -> float:
    """Tell so many statuses, the last of now or of `until_s`; returns the moment of the last."""
    end_s = until_s or time.time()
    for back in reversed(range(seconds)):
        device.tell(status(end_s - 0.01 * back, **options))
    return end_s


def test_the_fleet_lists_every_device_and_asks_nobody_else(
    scene: Any, tab: Callable[..., Any]
) -> None:
    tell(scene.devices["cam-2"], 1)
    page = tab("/")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.reload()
    page.wait_for_selector("tr:has-text('cam-2'):has-text('board_defects'), tr:has-text('cam-2')")
    assert page.locator("tr:has-text('cam-3')").inner_text().count("away") == 1
    hosts = {url.split("/")[2] for url in asked if url.startswith(("http", "ws"))}
    assert hosts == {scene.url.removeprefix("http://")}
    page.fill("input[aria-label='Search']", "cam-3")
    page.wait_for_selector("text=1 of 3 devices")


def test_a_cut_is_a_coloured_band(scene: Any, tab: Callable[..., Any]) -> None:
    device = scene.devices["cam-2"]
    page = tab("/device/cam-2")
    page.wait_for_selector("canvas")
    device.tell(status(time.time()))
    page.wait_for_selector("[role=img][aria-label*='p50']")
    assert not page.evaluate(BAND)
    device.tell(status(time.time(), cut=True))
    time.sleep(1.0)  # the cut lasts
    device.tell(status(time.time(), cut=True))
    page.wait_for_selector("[role=img][aria-label*='link down']")
    page.wait_for_function(BAND)
    device.tell(status(time.time()))


def test_a_threshold_reaches_the_device_and_back_and_is_in_the_audit(
    scene: Any, tab: Callable[..., Any], wait_for: Callable[..., None]
) -> None:
    device = scene.devices["cam-1"]
    device.tell(status(time.time()))
    page, other = tab("/device/cam-1"), None
    field = page.locator("input[type=number][aria-label='load_high']")
    field.fill("0.7")
    page.get_by_role("button", name="Apply").click()
    wait_for(lambda: 0.7 in asked(device, "scheduling.load_high"), "the device to be asked")
    page.wait_for_selector("text=Asked for: 0.7")
    other = tab("/device/cam-1", beside=page)
    refusal = {"values": {}, "refused": {"scheduling.load_high": f"too hot {SCRIPT}"}}
    device.tell(status(time.time(), settings=refusal))
    for each in (page, other):
        each.wait_for_selector("text=Refused by the device: too hot <img")
    device.tell(status(time.time(), settings={"values": {"scheduling.load_high": 0.7}}))
    for each in (page, other):
        each.wait_for_selector("text=On the device: 0.7")
    page.get_by_role("button", name="Undo").click()
    wait_for(lambda: asked(device, "scheduling.load_high")[-1] == 0.8, "the undo")
    audit = tab("/audit", beside=page)
    audit.wait_for_selector("tr:has-text('scheduling.load_high'):has-text('ada')")
    assert audit.locator("tr:has-text('scheduling.load_high')").count() >= 2
    assert page.evaluate("window.pwned") is None


def asked(device: Any, name: str) -> list[Any]:
    return [values[name] for _, values in device.heard if name in values]


def test_a_preview_says_what_each_policy_would_have_done_and_asks_nothing_of_the_device(
    scene: Any, tab: Callable[..., Any], wait_for: Callable[..., None]
) -> None:
    device = scene.devices["cam-1"]
    page = tab("/device/cam-1")
    preview = page.get_by_role("button", name="Preview")
    preview.click()
    page.wait_for_selector("text=Nothing is changed.")
    before = len(device.heard)
    page.locator("input[type=number][aria-label='deadline_ms (ms)']").fill("60")
    page.locator("[aria-label='deadline_ms (ms)'][role=slider]").wait_for()

    def reckoned() -> bool:  # once the page knows enough of what is told
        device.tell(status(time.time()))
        if preview.is_enabled():
            preview.click()
        page.wait_for_timeout(500)
        return page.get_by_text("What each policy would have done").count() > 0

    wait_for(reckoned, "a preview")
    page.wait_for_selector("td:has-text('always-local')")
    assert page.locator("td:has-text(' *')").count() == 1
    assert len(device.heard) == before


def test_an_old_page_in_the_hands_of_another_changes_nothing(
    scene: Any, tab: Callable[..., Any], wait_for: Callable[..., None]
) -> None:
    device = scene.devices["cam-1"]
    page = tab("/device/cam-1")
    field = page.locator("input[type=number][aria-label='load_low']")
    field.wait_for()
    with httpx.Client(base_url=scene.url, timeout=60) as client:
        form = {"name": VIEWER, "password": PASSWORD}
        assert client.post("/login", data=form, headers={"Origin": scene.url}).status_code == 303
        cookie = client.cookies["mastra_session"]
    ours = [{"name": "mastra_session", "value": cookie, "url": scene.url}]
    page.context.add_cookies(ours)
    # The page's socket comes back, with the cookie of who is logged in now.
    page.evaluate("window.before = window.socket.id; window.socket.io.engine.close()")
    page.wait_for_function("window.socket.connected && window.socket.id !== window.before")
    field.fill("0.33")
    page.get_by_role("button", name="Apply").click()
    page.wait_for_selector("text=You may not do this any more")
    assert 0.33 not in asked(device, "scheduling.load_low")


def test_the_gateway_is_shown_above_its_devices(tab: Callable[..., Any]) -> None:
    page = tab("/")
    page.wait_for_selector("dt:has-text('Model board_defects')")
    page.wait_for_selector("dt:has-text('Memory of the gateway')")
    page.wait_for_selector("dd:has-text('USD')")


def test_the_newest_picture_is_shown_while_somebody_looks(
    scene: Any, tab: Callable[..., Any], wait_for: Callable[..., None]
) -> None:
    device = scene.devices["cam-2"]
    device.show(board())
    page = tab("/device/cam-2")
    assert page.locator("img[alt='Newest picture of cam-2']").is_hidden()

    def seen() -> bool:
        device.show(board())
        page.wait_for_timeout(500)
        return bool(page.evaluate("[...document.images].some(one => one.naturalWidth === 320)"))

    wait_for(seen, "a picture")


def test_a_device_that_sends_no_frames_is_asked_for_pictures_and_may_say_why_not(
    scene: Any, tab: Callable[..., Any], wait_for: Callable[..., None]
) -> None:
    device = scene.devices["cam-1"]
    page = tab("/device/cam-1")
    wait_for(lambda: device.looks, "a wish")

    def seen() -> bool:
        device.show_who_looks(board()[:, :300])
        page.wait_for_timeout(500)
        return bool(page.evaluate("[...document.images].some(one => one.naturalWidth === 300)"))

    wait_for(seen, "a picture")

    def told() -> bool:
        device.shown.withhold("privacy: <b>shut</b>")
        page.wait_for_timeout(500)
        why = "The device shows no picture: privacy: <b>shut</b>"
        return bool(page.get_by_text(why).is_visible())

    wait_for(told, "the reason")
    assert page.locator("img[alt='Newest picture of cam-1']").is_hidden()


def board() -> Any:
    """Something to look at."""
    return np.tile(np.arange(320, dtype=np.uint8), (240, 1))


def test_what_devices_say_is_shown_as_text(scene: Any, tab: Callable[..., Any]) -> None:
    now_ns = time.time_ns()
    route = {
        "now": SCRIPT,
        "switches": [{"at_ns": now_ns, "from": SCRIPT, "to": SCRIPT, "reason": f"why {SCRIPT}"}],
    }
    bundle = {"name": f"{SCRIPT}.tflite", "digest": SCRIPT}
    hostile = status(
        time.time(),
        route=route,
        bundle=bundle,
        versions={"mastra_ros": f"9 {SCRIPT}", SCRIPT: SCRIPT},
        codecs={SCRIPT: {"packets": 1}},
        diagnostics={SCRIPT: {"level": SCRIPT, "message": SCRIPT}},
        models={"local": {"name": SCRIPT, "inference_ms": {"p50": 1.0}}},
        settings={"values": {SCRIPT: SCRIPT}, "refused": {SCRIPT: SCRIPT}},
        sections_of_a_newer_version={SCRIPT: SCRIPT},
    )
    device = scene.devices["cam-2"]
    device.tell(hostile)
    fleet = tab("/")
    fleet.wait_for_selector("td:has-text('9 <img')")
    page = tab("/device/cam-2", beside=fleet)
    page.wait_for_selector("td:has-text('why <img')")
    page.wait_for_selector("dd:has-text('.tflite')")
    for each in (fleet, page):
        assert each.evaluate("window.pwned") is None
        assert each.locator("img[src=x]").count() == 0
    device.tell(status(time.time()))


@pytest.mark.parametrize("name", ["%3Cimg%20src=x%20onerror=window.pwned=1%3E", "..%2e", "x" * 300])
def test_a_device_that_there_is_not_is_one_line(tab: Callable[..., Any], name: str) -> None:
    page = tab(f"/device/{name}")
    page.wait_for_selector("text=There is no device")
    assert page.evaluate("window.pwned") is None
    assert page.locator("canvas").count() == 0


def test_a_restart_of_the_gateway_is_told_and_got_over(
    scene: Any, tab: Callable[..., Any], wait_for: Callable[..., None]
) -> None:
    page = tab("/")
    scene.gateway.kill()
    page.wait_for_selector("[role=alert]:has-text('does not answer')")
    scene.gateway.restart()
    wait_for(lambda: all(one.connected for one in scene.devices.values()), "the devices")
    page.wait_for_selector("tr:has-text('cam-1'):has-text('connected')")
    page.wait_for_selector("[role=alert]:has-text('does not answer')", state="detached")


def test_colours_are_remembered_and_follow_the_system(tab: Callable[..., Any]) -> None:
    page = tab("/", color_scheme="dark")
    page.wait_for_selector("body.body--dark")
    page.get_by_role("combobox", name="Colours").click()
    page.get_by_role("option", name="light").click()
    page.wait_for_function("document.cookie.includes('mastra_colours=light')")
    page.reload()
    page.wait_for_selector("table")
    page.wait_for_function("!document.body.classList.contains('body--dark')")


def test_the_keyboard_gets_to_the_content_first(tab: Callable[..., Any]) -> None:
    page = tab("/device/cam-1")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.innerText") == "To the content"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.innerText") == "Mastra"


def test_who_wants_chinese_gets_it(tab: Callable[..., Any]) -> None:
    page = tab("/device/cam-1", locale="zh-CN")
    page.wait_for_selector("text=实时设置")
    assert page.evaluate("document.documentElement.lang") == "zh"


def axe_path() -> Path | None:
    """The script axe.min.js: the one that is named, or that of the package for tests."""
    if named := os.environ.get("MASTRA_AXE"):
        return Path(named)
    package = importlib.util.find_spec("axe_playwright_python")
    if package is None or package.origin is None:
        return None
    return Path(package.origin).with_name("axe.min.js")


@pytest.mark.parametrize("path", ["/login", "/", "/device/cam-1", "/rollouts", "/audit"])
def test_nothing_is_wider_than_a_phone_and_axe_finds_nothing_serious(
    scene: Any, tab: Callable[..., Any], path: str
) -> None:
    login = path == "/login"
    page = tab("/" if login else path, color_scheme="light")
    if login:
        page.goto(scene.url + path)
    page.wait_for_selector("form" if login else "table:visible")
    desk = page.viewport_size
    page.set_viewport_size({"width": 360, "height": 740})
    page.wait_for_function("document.documentElement.scrollWidth <= 360")
    boxes = page.locator(".q-table__middle:visible")
    assert login or boxes.count() > 0
    for box in boxes.all():  # which are scrolled instead, also by the keyboard
        assert box.get_attribute("tabindex") == "0"
        assert box.get_attribute("aria-label")
    page.set_viewport_size(desk)
    axe = axe_path()
    if axe is None:
        pytest.skip("no axe-core: pip install axe-playwright-python, or MASTRA_AXE names its file")
    page.evaluate(axe.read_text(encoding="utf-8"))
    for colours in ("light", "dark"):
        page.emulate_media(color_scheme=colours)
        if not login:  # which follows the system by its style alone
            page.wait_for_selector(f"body.body--{colours}")
        page.evaluate(SETTLED)
        # Without its fetch of the styles, for which NiceGUI would show that something loads.
        found = page.evaluate("axe.run({preload: false}).then(told => told.violations)")
        bad = [
            (one["id"], [node["html"][:200] for node in one["nodes"]][:3])
            for one in found
            if one["impact"] in ("serious", "critical")
        ]
        assert not bad, colours
