"""Heads of persons and lower bands of vehicles in which no face and no plate was found.

What the task's own detector sees bounds what the others may miss: there is somebody with a head.
"""

from __future__ import annotations

from collections.abc import Sequence

from .region import BAND, FACE, HEAD, PERSON, PLATE, VEHICLE, Region

HEAD_HEIGHT, HEAD_WIDTH = 0.25, 0.8
"""Of a person's box: how much of it the head region takes, from the top and about the middle."""
BAND_HEIGHT = 0.45
"""Of a vehicle's box, from below: number plates are mounted low at either end."""

_INSIDE = {PERSON: (FACE, HEAD), VEHICLE: (PLATE,)}

LABELS = {
    **dict.fromkeys(("person", "pedestrian", "rider", "cyclist", "people"), PERSON),
    **dict.fromkeys(
        ("car", "truck", "bus", "motorcycle", "motorbike", "van", "vehicle", "trailer"), VEHICLE
    ),
}
"""What the labels of a task's model mean here, in lower case."""


def bands(objects: Sequence[Region], found: Sequence[Region]) -> list[Region]:
    """A head or a band for every person and vehicle inside which nothing was found."""
    made = []
    for thing in objects:
        kinds = _INSIDE.get(thing.kind)
        if kinds is None or any(r.kind in kinds and _inside(r, thing) for r in found):
            continue
        made.append(_head(thing) if thing.kind == PERSON else _band(thing))
    return made


def _head(person: Region) -> Region:
    width = HEAD_WIDTH * person.width
    left = person.x + (person.width - width) / 2
    return Region(left, person.y, width, HEAD_HEIGHT * person.height, HEAD, person.score)


def _band(vehicle: Region) -> Region:
    height = BAND_HEIGHT * vehicle.height
    top = vehicle.y + vehicle.height - height
    return Region(vehicle.x, top, vehicle.width, height, BAND, vehicle.score)


def _inside(region: Region, thing: Region) -> bool:
    """Whether the middle of a region lies in a thing."""
    x, y = region.x + region.width / 2, region.y + region.height / 2
    return thing.x <= x <= thing.x + thing.width and thing.y <= y <= thing.y + thing.height
