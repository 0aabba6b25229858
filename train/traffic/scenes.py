"""Drawn roads of all kinds, as cameras see them: by day, night and rain, from anywhere."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from mastra_ros.camera.drawn.plate_drawn import draw_text
from mastra_ros.camera.drawn.road_view import RoadView
from mastra_ros.camera.drawn.vehicle_paint import Body
from mastra_ros.camera.drawn.vehicle_shape import TYPES, shape_of

Rgb = npt.NDArray[np.uint8]
Boxes = npt.NDArray[np.float32]

SCENE_PX = (448, 288)
"""Width and height."""
SHARES = (0.36, 0.16, 0.13, 0.09, 0.09, 0.08, 0.09)
"""Of the types, in the order of TYPES."""
VISIBLE = 0.3
"""A body of which less is seen is not to be found."""
LEAST_PX = 7.0


def draw_scene(rng: np.random.Generator) -> tuple[Rgb, Boxes]:
    """A picture (288, 448, 3), blue, green, red, and its objects (n, 5): box in px and type."""
    wide, high = SCENE_PX
    view = RoadView(
        wide,
        high,
        height_m=float(rng.uniform(2.2, 12.0)),
        tilt_deg=float(rng.choice([rng.uniform(2, 24), rng.uniform(10, 60)], p=[0.75, 0.25])),
        pan_deg=float(rng.normal(0, 18)),
        focal=float(rng.uniform(0.6, 1.7)),
    )
    light = float(rng.choice([rng.uniform(0.75, 1.1), rng.uniform(0.18, 0.5)], p=[0.8, 0.2]))
    image = _ground(rng, view, light)
    night = light < 0.5
    bodies: list[tuple[Body, float, float, float, float]] = []
    heading = rng.normal(0, 0.5) + np.pi / 2
    for _ in range(int(rng.integers(2, 26))):
        kind = TYPES[rng.choice(len(TYPES), p=SHARES)]
        body = Body(shape_of(kind, rng), draw_text(rng, ("eu", "us")[rng.integers(2)]))
        spot = view.on_road(
            np.array([[rng.uniform(-40, wide + 40), high * rng.uniform(0.12, 1.15)]])
        )[0]
        far = float(np.hypot(*spot))
        if not 3.0 < far < 130.0 or spot[1] < 2.0:
            continue
        turn = heading + rng.choice([0, np.pi, rng.uniform(0, 6.28)], p=[0.4, 0.4, 0.2])
        turn += rng.normal(0, 0.06)
        reach = body.shape.length_m / 2 + 0.6
        if any(np.hypot(spot[0] - x, spot[1] - y) < 0.75 * (reach + r) for _, x, y, _, r in bodies):
            continue
        bodies.append((body, float(spot[0]), float(spot[1]), float(turn), reach))
    bodies.sort(key=lambda one: -view.project(np.array([[one[1], one[2], 0.5]]))[1][0])
    owner = np.zeros((high, wide), np.uint8)
    found = []
    for number, (body, x, y, turn, _) in enumerate(bodies, 1):
        shine = light * float(rng.uniform(0.8, 1.15))
        painted = body.paint(image, view, x, y, turn, shine, lamps=night)
        if painted is None:
            continue
        hull = body.outline(view, x, y, turn)
        cv2.fillConvexPoly(owner, np.round(hull).astype(np.int32), number)
        whole = np.zeros((high, wide), np.uint8)
        cv2.fillConvexPoly(whole, np.round(hull).astype(np.int32), 1)
        found.append((number, TYPES.index(body.shape.type), painted.box, int(whole.sum())))
    boxes = []
    for number, kind_index, box, area in found:
        left, top = max(box[0], 0.0), max(box[1], 0.0)
        right, bottom = min(box[2], float(wide)), min(box[3], float(high))
        seen = int((owner == number).sum()) / max(1, area)
        if seen < VISIBLE or min(right - left, bottom - top) < LEAST_PX * 0.6:
            continue
        if max(right - left, bottom - top) >= LEAST_PX:
            boxes.append((left, top, right, bottom, kind_index))
    image = _spoiled(rng, image, night)
    return image, np.array(boxes, np.float32).reshape(-1, 5)


def _ground(rng: np.random.Generator, view: RoadView, light: float) -> Rgb:
    """Road, lanes, kerbs, and what stands at the sides and behind."""
    wide, high = SCENE_PX
    grey = rng.uniform(50, 150)
    image = np.full((high, wide, 3), grey + rng.normal(0, 4, 3), np.float32)
    horizon = view.project(np.array([[0.0, 4000.0, 0.0]]))[0][0, 1]
    rows = np.arange(high)[:, None, None]
    image *= 1 + 0.15 * rng.uniform(-1, 1) * (rows - high / 2) / high
    line = float(rng.uniform(170, 250))
    first = rng.uniform(-14, -4)
    for k in range(int(rng.integers(2, 7))):
        x = first + 3.4 * k
        dashed = rng.random() < 0.7
        for y in np.arange(2, 110, 9 if dashed else 20):
            long = 4 if dashed else 20
            _flat(image, view, x, float(y), 0.14, long, (line,) * 3)
    if rng.random() < 0.4:
        for k in range(12):
            _flat(image, view, first + 1.2 * k, float(rng.uniform(12, 13)), 0.5, 3.0, (line,) * 3)
    for sign in (-1, 1):  # grass or pavement
        if rng.random() < 0.7:
            colour = rng.uniform(40, 150, 3)
            edge = sign * rng.uniform(5, 16)
            quad = np.array(
                [(edge, 2), (edge + sign * 300, 2), (edge + sign * 300, 900), (edge, 900)]
            )
            _polygon(image, view, quad, colour.tolist())
    if horizon > 0:
        top = int(min(horizon, high))
        image[:top] = rng.uniform(90, 250) + rng.normal(0, 12, 3)
        for _ in range(int(rng.integers(2, 22))):
            _house(rng, image, top)
    for _ in range(int(rng.integers(0, 10))):  # trees, poles, signs
        across, along = rng.uniform(0, wide), rng.uniform(0, high)
        if rng.random() < 0.5:
            axes = (int(rng.integers(4, 40)), int(rng.integers(6, 50)))
            cv2.ellipse(
                image,
                (int(across), int(along)),
                axes,
                0,
                0,
                360,
                rng.uniform(10, 110, 3).tolist(),
                -1,
            )
        else:
            down = int(along + rng.uniform(10, 160))
            tone = (float(rng.uniform(20, 200)),) * 3
            cv2.line(
                image, (int(across), int(along)), (int(across), down), tone, int(rng.integers(1, 5))
            )
            if rng.random() < 0.5:
                cv2.circle(
                    image,
                    (int(across), int(along)),
                    int(rng.integers(3, 12)),
                    rng.uniform(0, 250, 3).tolist(),
                    -1,
                )
    coarse = rng.normal(0, rng.uniform(2, 14), (high // 8, wide // 8, 1)).astype(np.float32)
    image += cv2.resize(coarse, (wide, high))[..., None]
    return np.asarray(np.clip(image * light, 0, 255), np.uint8)


def _house(rng: np.random.Generator, image: npt.NDArray[np.float32], horizon: int) -> None:
    wide = image.shape[1]
    x, w = int(rng.uniform(-60, wide)), int(rng.uniform(10, 160))
    h = int(rng.uniform(5, 140))
    tone = rng.uniform(20, 220) + rng.normal(0, 15, 3)
    cv2.rectangle(
        image, (x, horizon - h), (x + w, horizon + int(rng.integers(0, 12))), tone.tolist(), -1
    )
    step, rise = int(rng.integers(5, 18)), int(rng.integers(6, 18))
    pane = rng.uniform(10, 240, 3).tolist()
    for a in range(x + 3, x + w - 3, step):
        for b in range(horizon - h + 3, horizon - 3, rise):
            cv2.rectangle(image, (a, b), (a + step // 2, b + rise // 2), pane, -1)


def _flat(
    image: npt.NDArray[np.float32],
    view: RoadView,
    x: float,
    y: float,
    wide: float,
    long: float,
    colour: tuple[float, ...],
) -> None:
    quad = np.array([(x, y), (x + wide, y), (x + wide, y + long), (x, y + long)])
    _polygon(image, view, quad, list(colour))


def _polygon(
    image: npt.NDArray[np.float32],
    view: RoadView,
    flat: npt.NDArray[np.float64],
    colour: list[float],
) -> None:
    spots, far = view.project(np.hstack([flat, np.zeros((len(flat), 1))]))
    if far.min() > 0.3 and np.abs(spots).max() < 30000:
        cv2.fillPoly(image, [np.round(spots * 16).astype(np.int32)], colour, cv2.LINE_AA, 4)


def _spoiled(rng: np.random.Generator, image: Rgb, night: bool) -> Rgb:
    """Rain, glow of lamps, haze and gloss."""
    wide, high = SCENE_PX
    made = image.astype(np.float32)
    if night:
        bright = np.maximum(made - 140, 0)
        made += cv2.GaussianBlur(bright, (0, 0), float(rng.uniform(2, 7))) * rng.uniform(1, 4)
    if rng.random() < 0.12:
        for _ in range(int(rng.integers(40, 300))):
            x, y = rng.uniform(0, wide), rng.uniform(0, high)
            long, lean = rng.uniform(4, 20), rng.uniform(-2, 2)
            cv2.line(made, (int(x), int(y)), (int(x + lean), int(y + long)), (190.0,) * 3, 1)
    if rng.random() < 0.25:  # haze
        share = rng.uniform(0.05, 0.45)
        made = made * (1 - share) + rng.uniform(120, 235) * share
    shade = rng.normal(0, 0.08, (5, 7, 1)).astype(np.float32)
    made *= 1 + cv2.resize(shade, (wide, high))[..., None]
    return np.asarray(np.clip(made, 0, 255), np.uint8)
