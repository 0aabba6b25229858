"""Nobody gets past the guard but who is logged in, from one of our own pages."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("argon2", reason="the extra dashboard is not installed")
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from mastra_ros.dashboard.guard import PERSON, Guard
from mastra_ros.dashboard.login import Login
from mastra_ros.dashboard.logins import COOKIE, Logins
from mastra_ros.dashboard.people import People
from mastra_ros.errors import ConfigError

ORIGIN = "https://dash.test:8444"
SOCKET = "wss://dash.test:8444/ws"
PASSWORD = "correct horse battery"


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@functools.cache
def two_people() -> bytes:
    """Their file, hashed once: that is made to be slow."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "people.yaml"
        for name, role in (("ada", "operator"), ("vera", "viewer")):
            People(file).add(name, role, PASSWORD)
        return file.read_bytes()


class Site:
    """The guard before a page that says who is logged in."""

    def __init__(self, folder: Path) -> None:
        file = folder / "people.yaml"
        file.touch(0o600)
        file.write_bytes(two_people())
        self.people = People(file)
        self.clock = Clock()
        self.logins = Logins(self.people, clock=self.clock)

        async def page(request: Request) -> PlainTextResponse:
            person = request.scope[PERSON]
            headers = {"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Credentials": "y"}
            return PlainTextResponse(f"{person.name} {person.role}", headers=headers)

        async def socket(websocket: WebSocket) -> None:
            await websocket.accept()
            try:
                while True:
                    await websocket.send_text(await websocket.receive_text())
            except WebSocketDisconnect:
                pass

        inside = Starlette(
            routes=[
                Route("/", page, methods=["GET", "POST"]),
                WebSocketRoute("/ws", socket),
            ]
        )
        login = Login(self.people, self.logins, secure=True).app()
        self.app = Guard(inside, login, self.logins, origins=[ORIGIN])

    def client(self) -> TestClient:
        return TestClient(self.app, base_url=ORIGIN, follow_redirects=False)

    def entered(self, name: str = "ada") -> TestClient:
        client = self.client()
        answer = log_in(client, name, PASSWORD)
        assert answer.status_code == 303, answer.text
        return client


