"""Who waits, who is shown out, and whose handshake is next."""

from __future__ import annotations

from mastra_ros.gateway.door.acceptor import crowd_of
from mastra_ros.gateway.door.lobby import Lobby, Turnstile


def test_the_one_that_has_waited_longest_makes_room_for_the_next_of_its_address() -> None:
    lobby: Lobby[int] = Lobby(10, 2)
    assert [lobby.enter(n, "a") for n in range(4)] == [None, None, 0, 1]
    assert lobby.waiting("a") == len(lobby) == 2


def test_of_all_places_the_largest_crowd_gives_one_up() -> None:
    lobby: Lobby[str] = Lobby(3, 3)
    for guest in ("a1", "a2", "b1"):
        assert lobby.enter(guest, guest[0]) is None
    assert lobby.enter("c1", "c") == "a1"
    assert lobby.enter("d1", "d") in ("a2", "b1", "c1")


def test_who_has_left_gives_no_place_twice() -> None:
    lobby: Lobby[str] = Lobby(2, 2)
    lobby.enter("a1", "a")
    lobby.leave("a1", "a")
    lobby.leave("a1", "a")
    assert len(lobby) == lobby.waiting("a") == 0


def test_addresses_take_turns_and_the_newest_of_one_goes_first() -> None:
    turnstile: Turnstile[str] = Turnstile(1000.0, 10)
    for guest in ("a1", "a2", "a3", "b1"):
        turnstile.put(guest, guest[0])
    assert [turnstile.take(1.0) for _ in range(5)] == ["a3", "b1", "a2", "a1", None]


def test_after_a_burst_so_many_a_second_go_through() -> None:
    turnstile: Turnstile[int] = Turnstile(10.0, 2)
    for n in range(5):
        turnstile.put(n, "a")
    assert [turnstile.take(100.0) for _ in range(3)] == [4, 3, None]
    assert 0.09 < turnstile.wait_s <= 0.1
    assert turnstile.take(100.0 + turnstile.wait_s + 1e-6) == 2
    turnstile.withdraw(0, "a")
    turnstile.withdraw(7, "a")
    assert len(turnstile) == 1


def test_a_network_of_ipv6_is_one_crowd() -> None:
    assert crowd_of("2001:db8::1") == crowd_of("2001:db8::ffff:1") == "2001:db8::/64"
    assert crowd_of("2001:db8:0:1::1") != crowd_of("2001:db8::1")
    assert crowd_of("::ffff:10.0.0.1") == crowd_of("10.0.0.1") == "10.0.0.1"
    assert crowd_of("fe80::1%eth0") == "fe80::/64"
