"""People of a provider get in as their claims say, and what is not in order gets nobody in."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

pytest.importorskip("argon2", reason="the extra dashboard is not installed")
pytest.importorskip("authlib", reason="the extra dashboard is not installed")
from cryptography.hazmat.primitives.asymmetric import ec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from mastra_ros.dashboard.guard import PERSON, Guard
from mastra_ros.dashboard.login import Login
from mastra_ros.dashboard.logins import COOKIE, Logins
from mastra_ros.dashboard.oidc import CALLBACK, Oidc
from mastra_ros.dashboard.oidc_config import OidcConfig, read_secret, roles_of
from mastra_ros.dashboard.people import People
from mastra_ros.errors import ConfigError

from .oidc_provider import CLIENT, SECRET, Provider, serving

ORIGIN = "https://dash.test:8444"
OTHER = "https://dash.example"


class Site:
    """The guard with a provider, before a page that says who is logged in."""

    def __init__(self, folder: Path, provider: Provider, ca: Path, **changed: Any) -> None:
        self.provider = provider
        self.people = People(folder / "people.yaml")
        self.logins = Logins(self.people)
        roles = {"ops": "operator", "boss": "admin", "all": "viewer"}
        options = {"issuer": provider.issuer, "roles": roles, "ca": ca, **changed}
        config = OidcConfig(client_id=CLIENT, secret=SECRET, **options)

        async def page(request: Request) -> PlainTextResponse:
            person = request.scope[PERSON]
            return PlainTextResponse(f"{person.name} {person.role}")

        oidc = Oidc(config, [ORIGIN, OTHER])
        login = Login(self.people, self.logins, secure=True, oidc=oidc).app()
        inside = Starlette(routes=[Route("/", page)])
        self.app = Guard(inside, login, self.logins, origins=[ORIGIN, OTHER])
        self.ca = ca

    def client(self, origin: str = ORIGIN) -> TestClient:
        return TestClient(self.app, base_url=origin, follow_redirects=False)

    def begun(self, client: TestClient) -> dict[str, str]:
        """Go to the provider; the query that it sends the browser back with."""
        sent = client.get("/oidc/start")
        assert sent.status_code == 303, sent.text
        with httpx.Client(
            verify=ssl.create_default_context(cafile=self.ca), trust_env=False
        ) as browser:
            back = browser.get(sent.headers["location"]).headers["location"]
        assert urlsplit(back).path == CALLBACK
        return {name: one for name, (one,) in parse_qs(urlsplit(back).query).items()}

    def entered(self, client: TestClient, **changed: str) -> Any:
        return client.get(CALLBACK, params={**self.begun(client), **changed})


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Provider, Path]]:
    """A provider."""
    redirects = (f"{ORIGIN}{CALLBACK}", f"{OTHER}{CALLBACK}")
    with serving(tmp_path_factory.mktemp("oidc"), redirects) as told:
        yield told


@pytest.fixture
def site(running: tuple[Provider, Path], tmp_path: Path) -> Iterator[Site]:
    """With a provider that tells the truth."""
    provider, ca = running
    before = {**vars(provider), "claims": dict(provider.claims), "discovery": {}}
    yield Site(tmp_path, provider, ca)
    vars(provider).update(before)


@pytest.mark.parametrize("origin", [ORIGIN, OTHER])
def test_who_the_provider_knows_gets_in_with_the_role_of_the_claim(site: Site, origin: str) -> None:
    client = site.client(origin)
    answer = site.entered(client)
    assert answer.status_code == 200
    header = answer.headers["set-cookie"].lower()
    assert f"{COOKIE}=" in header
    for mark in ("httponly", "secure", "samesite=strict"):
        assert mark in header
    assert client.get("/").text == "oidc:ada operator"
    assert SECRET not in answer.text


@pytest.mark.parametrize(
    ("claims", "who"),
    [
        ({"groups": ["all", "boss", "strangers"]}, "oidc:ada admin"),
        ({"groups": "all"}, "oidc:ada viewer"),
        ({"preferred_username": None}, "oidc:42 operator"),
        ({"preferred_username": "李雷"}, "oidc:李雷 operator"),
    ],
)
def test_roles_and_names_come_from_the_claims(site: Site, claims: Any, who: str) -> None:
    site.provider.claims |= claims
    client = site.client()
    site.entered(client)
    assert client.get("/").text == who


def test_a_claim_may_be_within_another(running: Any, tmp_path: Path, site: Site) -> None:
    other = Site(tmp_path, *running, role_claim="realm_access.roles")
    site.provider.claims |= {"realm_access": {"roles": ["boss"]}}
    client = other.client()
    other.entered(client)
    assert client.get("/").text == "oidc:ada admin"


@pytest.mark.parametrize(
    "claims",
    [
        *({"groups": []}, {"groups": ["admin"]}, {"groups": None}, {"groups": {"ops": 1}}),
        {"groups": [["ops"], 7, None]},
        *({"nonce": "another"}, {"nonce": None}, {"nonce": 7}),
        *({"aud": "another"}, {"aud": [CLIENT, "other"]}, {"azp": "other"}, {"aud": None}),
        *({"iss": "https://evil.test"}, {"iss": None}, {"exp": 1}, {"exp": None}),
        *({"sub": None}, {"iat": None}, {"preferred_username": "x" * 300}),
        {"preferred_username": "a\nb"},
    ],
)
def test_an_id_token_that_is_not_in_order_gets_nobody_in(site: Site, claims: Any) -> None:
    site.provider.claims |= claims
    client = site.client()
    answer = site.entered(client)
    assert answer.status_code == 403
    assert COOKIE not in client.cookies
    assert client.get("/").status_code == 303


def test_a_token_that_another_signed_gets_nobody_in(site: Site) -> None:
    for key, algorithm in (
        (ec.generate_private_key(ec.SECP256R1()), "ES256"),
        (SECRET * 3, "HS256"),
        (None, "none"),
    ):
        site.provider.signs_with, site.provider.algorithm = key, algorithm
        client = site.client()
        assert site.entered(client).status_code == 403
        assert COOKIE not in client.cookies


def test_an_answer_counts_in_the_browser_that_began_once_and_with_its_own_state(
    site: Site,
) -> None:
    ours, other = site.client(), site.client()
    told = site.begun(ours)
    site.begun(other)
    assert other.get(CALLBACK, params=told).status_code == 403  # log-in of somebody else's
    assert site.client().get(CALLBACK, params=told).status_code == 403
    cookie = ours.cookies["mastra_oidc"]
    assert ours.get(CALLBACK, params=told).status_code == 200
    again = site.client()
    header = {"Cookie": f"mastra_oidc={cookie}"}
    assert again.get(CALLBACK, params=told, headers=header).status_code == 403


@pytest.mark.parametrize("changed", [{"state": "x"}, {"state": ""}, {"iss": "https://evil.test"}])
def test_an_answer_of_another_state_or_provider_gets_nobody_in(
    site: Site, changed: dict[str, str]
) -> None:
    client = site.client()
    assert site.entered(client, **changed).status_code == 403
    assert COOKIE not in client.cookies


def test_what_the_provider_refuses_is_one_line_without_its_words(site: Site) -> None:
    client = site.client()
    script = "<script>window.pwned=1</script>"
    told = {**site.begun(client), "error": script, "error_description": script}
    answer = client.get(CALLBACK, params=told)
    assert answer.status_code == 403
    assert "pwned" not in answer.text


def test_who_guesses_codes_is_slowed_down_and_nobody_else(site: Site) -> None:
    client = site.client()
    answers = [client.get(CALLBACK, params={"code": "x", "state": "y"}) for _ in range(7)]
    assert [one.status_code for one in answers][-1] == 429
    assert site.client().get("/login").status_code == 200


def test_nobody_is_sent_anywhere_else(site: Site) -> None:
    client = site.client()
    for path in ("/oidc/start?redirect_uri=https://evil.test", "/oidc/start?next=//evil.test"):
        query = parse_qs(urlsplit(client.get(path).headers["location"]).query)
        assert query["redirect_uri"] == [f"{ORIGIN}{CALLBACK}"]
    assert client.get("/oidc/start", headers={"Host": "evil.test"}).status_code == 403
    forwarded = {"X-Forwarded-Host": "evil.test", "Forwarded": "host=evil.test"}
    sent = client.get("/oidc/start", headers=forwarded)
    assert parse_qs(urlsplit(sent.headers["location"]).query)["redirect_uri"] == [
        f"{ORIGIN}{CALLBACK}"
    ]


@pytest.mark.parametrize(
    "discovery",
    [
        {"issuer": "https://evil.test"},
        {"token_endpoint": "http://127.0.0.1:1/token"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"jwks_uri": None},
    ],
)
def test_a_provider_that_is_not_in_order_is_one_line(site: Site, discovery: Any) -> None:
    site.provider.discovery = discovery
    assert site.client().get("/oidc/start").status_code == 502


def test_a_provider_whose_certificate_is_not_trusted_is_one_line(
    running: Any, tmp_path: Path
) -> None:
    provider, _ = running
    site = Site(tmp_path, provider, None)  # type: ignore[arg-type]
    assert site.client().get("/oidc/start").status_code == 502


def test_without_a_provider_there_is_no_such_path_and_no_such_way(tmp_path: Path) -> None:
    people = People(tmp_path / "people.yaml")
    logins = Logins(people)
    guard = Guard(Starlette(), Login(people, logins, secure=True).app(), logins, origins=[ORIGIN])
    client = TestClient(guard, base_url=ORIGIN, follow_redirects=False)
    assert client.get("/oidc/start").status_code == 404
    assert client.get(CALLBACK).status_code == 404
    assert "/oidc" not in client.get("/login").text


def test_what_is_configured_is_checked_at_birth(tmp_path: Path) -> None:
    roles = {"ops": "operator"}
    for options in (
        {"issuer": "http://127.0.0.1", "roles": roles},
        {"issuer": "https://id.test?x=1", "roles": roles},
        {"issuer": "https://id.test", "roles": {}},
        {"issuer": "https://id.test", "roles": {"ops": "king"}},
    ):
        with pytest.raises(ConfigError, match="oidc"):
            OidcConfig(client_id=CLIENT, secret=SECRET, **options)  # type: ignore[arg-type]
    config = OidcConfig("https://id.test", CLIENT, SECRET, roles)
    assert SECRET not in repr(config)
    assert roles_of(["cn=ops,o=x=operator"]) == {"cn=ops,o=x": "operator"}
    with pytest.raises(ConfigError, match="VALUE=ROLE"):
        roles_of(["operator"])
    path = tmp_path / "secret"
    path.write_text("hush\n")
    path.chmod(0o600)
    assert read_secret(path) == "hush"
    path.chmod(0o640)
    with pytest.raises(ConfigError, match="chmod 600"):
        read_secret(path)


def test_nobody_of_the_file_has_a_name_as_from_a_provider(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="provider"):
        People(tmp_path / "people.yaml").add("oidc:ada", "admin", "correct horse battery")


def test_the_provider_s_person_stays_in_for_a_session_and_no_longer(site: Site) -> None:
    client = site.client()
    site.entered(client)
    cookie = client.cookies[COOKIE]
    assert site.logins.person(cookie) is not None
    assert client.post("/logout", headers={"Origin": ORIGIN}).status_code == 303
    assert site.logins.person(cookie) is None
