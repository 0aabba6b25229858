"""Log-in at a provider, over TLS, through a real browser with its own rules for cookies."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("argon2", reason="the extra dashboard is not installed")
pytest.importorskip("authlib", reason="the extra dashboard is not installed")
from .conftest import PAGE_MS


@pytest.fixture
def known(provider: Any) -> Iterator[Any]:
    """The provider, which tells the truth again afterwards."""
    found, _ = provider
    before = {**vars(found), "claims": dict(found.claims), "answers": {}}
    yield found
    vars(found).update(before)


@pytest.fixture
def page(scene: Any, chromium: Any, known: Any) -> Iterator[Any]:
    """Of a browser that knows neither of the two yet, but trusts the provider's certificate."""
    context = chromium.new_context(ignore_https_errors=True, locale="en-GB")
    context.set_default_timeout(PAGE_MS)
    yield context.new_page()
    context.close()


def log_in_at_the_provider(page: Any, url: str) -> None:
    page.goto(f"{url}/login")
    page.get_by_role("link", name="Log in at the provider").click()


def test_people_of_a_provider_get_in_as_it_says_and_by_no_answer_that_is_not_in_order(
    scene: Any, known: Any, page: Any
) -> None:
    claims = dict(known.claims)
    for bent in ({"nonce": "another"}, {"exp": 1}, {"groups": ["strangers"]}):
        known.claims = {**claims, **bent}
        log_in_at_the_provider(page, scene.url)
        page.wait_for_selector("[role=alert]:has-text('does not let you in')")
        assert not [one for one in page.context.cookies() if one["name"] == "mastra_session"]
    known.claims, known.answers = claims, {"state": "another"}
    log_in_at_the_provider(page, scene.url)
    page.wait_for_selector("[role=alert]:has-text('does not let you in')")
    page.goto(scene.url)
    page.wait_for_selector("#password")  # still outside
    known.answers = {}
    for group, who in (("ops", "oidc:ada (operator)"), ("all", "oidc:ada (viewer)")):
        known.claims = {**claims, "groups": [group]}
        log_in_at_the_provider(page, scene.url)
        page.wait_for_selector(f"header:has-text('{who}')")
        assert page.url == f"{scene.url}/"
        (cookie,) = [one for one in page.context.cookies() if one["name"] == "mastra_session"]
        assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
        page.get_by_role("button", name="Log out").click()
        page.wait_for_selector("#password")
    assert "/authorize" in known.asked
