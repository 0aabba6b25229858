"""What pixels mean, whoever made them: bit depth, and files of still pictures.

Nothing here knows a camera, a message or a model; every stage may use it.
"""

from __future__ import annotations

from .depth import PictureReader, eight_bits
from .still import decode_still_file, still_size

__all__ = ["PictureReader", "decode_still_file", "eight_bits", "still_size"]
