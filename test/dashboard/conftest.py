"""One gateway, two scripted devices and the dashboard, for all tests in a browser."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

DEADLINE_S = 120.0
PAGE_MS = 60_000


@pytest.fixture(scope="session")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, tuple[str, ...]]]:
    """A provider of OpenID Connect over TLS, and the options of a dashboard that knows it."""
    pytest.importorskip("authlib", reason="the extra dashboard is not installed")
    from .oidc_provider import CLIENT, SECRET, serving

    folder = tmp_path_factory.mktemp("provider")
    secret = folder / "secret"
    secret.touch(0o600)
    secret.write_text(SECRET)
    with serving(folder, ()) as (found, authority):
        options = {"issuer": found.issuer, "client-id": CLIENT, "secret-file": secret}
        given = [f"--oidc-{name}={value}" for name, value in {**options, "ca": authority}.items()]
        yield found, (*given, "--oidc-role=ops=operator", "--oidc-role=all=viewer")


@pytest.fixture(scope="session")
def scene(
    tmp_path_factory: pytest.TempPathFactory, provider: tuple[Any, tuple[str, ...]]
) -> Iterator[Any]:
    """The processes; cam-1 and cam-2 are connected, and cam-3 has a key alone."""
    for package in ("argon2", "nicegui", "itsdangerous"):
        pytest.importorskip(package, reason="the extra dashboard is not installed")
    from bench.dashboard_scene import Scene

    folder = tmp_path_factory.mktemp("dashboard")
    known, options = provider
    with Scene(folder, ("cam-1", "cam-2"), absent=("cam-3",), options=options) as scene:
        known.redirects = (f"{scene.url}/oidc/callback",)
        scene.wait_connected()
        yield scene


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A browser."""
    pytest.importorskip("playwright", reason="playwright is not installed")
    from bench.dashboard_scene import CHROMIUM, browser

    if not Path(CHROMIUM).exists():
        pytest.skip(f"no {CHROMIUM}: apt-get install chromium")
    with browser() as found:
        yield found


@pytest.fixture(scope="session")
def cookies(scene: Any, chromium: Any) -> list[Any]:
    """Of the operator ada, who has logged in by the form."""
    from bench.dashboard_scene import log_in

    context = chromium.new_context()
    try:
        page = context.new_page()
        page.set_default_timeout(PAGE_MS)
        log_in(page, scene.url)
        return list(context.cookies())
    finally:
        context.close()


@pytest.fixture(scope="session")
def windows(chromium: Any) -> Iterator[Callable[..., Any]]:
    """A browser's window for each set of options, kept: its cache has the scripts of the page."""
    kept: dict[str, Any] = {}

    def window(**options: Any) -> Any:
        known = repr(sorted(options.items()))
        if known not in kept:
            kept[known] = chromium.new_context(**{"locale": "en-GB", **options})
            kept[known].set_default_timeout(PAGE_MS)
        return kept[known]

    yield window
    for context in kept.values():
        context.close()


@pytest.fixture
def tab(
    scene: Any, windows: Callable[..., Any], cookies: list[Any]
) -> Iterator[Callable[..., Any]]:
    """Opens tabs of one browser in which ada is logged in; faults of scripts fail the test."""
    pages: list[Any] = []
    faults: list[str] = []

    def open_tab(path: str, *, beside: Any = None, **options: Any) -> Any:
        context = beside.context if beside is not None else windows(**options)
        if beside is None:  # what a test before has left there
            context.clear_cookies()
            context.add_cookies(cookies)
        page = context.new_page()
        pages.append(page)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(scene.url + path)
        page.wait_for_selector("[aria-level='1']")
        return page

    yield open_tab
    for page in pages:
        page.close()
    assert not faults


@pytest.fixture(scope="session")
def wait_for() -> Callable[..., None]:
    """Waits for a condition; the test fails when it does not come."""

    def wait(condition: Callable[[], Any], what: str) -> None:
        until_s = time.monotonic() + DEADLINE_S
        while not condition():
            assert time.monotonic() < until_s, f"waited in vain for {what}"
            time.sleep(0.05)

    return wait