def log_in(client: TestClient, name: str, password: str, **headers: str) -> Any:
    form = {"name": name, "password": password}
    return client.post("/login", data=form, headers={"Origin": ORIGIN, **headers})


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A guarded page with two people."""
    return Site(tmp_path)


def test_who_logs_in_sees_the_page_as_who_they_are(site: Site) -> None:
    answer = site.entered().get("/")
    assert answer.text == "ada operator"
    assert answer.headers["content-security-policy"].startswith("default-src 'self'")
    assert answer.headers["x-frame-options"] == "DENY"
    assert "access-control-allow-origin" not in answer.headers


def test_the_cookie_is_for_this_page_alone(site: Site) -> None:
    header = log_in(site.client(), "ada", PASSWORD).headers["set-cookie"].lower()
    for mark in ("httponly", "secure", "samesite=strict", "path=/"):
        assert mark in header
    assert "domain" not in header


def test_who_is_not_logged_in_is_sent_to_the_login_and_nothing_else(site: Site) -> None:
    client = site.client()
    assert client.get("/").headers["location"] == "/login"
    assert client.get("/_nicegui/anything").status_code == 401
    with (
        pytest.raises(WebSocketDisconnect),
        client.websocket_connect(SOCKET, headers={"Origin": ORIGIN}),
    ):
        pass


@pytest.mark.parametrize("origin", ["https://evil.test", "null", "https://dash.test", ""])
def test_a_foreign_origin_is_refused_on_both_scopes(site: Site, origin: str) -> None:
    client = site.entered()
    assert client.post("/", headers={"Origin": origin} if origin else {}).status_code == 403
    with (
        pytest.raises(WebSocketDisconnect),
        client.websocket_connect(SOCKET, headers={"Origin": origin} if origin else {}),
    ):
        pass
    if origin:
        assert client.get("/", headers={"Origin": origin}).status_code == 403


def test_a_name_that_was_made_to_point_here_is_refused(site: Site) -> None:
    client = site.entered()
    for host in ("evil.test", "dash.test", "dash.test:1"):
        assert client.get("/", headers={"Host": host}).status_code == 403


def test_our_own_page_may_open_its_socket(site: Site) -> None:
    with site.entered().websocket_connect(SOCKET, headers={"Origin": ORIGIN}) as socket:
        socket.send_text("hello")
        assert socket.receive_text() == "hello"


def test_a_forged_cookie_is_none(site: Site) -> None:
    client = site.entered()
    good = client.cookies[COOKIE]
    name, _, signature = good.rpartition(".")
    for forged in (name, f"{name}x.{signature}", f"{name}.{signature[:-2]}", "x" * 5000, "é.é"):
        other = site.client()
        answer = other.get("/", headers={"Cookie": f"{COOKIE}={forged}".encode()})
        assert answer.status_code == 303


def test_a_session_ends_when_idle_too_old_or_logged_out(site: Site) -> None:
    client = site.entered()
    site.clock.now_s += 3599
    assert client.get("/").status_code == 200
    site.clock.now_s += 3601
    assert client.get("/").status_code == 303
    client = site.entered()
    for _ in range(13):
        site.clock.now_s += 3500
        client.get("/")
    assert client.get("/").status_code == 303
    client = site.entered()
    site.logins.close(client.cookies[COOKIE])
    assert client.get("/").status_code == 303


def test_an_open_socket_ends_with_its_session(site: Site) -> None:
    client = site.entered()
    with client.websocket_connect(SOCKET, headers={"Origin": ORIGIN}) as socket:
        site.logins.close(client.cookies[COOKIE])
        socket.send_text("hello")
        with pytest.raises(WebSocketDisconnect):
            socket.receive_text()


def test_a_new_role_or_password_ends_the_sessions_of_before(site: Site) -> None:
    client = site.entered("vera")
    site.people.add("vera", "admin", PASSWORD)
    assert client.get("/").status_code == 303
    client = site.entered("vera")
    assert client.get("/").text == "vera admin"
    site.people.add("vera", "admin", "another long password")
    assert client.get("/").status_code == 303


def test_wrong_passwords_and_unknown_names_look_alike_and_are_slowed_down(site: Site) -> None:
    client = site.client()
    first = log_in(client, "ada", "wrong password")
    nobody = log_in(client, "nobody", "wrong password")
    assert first.status_code == nobody.status_code == 401
    assert first.text == nobody.text
    statuses = [log_in(client, "ada", "wrong password").status_code for _ in range(8)]
    assert statuses[-1] == 429
    assert log_in(client, "ada", PASSWORD).status_code == 429


@pytest.mark.parametrize(
    "body", [b"", b"name=ada", b"name=a&name=b&password=c", b"\xff=1", b"x" * 9999]
)
def test_a_form_that_is_none_is_one_line(site: Site, body: bytes) -> None:
    headers = {"Origin": ORIGIN, "Content-Type": "application/x-www-form-urlencoded"}
    assert site.client().post("/login", content=body, headers=headers).status_code == 400


def test_the_form_speaks_chinese_to_who_wants_it(site: Site) -> None:
    english = site.client().get("/login").text
    chinese = site.client().get("/login", headers={"Accept-Language": "fr, zh-CN;q=0.8"}).text
    for page, marks in ((english, ('lang="en"', "Log in")), (chinese, ('lang="zh"', "登录"))):
        for mark in marks:
            assert mark in page


@pytest.mark.parametrize(
    "content",
    ["people: [ada]", "people: {ada: {role: king, hash: x}}", "people: {ada: {role: viewer}}", "["],
)
def test_a_file_of_people_that_says_something_else_is_one_clear_error(
    tmp_path: Path, content: str
) -> None:
    path = tmp_path / "people.yaml"
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(ConfigError):
        People(path)


def test_a_file_of_people_that_others_read_is_refused(tmp_path: Path) -> None:
    People(tmp_path / "people.yaml").add("ada", "viewer", PASSWORD)
    (tmp_path / "people.yaml").chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        People(tmp_path / "people.yaml")
    with pytest.raises(ConfigError, match="password: expected 10"):
        People(tmp_path / "other.yaml").add("ada", "viewer", "short")
