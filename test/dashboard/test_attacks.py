"""Who is not logged in, or comes from elsewhere, gets nothing of the real dashboard."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

pytest.importorskip("argon2", reason="the extra dashboard is not installed")
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from bench.dashboard_scene import NAME, PASSWORD
from mastra_ros.dashboard.gateway import GatewayClient, GatewayError
from mastra_ros.protocol.clients import client_audience, load_client_key
from mastra_ros.protocol.keys import audience_of, load_device_key
from mastra_ros.protocol.tokens import sign_token

SOCKET = "/_nicegui_ws/socket.io/?EIO=4&transport=websocket"
PATHS = (
    "/device/cam-1",
    "/rollouts",
    "/audit",
    "/_nicegui_ws/socket.io/?EIO=4&transport=polling",
    "/docs",
)


@pytest.fixture
def client(scene: Any) -> Iterator[httpx.Client]:
    """Of nobody."""
    with httpx.Client(base_url=scene.url, timeout=60) as made:
        yield made


def enter(client: httpx.Client, url: str) -> str:
    """Log in; returns the cookie."""
    form = {"name": NAME, "password": PASSWORD}
    answer = client.post("/login", data=form, headers={"Origin": url})
    assert answer.status_code == 303
    return str(client.cookies["mastra_session"])


def socket_status(url: str, origin: str, cookie: str) -> int:
    """What the server answers who wants to open its socket; 101 where it does."""
    headers = {"Cookie": f"mastra_session={cookie}"} if cookie else {}
    address = url.replace("http", "ws", 1) + SOCKET
    try:
        with connect(
            address, additional_headers=headers, origin=origin or None, proxy=None, open_timeout=60
        ):
            return 101
    except InvalidStatus as error:
        return error.response.status_code


def flood(socket: Any) -> None:
    """Say more at once than a page may, and listen."""
    socket.send("4" + "x" * 3_000_000)
    while True:
        socket.recv(60)


def test_without_a_session_nothing_is_answered(scene: Any, client: httpx.Client) -> None:
    for path in PATHS:
        assert client.get(path).status_code == 401, path
    assert socket_status(scene.url, scene.url, "") in (401, 403)
    forged = f"{'A' * 43}.{'B' * 27}"
    assert socket_status(scene.url, scene.url, forged) in (401, 403)


def test_neither_a_device_nor_a_program_gets_in_with_its_token(
    scene: Any, client: httpx.Client
) -> None:
    device = sign_token("cam-1", load_device_key(scene.keys, "cam-1"), audience_of(scene.keys))
    key, audience = load_client_key(scene.keys, "dashboard"), client_audience(scene.keys)
    for token in (device, sign_token("dashboard", key, audience)):
        headers = {"Authorization": f"Bearer {token}"}
        cookie = {"Cookie": f"mastra_session={token}"}
        for path in PATHS:
            assert client.get(path, headers=headers).status_code == 401, path
            assert client.get(path, headers={**headers, **cookie}).status_code == 401, path
        assert socket_status(scene.url, scene.url, token) in (401, 403)


def test_a_foreign_page_gets_nothing_with_our_cookie(scene: Any, client: httpx.Client) -> None:
    cookie = enter(client, scene.url)
    assert socket_status(scene.url, scene.url, cookie) == 101
    for origin in ("https://evil.test", "null", scene.url + "0", ""):
        assert socket_status(scene.url, origin, cookie) == 403
    for path in PATHS:
        assert client.get(path, headers={"Origin": "https://evil.test"}).status_code == 403
    for headers in ({}, {"Origin": "https://evil.test"}):
        assert client.post("/logout", headers=headers).status_code == 403
    assert client.get("/audit", headers={"Host": "evil.test"}).status_code == 403
    assert client.get("/audit").status_code == 200


def test_a_session_that_has_ended_opens_neither_page_nor_socket(
    scene: Any, client: httpx.Client
) -> None:
    cookie = enter(client, scene.url)
    assert client.post("/logout", headers={"Origin": scene.url}).status_code == 303
    client.cookies.clear()
    headers = {"Cookie": f"mastra_session={cookie}"}
    assert client.get("/audit", headers=headers).status_code == 401
    assert socket_status(scene.url, scene.url, cookie) in (401, 403)


@pytest.mark.parametrize(
    "path",
    [
        *("/device/..%2f..%2f..%2fetc%2fpasswd", "/device/%2e%2e/%2e%2e/etc/passwd"),
        *("/device/cam-1%00", "/device/cam-1%0d%0aX:%20y", "/_nicegui/../../etc/passwd"),
        "/device/%3Cscript%3Ewindow.pwned=1%3C%2Fscript%3E",
    ],
)
def test_a_path_leads_nowhere_else(scene: Any, client: httpx.Client, path: str) -> None:
    enter(client, scene.url)
    answer = client.get(path)
    assert answer.status_code in (200, 404)
    assert "root:" not in answer.text
    assert "<script>window.pwned" not in answer.text
    assert "x" not in answer.headers


def test_a_name_of_any_script_reaches_the_audit(scene: Any) -> None:
    async def work() -> Any:
        gateway = GatewayClient(scene.gateway.url, scene.keys, "dashboard")
        try:
            await gateway.set("cam-3", {"compression.quality": 31}, "李雷 %0a")
            with pytest.raises(GatewayError, match=r"expected stage\.parameter"):
                await gateway.set("cam-3", {"x" * 5000: 1}, "ada")
            with pytest.raises(GatewayError, match="expected at most"):
                await gateway.set("cam-3", {"compression.quality": "9" * 20_000}, "ada")
            return await gateway.get("/v1/audit", device="cam-3", limit=9)
        finally:
            await gateway.close()

    with ThreadPoolExecutor(1) as thread:  # the main one may have the loop of a browser
        told = thread.submit(asyncio.run, work()).result()["audit"]
    assert "dashboard for 李雷 %0a" in [one["who"] for one in told if one["action"] == "set"]


def test_who_guesses_from_an_address_cannot_say_that_it_is_another(
    scene: Any, client: httpx.Client
) -> None:
    def guess(n: int) -> httpx.Response:
        headers = {"Origin": scene.url, "X-Forwarded-For": f"10.0.0.{n}"}
        form = {"name": f"nobody-{n}", "password": "wrong password"}
        return client.post("/login", data=form, headers=headers)

    statuses = []
    while not statuses or (statuses[-1] == 401 and len(statuses) < 12):
        statuses.append(guess(len(statuses)).status_code)
    assert statuses[-1] == 429
    until_s = time.monotonic() + 60
    form = {"name": NAME, "password": PASSWORD}
    while client.post("/login", data=form, headers={"Origin": scene.url}).status_code != 303:
        assert time.monotonic() < until_s
        time.sleep(0.2)


@pytest.mark.parametrize(
    "headers",
    [
        [("Host", "evil.test")],
        [("Origin", "https://evil.test")],
        [("X-Forwarded-Host", "evil.test"), ("Origin", "http://evil.test")],
        [("Referer", "https://evil.test/"), ("Origin", "null")],
    ],
)
def test_settings_are_not_changed_by_a_form_of_another_page(
    scene: Any, client: httpx.Client, headers: list[tuple[str, str]]
) -> None:
    enter(client, scene.url)
    for path in ("/device/cam-1", "/", "/_nicegui_ws/socket.io/?EIO=4&transport=polling&sid=x"):
        answer = client.post(path, content=b'42["event",{}]', headers=headers)
        assert answer.status_code == 403, path


def test_what_is_in_the_headers_of_a_request_is_not_in_the_page(
    scene: Any, client: httpx.Client
) -> None:
    enter(client, scene.url)
    script = '"><script>window.pwned=1</script>'
    for name in ("X-Forwarded-Prefix", "Accept-Language", "User-Agent", "NiceGUI-Check"):
        assert "<script>window.pwned" not in client.get("/", headers={name: script}).text
    cookie = f"mastra_colours={script}; mastra_session={client.cookies['mastra_session']}"
    assert "<script>window.pwned" not in client.get("/", headers={"Cookie": cookie}).text


def test_what_is_too_large_is_refused_and_the_page_goes_on(
    scene: Any, client: httpx.Client
) -> None:
    cookie = enter(client, scene.url)
    with contextlib.suppress(httpx.TransportError):  # hung up in the midst of it
        large = b"x" * 1_000_000
        answer = httpx.post(f"{scene.url}/login", content=large, headers={"Origin": scene.url})
        assert answer.status_code >= 400
    assert client.get("/", headers={"Cookie": "a=" + "x" * 8000}).status_code in (303, 400, 431)
    address = scene.url.replace("http", "ws", 1) + SOCKET
    headers = {"Cookie": f"mastra_session={cookie}"}
    with connect(address, additional_headers=headers, origin=scene.url, proxy=None) as socket:
        socket.recv(60)
        with pytest.raises(ConnectionClosed):
            flood(socket)
    assert client.get("/audit").status_code == 200
