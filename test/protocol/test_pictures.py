"""Pictures for who looks are an extension: said only where both ends have named it."""

from __future__ import annotations

import pytest

from mastra_ros.errors import ProtocolError
from mastra_ros.protocol import Message, Role, Session, decode, encode
from mastra_ros.protocol.pictures import (
    EXTENSION,
    LEASE_MS_MAX,
    PICTURE_BYTES_MAX,
    PicturePiece,
    PictureWish,
    PictureWithheld,
)


def opened(device: tuple[str, ...], gateway: tuple[str, ...]) -> tuple[Session, Session]:
    """Both ends of an open session that announce these extensions."""
    below = Session(Role.DEVICE, device="cam", stream="main", now_ns=0, extensions=device)
    above = Session(Role.GATEWAY, device="cam", now_ns=0, extensions=gateway)
    above.receive(below.hello(0), 0)
    below.receive(above.welcome(0), 0)
    return below, above


UP: tuple[Message, ...] = (PicturePiece(1, 0, 3, b"abc"), PictureWithheld("privacy"))


def test_both_ends_say_it_where_both_have_named_it() -> None:
    below, above = opened((EXTENSION,), (EXTENSION,))
    wish = PictureWish(4000)
    assert below.receive(above.send(wish, 0), 0) == [wish]
    for message in UP:
        assert above.receive(below.send(message, 0), 0) == [message]


@pytest.mark.parametrize(("device", "gateway"), [((), (EXTENSION,)), ((EXTENSION,), ())])
def test_nobody_is_sent_it_that_has_not_named_it(
    device: tuple[str, ...], gateway: tuple[str, ...]
) -> None:
    below, above = opened(device, gateway)
    with pytest.raises(ProtocolError, match="knows no pictures"):
        above.send(PictureWish(4000), 0)
    for message in UP:
        with pytest.raises(ProtocolError, match="knows no pictures"):
            below.send(message, 0)
    # What comes all the same is skipped, and ends no session.
    assert above.receive(encode(UP[0]), 0) == []
    assert below.receive(encode(PictureWish(1)), 0) == []


def test_the_numbers_are_those_that_an_older_peer_skips() -> None:
    for message in (PictureWish(1), *UP):
        assert 64 <= message.TYPE_ID < 128
        assert decode(encode(message)) == message


def test_a_device_wishes_for_nothing_and_a_gateway_shows_nothing() -> None:
    below, above = opened((EXTENSION,), (EXTENSION,))
    with pytest.raises(ProtocolError):
        below.send(PictureWish(1), 0)
    with pytest.raises(ProtocolError):
        above.send(UP[0], 0)


@pytest.mark.parametrize(
    "make",
    [
        lambda: PictureWish(-1),
        lambda: PictureWish(LEASE_MS_MAX + 1),
        lambda: PicturePiece(1, 0, PICTURE_BYTES_MAX + 1, b"x"),
        lambda: PicturePiece(1, 0, 0, b""),
        lambda: PicturePiece(1, -1, 3, b"x"),
        lambda: PictureWithheld("x" * 257),
    ],
)
def test_what_is_out_of_range_is_no_message(make: object) -> None:
    with pytest.raises(ProtocolError):
        make()  # type: ignore[operator]
