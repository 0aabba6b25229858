"""Ids of frames in the nodes: who gives them, and which picture an id means.

    RUN-NUMBER         given by the camera; in one process frames pass by reference, so all know it.
    RUN-NUMBER@DIGEST  given by the inference node to a picture that came as a message, which has no
                       place for an id. Other nodes find the picture by stamp and digest.
    @DIGEST            what any node can know of a picture that came as a message: not yet a name.

Two pictures with the same stamp and digest have the same pixels: either is right.
"""

from __future__ import annotations

import dataclasses
import itertools
import secrets

import xxhash
from sensor_msgs.msg import CompressedImage, Image

from ..types import Frame, FrameKey

MARK = "@"


def digest_of(message: Image | CompressedImage) -> str:
    """`@` and 16 digits, of the bytes of a picture and what they mean: 0.1 ms at 1080p."""
    if isinstance(message, CompressedImage):
        meaning = message.format
    else:
        shape = (message.width, message.height, message.step, message.is_bigendian)
        meaning = f"{message.encoding} {shape}"
    seed = xxhash.xxh32_intdigest(meaning.encode())
    return MARK + str(xxhash.xxh3_64_hexdigest(message.data, seed))


def picture_of(key: FrameKey) -> FrameKey:
    """The key under which a picture is known before it has a name; a camera's id stays."""
    before, mark, digest = key.id.partition(MARK)
    return key._replace(id=mark + digest) if before and mark else key


def as_named(frame: Frame, key: FrameKey) -> Frame:
    """The same picture under another key."""
    return frame if frame.key == key else dataclasses.replace(frame, key=key)


class Namer:
    """Gives ids to the pictures that came as messages; frames of a camera here have theirs."""

    def __init__(self) -> None:
        self._run = secrets.token_hex(6)
        self._numbers = itertools.count(1)

    def name(self, frame: Frame) -> Frame:
        """The frame under its full key."""
        if not frame.key.id.startswith(MARK):
            return frame
        frame_id = f"{self._run}-{next(self._numbers)}{frame.key.id}"
        return as_named(frame, frame.key._replace(id=frame_id))
