"""Pictures of any orientation become upright: x to the marked side, y away from the probe.

PLUS names an orientation by where the axes of a picture lead: x to the marked (M) or the unmarked
(U) side of the probe, y far (F) from it or near (N) to it. With F or N first each row is a line of
echoes. A third letter is the elevation, which a picture has none of.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

LETTERS = ("MF", "MN", "UF", "UN", "FM", "FU", "NM", "NU")


def along_lines(letters: str) -> bool:
    """Whether each row is a line of echoes."""
    return letters[:1] in ("F", "N")


def eight_bits(image: NDArray[Any]) -> NDArray[np.uint8]:
    """Gray, (height, width) uint8, of gray or RGB of 8 or 16 bits; others are cut to 0 to 255."""
    if image.dtype == np.uint16:
        image = image >> 8
    elif image.dtype != np.uint8:
        image = np.clip(np.nan_to_num(image), 0, 255)
    if image.ndim == 3:
        image = image.astype(np.float64).mean(axis=2) + 0.5 if image.shape[2] > 1 else image[..., 0]
    return image.astype(np.uint8)


def upright(image: NDArray[Any], letters: str) -> NDArray[np.uint8]:
    """Gray of 8 bits. Lines of echoes become columns; one of no orientation stays as it is."""
    gray = eight_bits(image)
    if along_lines(letters):
        gray, letters = gray.T, letters[1:2] + letters[:1]
    if letters[:1] == "U":
        gray = gray[:, ::-1]
    if letters[1:2] == "N":
        gray = gray[::-1]
    return np.ascontiguousarray(gray)
