"""The device's token: renewed within the session where the gateway takes that, else made anew."""

from __future__ import annotations

import time
from typing import Any

import pytest

from mastra_ros.bridge.client import AT_ONCE_S, LASTING_S
from mastra_ros.protocol import Goodbye, Hello, Renewal, Session, Welcome
from mastra_ros.protocol.tokens import verify_token

DEADLINE_MS = 5000.0


def renewals(gateway: Any) -> list[Renewal]:
    return [message for message in gateway.heard if isinstance(message, Renewal)]


def test_the_token_is_renewed_within_the_session_before_it_expires(
    connected: Any, gateway: Any, ears: Any, packet: Any
) -> None:
    client = connected(token_lifetime_s=0.5)
    ears.wait(lambda: len(renewals(gateway)) >= 3)
    (hello,) = [message for message in gateway.heard if isinstance(message, Hello)]
    assert hello.renews
    tokens = [*gateway.tokens, *(message.token for message in renewals(gateway))]
    assert len(set(tokens)) == len(tokens), "each is a fresh one"
    device = verify_token(tokens[-1], gateway._keys, "mastra-gateway")
    assert device == hello.device
    client.send(packet(1), DEADLINE_MS)
    ears.wait(lambda: ears.results)
    assert ears.status.session == 1


def test_a_gateway_that_does_not_announce_it_is_sent_no_renewal(
    connected: Any, gateway: Any, ears: Any, packet: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As a gateway of before answers, which knows nothing of renewals.
    monkeypatch.setattr(
        Session, "welcome", lambda self, now_ns, settings=None: self.send(Welcome(1, "s"), now_ns)
    )
    client = connected(token_lifetime_s=0.2)
    began_s = time.monotonic()
    for stamp_ns in range(1, 1000):
        client.send(packet(stamp_ns), DEADLINE_MS)
        ears.wait(lambda stamp_ns=stamp_ns: len(ears.results) >= stamp_ns)
        if time.monotonic() - began_s > 0.6:
            break
    assert not renewals(gateway)


def test_after_a_session_that_the_gateway_ends_in_order_the_device_is_back_at_once(
    connected: Any, gateway: Any, ears: Any
) -> None:
    client = connected(reconnect_delay_min_s=20.0, reconnect_delay_max_s=20.0)
    lasting_s = time.monotonic() + LASTING_S
    ears.wait(lambda: time.monotonic() > lasting_s + 0.1)
    gateway.say(Goodbye("closing", "the token has expired"))
    ears.wait_status(lambda status: status.link.connected and status.session == 2)
    assert client._next_pause_s() > AT_ONCE_S, "a short session is no success"


def test_a_bomb_of_the_gateway_ends_the_session_and_the_device_goes_on(
    connected: Any, gateway: Any, ears: Any, packet: Any
) -> None:
    client = connected()
    bomb = b"\x92\x05\x81\xa6labels\xdc\x08\x00" + (b"\xdc\x07\xf0" + b"\x90" * 2032) * 2048
    gateway.say_raw(bomb)
    ears.wait_status(lambda status: status.session == 2 and status.link.connected)
    assert any("expected at most 8192 objects" in status.error for status in ears.statuses)
    client.send(packet(1), DEADLINE_MS)
    ears.wait(lambda: ears.results)
