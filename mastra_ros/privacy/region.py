"""What a finder gives, as the gate and all others name it: see finders/region."""

from .finders.region import (
    BAND,
    FACE,
    HEAD,
    PERSON,
    PLATE,
    VEHICLE,
    Finder,
    Image,
    Region,
    mask_of,
)

__all__ = [
    "BAND",
    "FACE",
    "HEAD",
    "PERSON",
    "PLATE",
    "VEHICLE",
    "Finder",
    "Image",
    "Region",
    "mask_of",
]
