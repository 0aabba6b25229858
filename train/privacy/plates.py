"""Number plates of many countries, drawn: layouts, colours, letters, frames, screws, dirt."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from train.privacy.packing import CANVAS_PX

Rgba = npt.NDArray[np.uint8]
Colour = tuple[int, int, int]
Colours = tuple[Colour, ...]
Box = tuple[float, float, float, float]

LAYOUTS: tuple[tuple[str, float, float, Colours, Colours], ...] = (
    # name, width / height, share of plates, ground colours, letter colours
    ("long", 4.7, 0.30, ((245, 245, 245), (250, 215, 60), (235, 235, 220)), ((15, 15, 20),)),
    ("long_dark", 4.5, 0.06, ((20, 20, 22), (30, 40, 90), (140, 20, 20)), ((240, 240, 240),)),
    ("north", 2.0, 0.34, (), ()),
    ("middle", 3.15, 0.12, ((30, 60, 160), (40, 150, 90), (245, 200, 50), (245, 245, 245)), ()),
    ("two_lines", 1.45, 0.09, ((245, 245, 245), (250, 205, 60), (30, 60, 150)), ()),
    ("square", 2.0, 0.09, ((245, 245, 245), (250, 215, 60), (30, 90, 60)), ()),
)
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
DIGITS = "0123456789"
OTHERS = "ЖБДИФЮ京沪粤川あさいう가나다مسب"


def fonts() -> list[Path]:
    """The fonts that matplotlib brings, but those of symbols only."""
    import matplotlib

    folder = Path(matplotlib.get_data_path()) / "fonts/ttf"
    names = ("DejaVuSans", "DejaVuSerif", "STIXGeneral", "cmss", "cmb", "cmtt")
    return sorted(p for p in folder.glob("*.ttf") if p.name.startswith(names))


def draw_plate(rng: np.random.Generator, faces: list[Path]) -> tuple[Rgba, tuple[int, int]]:
    """A sprite (96, 192, 4) of a plate, and the width and height of the plate in it."""
    shares = np.array([layout[2] for layout in LAYOUTS])
    name, ratio, _, grounds, inks = LAYOUTS[rng.choice(len(LAYOUTS), p=shares / shares.sum())]
    ratio *= float(rng.uniform(0.93, 1.07))
    width = int(min(184, 90 * ratio))
    height = max(20, round(width / ratio))
    wide, high = width * 3, height * 3
    ground = _ground(rng, name, grounds)
    image = Image.new("RGB", (wide, high), tuple(int(v) for v in ground))
    draw = ImageDraw.Draw(image)
    bright = float(np.mean(ground)) > 110
    ink = _ink(rng, inks, bright)
    edge = int(high * rng.uniform(0.0, 0.05))
    if edge:
        draw.rectangle((edge, edge, wide - edge, high - edge), outline=ink, width=max(1, edge // 2))
    left, right = edge + high * 0.06, wide - edge - high * 0.06
    if name.startswith("long") and rng.random() < 0.75:
        band = int(high * rng.uniform(0.35, 0.5))
        draw.rectangle((0, 0, band, high), fill=(20, 50, int(rng.integers(120, 190))))
        _text(
            draw,
            rng,
            faces,
            "EUDFP"[rng.integers(5)],
            (band * 0.2, high * 0.6, band * 0.8, high * 0.92),
            (240, 240, 240),
        )
        left = band + high * 0.05
        if rng.random() < 0.15:
            draw.rectangle((wide - band, 0, wide, high), fill=(20, 50, 150))
            right = wide - band - high * 0.05
    if name in ("north", "two_lines", "square"):
        _lines(draw, rng, faces, name, (left, edge, right, high - edge), ink)
    else:
        _text(draw, rng, faces, _number(rng), (left, high * 0.12, right, high * 0.88), ink)
        if rng.random() < 0.4:
            spot = rng.uniform(left + 0.25 * (right - left), left + 0.5 * (right - left))
            radius = high * rng.uniform(0.08, 0.16)
            colour = [(30, 80, 160), (200, 40, 40), (40, 140, 60)][rng.integers(3)]
            draw.ellipse(
                (spot - radius, high * 0.4 - radius, spot + radius, high * 0.4 + radius),
                fill=colour,
            )
    for _ in range(int(rng.integers(0, 5))):
        x, y, r = rng.uniform(0, wide), rng.choice([0.1, 0.5, 0.9]) * high, high * 0.03
        draw.ellipse((x - r, y - r, x + r, y + r), fill=(90, 90, 90))
    return _sprite(rng, np.asarray(image), width, height), (width, height)


def _number(rng: np.random.Generator) -> str:
    parts = []
    for _ in range(int(rng.integers(2, 4))):
        pool = LETTERS if rng.random() < 0.5 else DIGITS
        parts.append("".join(rng.choice(list(pool), rng.integers(1, 5))))
    text = ["-", " ", "", "·"][rng.integers(4)].join(parts)
    if rng.random() < 0.08:
        text = OTHERS[rng.integers(len(OTHERS))] + text
    return text[: int(rng.integers(6, 10))]


def _ground(rng: np.random.Generator, name: str, grounds: Colours) -> npt.NDArray[np.float64]:
    if name == "north":
        if rng.random() < 0.6:
            return np.clip(np.array([225, 228, 232]) + rng.normal(0, 18, 3), 0, 255)
        return np.asarray(rng.uniform(30, 250, 3))
    return np.clip(np.array(grounds[rng.integers(len(grounds))]) + rng.normal(0, 12, 3), 0, 255)


def _ink(rng: np.random.Generator, inks: Colours, bright: bool) -> tuple[int, int, int]:
    if inks:
        return inks[rng.integers(len(inks))]
    dark = [(15, 15, 20), (20, 30, 110), (120, 20, 25), (15, 80, 40)]
    return dark[rng.choice(4, p=[0.55, 0.25, 0.1, 0.1])] if bright else (235, 235, 235)


def _lines(
    draw: ImageDraw.ImageDraw,
    rng: np.random.Generator,
    faces: list[Path],
    name: str,
    box: Box,
    ink: Colour,
) -> None:
    left, top, right, bottom = box
    high = bottom - top
    if name == "north":
        if rng.random() < 0.35:
            colour = tuple(int(v) for v in rng.uniform(60, 240, 3))
            cut = top + high * rng.uniform(0.15, 0.6)
            draw.rectangle((left, top, right, cut), fill=colour)
        middle = (left + right) / 2
        half = (right - left) * rng.uniform(0.15, 0.4)
        words = "".join(rng.choice(list(LETTERS), rng.integers(4, 12)))
        _text(
            draw,
            rng,
            faces,
            words,
            (middle - half, top + high * 0.03, middle + half, top + high * 0.2),
            ink,
        )
        _text(
            draw,
            rng,
            faces,
            _number(rng)[:7],
            (left, top + high * 0.24, right, top + high * 0.8),
            ink,
        )
        if rng.random() < 0.7:
            words = "".join(rng.choice(list(LETTERS + " "), rng.integers(6, 18)))
            _text(
                draw,
                rng,
                faces,
                words,
                (middle - half, top + high * 0.84, middle + half, top + high * 0.97),
                ink,
            )
        return
    cut = top + high * (0.5 if name == "two_lines" else rng.uniform(0.3, 0.5))
    _text(
        draw,
        rng,
        faces,
        _number(rng)[:4],
        (left + high * 0.2, top + high * 0.06, right - high * 0.2, cut - high * 0.03),
        ink,
    )
    _text(
        draw,
        rng,
        faces,
        _number(rng)[:5],
        (left, cut + high * 0.03, right, bottom - high * 0.06),
        ink,
    )


def _text(
    draw: ImageDraw.ImageDraw,
    rng: np.random.Generator,
    faces: list[Path],
    text: str,
    box: Box,
    ink: Colour,
) -> None:
    """The text stretched into the box: plates have letters of their own narrow proportions."""
    font = ImageFont.truetype(str(faces[rng.integers(len(faces))]), 48)
    a, b, c, d = font.getbbox(text)
    if c <= a or d <= b:
        return
    letters = Image.new("L", (int(c - a) + 2, int(d - b) + 2), 0)
    ImageDraw.Draw(letters).text((1 - a, 1 - b), text, font=font, fill=255)
    if rng.random() < 0.4:
        letters = Image.fromarray(cv2.dilate(np.asarray(letters), np.ones((3, 3), np.uint8)))
    left, top, right, bottom = box
    size = (max(2, int(right - left)), max(2, int(bottom - top)))
    natural = size[1] * letters.width / letters.height
    if natural < size[0] and rng.random() < 0.7:
        size = (int(max(natural, size[0] * rng.uniform(0.7, 1.0))), size[1])
    left += (right - left - size[0]) / 2
    draw.bitmap((int(left), int(top)), letters.resize(size), fill=ink)


def _sprite(
    rng: np.random.Generator, plate: npt.NDArray[np.uint8], width: int, height: int
) -> Rgba:
    plate = cv2.resize(plate, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32)
    rise = np.linspace(rng.uniform(-0.35, 0.35), rng.uniform(-0.35, 0.35), height)[:, None, None]
    run = np.linspace(rng.uniform(-0.2, 0.2), rng.uniform(-0.2, 0.2), width)[None, :, None]
    plate = (plate * (1 + rise + run)).astype(np.float32)
    if rng.random() < 0.4:  # dirt, and worn paint
        dirt = cv2.resize(rng.random((6, 12)).astype(np.float32), (width, height))[..., None]
        plate = plate * (1 - dirt * 0.5) + np.array([100, 90, 75]) * dirt * 0.5
    canvas = np.zeros((CANVAS_PX[1], CANVAS_PX[0], 4), np.uint8)
    x, y = (CANVAS_PX[0] - width) // 2, (CANVAS_PX[1] - height) // 2
    if rng.random() < 0.6:  # a holder, the recess in a bumper, or the shadow around the plate
        pad = int(rng.integers(1, 1 + max(2, min(x, y, 12))))
        tone = int(rng.integers(0, 90)) if rng.random() < 0.8 else int(rng.integers(120, 240))
        canvas[max(0, y - pad) : y + height + pad, max(0, x - pad) : x + width + pad] = (
            tone,
            tone,
            tone,
            255,
        )
    canvas[y : y + height, x : x + width, :3] = np.clip(plate, 0, 255)
    canvas[y : y + height, x : x + width, 3] = 255
    return canvas
