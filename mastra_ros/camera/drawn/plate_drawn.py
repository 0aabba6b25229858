"""The plates of drawn vehicles: texts by countries' formats, and their pictures."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]

FORMATS = {
    # country: formats of its plates; A a letter, 9 a digit
    "eu": ("AA999AA", "AA99AAA", "A999AAA", "AAA9999", "9A99999", "AA9999A"),
    "us": ("AAA9999", "9AAA999", "AAA999", "999AAA"),
}
LETTERS = "ABCDEFGHJKLMNPRSTUVWXYZ"
"""Without I, O and Q, as many countries issue them."""

SIZE_PX = (208, 56)


def draw_text(rng: np.random.Generator, country: str = "eu") -> str:
    """The text of a plate of this country."""
    formats = FORMATS[country]
    pattern = formats[rng.integers(len(formats))]
    return "".join(
        LETTERS[rng.integers(len(LETTERS))] if c == "A" else str(rng.integers(10)) for c in pattern
    )


def draw_plate(text: str, country: str = "eu") -> Image:
    """The picture of a plate (56, 208, 3), blue, green, red."""
    wide, high = SIZE_PX
    image = np.full((high, wide, 3), 238, np.uint8)
    cv2.rectangle(image, (1, 1), (wide - 2, high - 2), (40, 40, 40), 2)
    left = 8
    if country == "eu":
        cv2.rectangle(image, (2, 2), (22, high - 3), (150, 60, 20), -1)
        cv2.circle(image, (12, 18), 6, (60, 200, 230), 1, cv2.LINE_AA)
        left = 27
    font, thick = cv2.FONT_HERSHEY_DUPLEX, 3
    (across, up), _ = cv2.getTextSize(text, font, 1.0, thick)
    room = wide - left - 8
    plain = np.full((up + 12, across + 12, 3), 238, np.uint8)
    cv2.putText(plain, text, (6, up + 5), font, 1.0, (25, 20, 20), thick, cv2.LINE_AA)
    letters = cv2.resize(plain, (room, high - 14), interpolation=cv2.INTER_AREA)
    image[7 : high - 7, left : left + room] = letters
    return image
