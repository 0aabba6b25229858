"""What a video encoder and its decoder promise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Coded:
    """One picture as an encoder made it; one that is no key rests on the picture before it."""

    data: bytes
    key: bool


class VideoEncoder(Protocol):
    """Encodes the pictures of one stream, one packet a picture, at once and in order."""

    @property
    def format(self) -> str:
        """The bitstream that it writes, one of `FORMATS`."""
        ...

    def encode(self, image: Image, encoding: str, *, key: bool, quality: int) -> Coded:
        """Encode the next picture.

        image: uint8 (height, width) for mono8, else (height, width, 3), of any size.
        key: it shall stand alone. It does so unasked where size or quality change.
        quality: 1 to 100, as like as the codecs allow between them.

        Raises:
            CodecError: it cannot be encoded; the next one has to be a key.
        """
        ...


class VideoDecoder(Protocol):
    """Decodes the packets of one stream of one size, in order, with the state that they need."""

    @property
    def bytes_kept(self) -> int:
        """Most memory that its pictures may take, bytes."""
        ...

    def decode(self, data: bytes) -> Image:
        """The picture of the next packet, as BGR (height, width, 3), or gray for mono8.

        Raises:
            CodecError: this is no single picture of the expected size and format; the decoder is
                of no more use.
        """
        ...
