"""The bodies of drawn vehicles and persons: polygons in metres, made once a vehicle.

A body lies along x (its front ahead), its width along y, z up, the middle of its ground at 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Colour = tuple[float, float, float]

TYPES = ("car", "van", "truck", "bus", "motorcycle", "bicycle", "person")

GLASS, TYRE, CHROME = (70.0, 62.0, 55.0), (26.0, 25.0, 24.0), (170.0, 168.0, 165.0)
WHITE_LAMP, RED_LAMP = (225.0, 240.0, 245.0), (40.0, 35.0, 190.0)

PAINTS: tuple[Colour, ...] = (
    *((238.0, 238.0, 236.0),) * 3,
    *((30.0, 28.0, 27.0),) * 3,
    *((120.0, 120.0, 118.0),) * 2,
    *((185.0, 186.0, 184.0),) * 2,
    (60.0, 40.0, 30.0),
    (150.0, 80.0, 40.0),
    (40.0, 35.0, 160.0),
    (60.0, 90.0, 40.0),
    (70.0, 120.0, 190.0),
    (60.0, 190.0, 220.0),
)
"""Blue, green, red of what drives about; the frequent ones stand there more often."""


@dataclass(frozen=True)
class Face:
    """A flat polygon (n, 3), its points counter-clockwise for who sees it from outside.

    layer: 0 is the body, 1 what lies upon it.
    """

    points: Floats
    colour: Colour
    layer: int = 0


@dataclass(frozen=True)
class Shape:
    """A body: faces, its size in m, and where plates are: (4, 3) corners from the top left."""

    type: str
    length_m: float
    width_m: float
    height_m: float
    faces: tuple[Face, ...]
    plates: tuple[Floats, ...]


def shape_of(kind: str, rng: np.random.Generator) -> Shape:
    """A body of this type, of its own size, form and colours."""
    paint = np.array(PAINTS[rng.integers(len(PAINTS))]) + rng.normal(0, 8, 3)
    if kind in ("motorcycle", "bicycle"):
        return _two_wheels(kind, rng, paint)
    if kind == "person":
        return _person(rng)
    return _body(kind, rng, paint)


Profile = list[tuple[float, float]]
"""Along the top from the front bumper to the rear, as shares of length and height."""

CARS: tuple[tuple[Profile, float, float, float], ...] = (
    # profile, length, width and height in m
    ([(0, 0.45), (0.27, 0.62), (0.42, 1), (0.68, 1), (0.84, 0.66), (1, 0.6)], 4.6, 1.82, 1.45),
    ([(0, 0.47), (0.24, 0.63), (0.4, 1), (0.86, 0.97), (0.99, 0.62)], 4.2, 1.8, 1.48),
    ([(0, 0.47), (0.25, 0.6), (0.38, 0.98), (0.92, 0.98), (1, 0.6)], 4.7, 1.84, 1.5),
    ([(0, 0.5), (0.22, 0.64), (0.34, 1), (0.9, 0.98), (0.99, 0.6)], 4.5, 1.9, 1.7),
)
VANS: tuple[tuple[Profile, float, float, float], ...] = (
    ([(0, 0.42), (0.12, 0.56), (0.26, 0.98), (0.98, 1), (1, 0.5)], 5.0, 1.95, 1.98),
    ([(0, 0.4), (0.1, 0.48), (0.2, 0.92), (0.26, 1), (0.99, 1), (1, 0.5)], 5.8, 2.05, 2.5),
)
TRUCKS: tuple[tuple[Profile, float, float, float], ...] = (
    ([(0, 0.35), (0.02, 0.9), (0.22, 0.92), (0.24, 1), (0.99, 1), (1, 0.3)], 8.0, 2.45, 3.3),
    ([(0, 0.32), (0.01, 0.94), (0.14, 0.95), (0.16, 1), (0.99, 1), (1, 0.3)], 14.0, 2.5, 3.8),
)
BUSES: tuple[tuple[Profile, float, float, float], ...] = (
    ([(0, 0.4), (0.015, 0.97), (0.03, 1), (0.98, 1), (1, 0.4)], 12.0, 2.55, 3.0),
    ([(0, 0.4), (0.02, 0.95), (0.05, 1), (0.98, 1), (1, 0.4)], 9.5, 2.45, 2.9),
)
FORMS = {"car": CARS, "van": VANS, "truck": TRUCKS, "bus": BUSES}
BELT = {"car": 0.6, "van": 0.55, "truck": 0.55, "bus": 0.42}
"""The lower edge of the windows, as a share of the height."""


def _body(kind: str, rng: np.random.Generator, paint: Floats) -> Shape:
    forms = FORMS[kind]
    profile, length, width, height = forms[rng.integers(len(forms))]
    length, width = length * rng.uniform(0.93, 1.07), width * rng.uniform(0.96, 1.03)
    height *= rng.uniform(0.95, 1.06)
    low, belt = 0.17 if height < 2.2 else 0.35 / height * 1.2, BELT[kind]
    top = [(length * (0.5 - u), height * w) for u, w in profile]
    front, rear = length / 2, -length / 2
    floor = height * low
    cargo = np.array(PAINTS[rng.integers(len(PAINTS))]) if kind == "truck" else paint
    cab = length * (0.5 - (0.23 if length < 10 else 0.15))

    def side_m(z: float) -> float:
        """Half the width at this height: windows lean in."""
        lean = 0.16 if kind == "car" else 0.04
        over = max(0.0, z / height - belt) / (1 - belt)
        return width / 2 * (1 - lean * over)

    faces: list[Face] = []
    outline = [(front, floor), *top, (rear, floor)]
    glass = np.array(GLASS) * rng.uniform(0.5, 1.5)
    for (xa, za), (xb, zb) in pairwise(outline):
        quad = np.array(
            [
                (xa, -side_m(za), za),
                (xa, side_m(za), za),
                (xb, side_m(zb), zb),
                (xb, -side_m(zb), zb),
            ]
        )
        steep = abs(zb - za) > 0.22 * abs(xb - xa)
        high = min(za, zb) >= height * (belt - 0.14) and max(za, zb) > height * 0.8
        colour = cargo if kind == "truck" and xb < cab else paint
        light = 1.08 if not steep else 0.94 if xa > 0 else 0.86
        faces.append(Face(quad, _lit(colour, light)))
        windscreen = steep and high and (kind != "truck" or xa > cab)
        if windscreen:
            faces.append(Face(_shrunk(quad, 0.9), _lit(glass, 1.0), 1))
    for sign in (-1, 1):
        wall = [(x, sign * side_m(z), z) for x, z in outline]
        faces.append(Face(np.array(wall), _lit(paint, 0.84 if sign < 0 else 0.78)))
        if kind == "truck":
            box = [p for p in outline if p[0] < cab]
            box = [(cab, floor * 1.2), (cab, height), *[p for p in box if p[1] > floor * 1.5]]
            box += [(rear, floor * 1.2)]
            faces.append(
                Face(
                    np.array([(x, sign * (width / 2 + 0.01), z) for x, z in box]),
                    _lit(cargo, 0.82),
                    1,
                )
            )
        faces += _side_windows(kind, rng, top, side_m, sign, height * belt, height, cab, glass)
        for x in _axles(kind, length):
            faces.append(_wheel(x, sign * (width / 2 + 0.02), 0.33 if height < 2.2 else 0.48))
    faces += _ends(kind, rng, front, rear, width, height, glass)
    plate_z = height * (0.3 if kind == "car" else 0.22)
    plates = tuple(_plate(x, plate_z, ahead) for x, ahead in ((front, 1), (rear, -1)))
    middle = np.array((0.0, 0.0, height * 0.45))
    return Shape(kind, length, width, height, tuple(_outward(f, middle) for f in faces), plates)


def _side_windows(
    kind: str,
    rng: np.random.Generator,
    top: list[tuple[float, float]],
    side_m: object,
    sign: int,
    belt: float,
    height: float,
    cab: float,
    glass: Floats,
) -> list[Face]:
    assert callable(side_m)
    above = [(x, z) for x, z in top if z > height * 0.8]
    first, last = above[0][0], above[-1][0]
    if kind in ("truck", "van"):
        last = max(last, first - 1.5) if kind == "truck" or rng.random() < 0.6 else last + 0.4
        last = max(last, cab - 0.2) if kind == "truck" else last
    slope = 0.35 if kind == "car" else 0.1
    panes = {"car": 2, "bus": 6}.get(kind, 1)
    edges = np.linspace(first - 0.06, last + 0.08, panes + 1)
    made = []
    for k in range(panes):
        a, b = edges[k] - 0.05, edges[k + 1] + 0.05
        low, high = belt + 0.03, height * 0.94
        grow = slope * (high - low)
        ahead, behind = (grow if k == 0 else 0.0), (grow if k == panes - 1 else 0.0)
        pane = [(a + ahead, low), (a, high), (b, high), (b - behind, low)]
        points = np.array([(x, sign * (side_m(z) + 0.01), z) for x, z in pane])
        made.append(Face(points, _lit(glass, 0.9), 1))
    return made


def _ends(
    kind: str,
    rng: np.random.Generator,
    front: float,
    rear: float,
    width: float,
    height: float,
    glass: Floats,
) -> list[Face]:
    """Lamps, grille and bumper; the rear of vans and trucks has doors."""
    made = []
    low, high = height * 0.34, height * (0.42 if kind == "car" else 0.4)
    if height > 2.2:
        low, high = height * 0.2, height * 0.26
    for y in (-0.38, 0.38):
        for x, ahead in ((front, 1), (rear, -1)):
            half = width * 0.085
            quad = _upright(x + ahead * 0.02, y * width, half, low, high, ahead)
            made.append(Face(quad, WHITE_LAMP if ahead > 0 else RED_LAMP, 1))
    grille = _upright(front + 0.02, 0.0, width * 0.24, height * 0.3, height * 0.38, 1)
    made.append(Face(grille, (35.0, 34.0, 33.0), 1))
    for x, ahead in ((front, 1), (rear, -1)):
        bumper = _upright(x + ahead * 0.015, 0.0, width * 0.47, height * 0.13, height * 0.19, ahead)
        made.append(Face(bumper, (45.0, 44.0, 43.0), 1))
    if kind == "bus":
        made.append(
            Face(
                _upright(front - 0.1, 0.0, width * 0.44, height * 0.42, height * 0.86, 1),
                _lit(glass, 0.9),
                1,
            )
        )
        board = _upright(front - 0.02, 0.0, width * 0.3, height * 0.88, height * 0.96, 1)
        made.append(Face(board, (20.0, 150.0, 230.0) if rng.random() < 0.5 else (20.0,) * 3, 1))
        pane = _upright(rear + 0.1, 0.0, width * 0.38, height * 0.55, height * 0.85, -1)
        made.append(Face(pane, _lit(glass, 0.9), 1))
    if kind == "van":
        for y in (-0.23, 0.23):
            pane = _upright(rear - 0.02, y * width, width * 0.19, height * 0.6, height * 0.86, -1)
            made.append(Face(pane, _lit(glass, 0.9), 1))
    if kind == "truck":
        made.append(
            Face(
                _upright(front + 0.02, 0.0, width * 0.42, height * 0.52, height * 0.78, 1),
                _lit(glass, 0.9),
                1,
            )
        )
    return made


def _two_wheels(kind: str, rng: np.random.Generator, paint: Floats) -> Shape:
    motor = kind == "motorcycle"
    length = (2.1 if motor else 1.75) * rng.uniform(0.95, 1.05)
    radius = 0.31 if motor else 0.34
    thin = 0.09 if motor else 0.03
    clothes = rng.uniform(15, 200, 3)
    trousers = rng.uniform(15, 110, 3)
    faces: list[Face] = []
    for x in (length / 2 - radius, -length / 2 + radius):
        faces += _box(x, 0, radius, radius * 0.95, thin, radius * 2, np.array(TYRE))
        for sign in (-1, 1):
            rim = _wheel(x, sign * thin, radius, CHROME if motor else (120.0,) * 3)
            faces.append(_outward(rim, np.array((x, 0.0, radius))))
    body = (0.55, 0.3, 0.5) if motor else (0.5, 0.06, 0.12)
    faces += _box(0, 0, 0.55, body[0], body[1] / 2, body[2], paint)
    seat = 0.82 if motor else 0.95
    for sign in (-1, 1):
        faces += _box(0.1, sign * 0.15, seat - 0.3, 0.09, 0.08, 0.7, trousers)
    faces += _box(-0.02, 0, seat + 0.28, 0.14, 0.22, 0.58, clothes)
    faces += _box(0.28, 0, seat + 0.2, 0.24, 0.24, 0.1, clothes * 0.9)
    helmet = rng.uniform(10, 240, 3) if motor or rng.random() < 0.5 else np.array((60, 80, 110.0))
    faces += _box(0.06, 0, seat + 0.7, 0.12, 0.11, 0.26, helmet)
    if motor:
        lamp = _upright(length * 0.36, 0.0, 0.09, 0.75, 0.92, 1)
        faces.append(_outward(Face(lamp, WHITE_LAMP, 1), np.zeros(3)))
    plates = (_plate(-length / 2, 0.6, -1, 0.2),) if motor else ()
    return Shape(kind, length, 0.65, seat + 0.83, tuple(faces), plates)


def _person(rng: np.random.Generator) -> Shape:
    tall = rng.uniform(1.5, 1.9)
    coat, trousers = rng.uniform(15, 210, 3), rng.uniform(15, 120, 3)
    skin = np.array((110, 140, 190.0)) * rng.uniform(0.4, 1.15)
    faces: list[Face] = []
    step = rng.uniform(0.0, 0.18)
    for sign in (-1, 1):
        faces += _box(sign * step, sign * 0.1, tall * 0.24, 0.08, 0.07, tall * 0.48, trousers)
        faces += _box(-sign * step, sign * 0.25, tall * 0.62, 0.06, 0.05, tall * 0.34, coat * 0.9)
    faces += _box(0, 0, tall * 0.64, 0.12, 0.2, tall * 0.36, coat)
    faces += _box(0, 0, tall * 0.92, 0.09, 0.08, tall * 0.14, skin)
    hair = np.array((20, 30, 45.0)) * rng.uniform(0.5, 3)
    faces += _box(-0.02, 0, tall * 0.97, 0.1, 0.085, tall * 0.06, hair)
    return Shape("person", 0.4, 0.55, tall, tuple(faces), ())


def _box(
    x: float, y: float, z: float, half_x: float, half_y: float, high: float, colour: Floats
) -> list[Face]:
    """Five faces of a box around this middle (its underside is never seen)."""
    a, b, c = half_x, half_y, high / 2
    corners = np.array([(i, j, k) for i in (-a, a) for j in (-b, b) for k in (-c, c)])
    corners += np.array((x, y, z))
    quads = {
        (4, 6, 7, 5): 0.95,  # front
        (2, 0, 1, 3): 0.82,  # rear
        (0, 4, 5, 1): 0.86,
        (6, 2, 3, 7): 0.78,
        (1, 5, 7, 3): 1.1,  # top
    }
    middle = np.array((x, y, z))
    return [
        _outward(Face(corners[list(quad)], _lit(colour, light)), middle)
        for quad, light in quads.items()
    ]


def _axles(kind: str, length: float) -> list[float]:
    half = length / 2
    if kind == "truck":
        rear = [-half + 1.2, -half + 2.5] if length > 10 else [-half + 1.8]
        return [half - 1.3, *rear]
    if kind == "bus":
        return [half - 2.6, -half + 3.0]
    return [half - 0.9, -half + 0.85]


def _wheel(x: float, y: float, radius: float, colour: Colour = TYRE) -> Face:
    turn = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    rim = np.stack(
        [x + radius * np.cos(turn), np.full(12, y), radius + radius * np.sin(turn)], axis=1
    )
    return Face(rim, colour, 1)


def _plate(x: float, z: float, ahead: int, half_m: float = 0.4) -> Floats:
    """Drawn half as large again as real ones: small pictures are to show some that can be read."""
    return _upright(x + ahead * 0.03, 0.0, half_m, z - half_m * 0.27, z + half_m * 0.27, ahead)


def _upright(x: float, y: float, half: float, low: float, high: float, ahead: int) -> Floats:
    """A quad that looks ahead (1) or back (-1), from the top left as one sees who looks at it."""
    left = y + (-half if ahead < 0 else half) * -1
    right = y - (-half if ahead < 0 else half) * -1
    return np.array([(x, left, high), (x, right, high), (x, right, low), (x, left, low)])


def _shrunk(quad: Floats, share: float) -> Floats:
    middle = quad.mean(0)
    normal = np.cross(quad[1] - quad[0], quad[2] - quad[1])
    lifted = normal / max(1e-9, float(np.linalg.norm(normal))) * 0.01
    return np.asarray(middle + (quad - middle) * share + lifted)


def _outward(face: Face, middle: Floats) -> Face:
    """The face with its points in the order that turns its back to the middle of the body."""
    points = face.points
    normal = np.cross(points[1] - points[0], points[2] - points[1])
    if np.dot(normal, points.mean(0) - middle) < 0:
        points = points[::-1]
    return Face(points, face.colour, face.layer)


def _lit(colour: Floats, light: float) -> Colour:
    blue, green, red = np.clip(np.asarray(colour, float) * light, 0, 255).tolist()
    return blue, green, red
