"""The letters of plates as small pictures: of fonts, of the demo's own, and of drawn strokes.

    python -m train.traffic.letters LETTERS.npz FOLDER_OF_FONTS …

Makes `glyphs` uint8 (fonts, 36, 64, 64), how much ink covers each px, each letter as high as its
picture and in the middle of it; `widths` (fonts, 36), what share of the picture it is wide.
Countries stamp their plates with dies of round strokes of even width; no free font has those, so
half of the alphabets are drawn from strokes, each with its own proportions.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
SIDE_PX = 64

Glyphs = npt.NDArray[np.uint8]
Stroke = list[tuple[float, float]]

O_LIKE: Stroke = [(0, 0), (1, 0), (1, 1), (0, 1), (0, 0)]
STROKES: dict[str, list[Stroke]] = {
    "0": [O_LIKE],
    "1": [[(0.15, 0.25), (0.6, 0), (0.6, 1)]],
    "2": [[(0, 0.25), (0, 0), (1, 0), (1, 0.4), (0, 1)], [(0, 1), (1, 1)]],
    "3": [
        [(0, 0.15), (0, 0), (1, 0), (1, 0.48), (0.4, 0.48)],
        [(0.4, 0.48), (1, 0.48), (1, 1), (0, 1), (0, 0.82)],
    ],
    "4": [[(0.75, 1), (0.75, 0), (0, 0.7)], [(0, 0.7), (1, 0.7)]],
    "5": [
        [(1, 0), (0.05, 0)],
        [(0.05, 0), (0, 0.48)],
        [(0, 0.48), (1, 0.4), (1, 1), (0, 1), (0, 0.82)],
    ],
    "6": [[(0.95, 0.15), (0.9, 0), (0, 0), (0, 1), (1, 1), (1, 0.45), (0, 0.45)]],
    "7": [[(0, 0), (1, 0)], [(1, 0), (0.35, 1)]],
    "8": [
        [(0.05, 0), (0.95, 0), (0.95, 0.47), (0.05, 0.47), (0.05, 0)],
        [(0, 0.47), (1, 0.47), (1, 1), (0, 1), (0, 0.47)],
    ],
    "9": [[(0.05, 0.85), (0.1, 1), (1, 1), (1, 0), (0, 0), (0, 0.55), (1, 0.55)]],
    "A": [[(0, 1), (0.5, 0)], [(0.5, 0), (1, 1)], [(0.2, 0.68), (0.8, 0.68)]],
    "B": [
        [(0, 0), (0, 1)],
        [(0, 0), (0.92, 0), (0.92, 0.47), (0, 0.47)],
        [(0, 0.47), (1, 0.47), (1, 1), (0, 1)],
    ],
    "C": [[(1, 0.25), (1, 0), (0, 0), (0, 1), (1, 1), (1, 0.75)]],
    "D": [[(0, 0), (0, 1)], [(0, 0), (1, 0), (1, 1), (0, 1)]],
    "E": [[(1, 0), (0, 0)], [(0, 0), (0, 1)], [(0, 1), (1, 1)], [(0, 0.48), (0.85, 0.48)]],
    "F": [[(1, 0), (0, 0)], [(0, 0), (0, 1)], [(0, 0.48), (0.85, 0.48)]],
    "G": [[(1, 0.25), (1, 0), (0, 0), (0, 1), (1, 1), (1, 0.52)], [(1, 0.52), (0.55, 0.52)]],
    "H": [[(0, 0), (0, 1)], [(1, 0), (1, 1)], [(0, 0.48), (1, 0.48)]],
    "I": [[(0.5, 0), (0.5, 1)]],
    "J": [[(0.95, 0), (0.95, 1), (0, 1), (0, 0.75)]],
    "K": [[(0, 0), (0, 1)], [(1, 0), (0.05, 0.58)], [(0.35, 0.4), (1, 1)]],
    "L": [[(0, 0), (0, 1)], [(0, 1), (1, 1)]],
    "M": [[(0, 1), (0, 0)], [(0, 0), (0.5, 0.62)], [(0.5, 0.62), (1, 0)], [(1, 0), (1, 1)]],
    "N": [[(0, 1), (0, 0)], [(0, 0), (1, 1)], [(1, 1), (1, 0)]],
    "O": [O_LIKE],
    "P": [[(0, 0), (0, 1)], [(0, 0), (1, 0), (1, 0.54), (0, 0.54)]],
    "Q": [O_LIKE, [(0.6, 0.7), (1.05, 1.08)]],
    "R": [[(0, 0), (0, 1)], [(0, 0), (1, 0), (1, 0.5), (0, 0.5)], [(0.5, 0.5), (1, 1)]],
    "S": [[(1, 0.2), (1, 0), (0, 0), (0, 0.45), (1, 0.52), (1, 1), (0, 1), (0, 0.8)]],
    "T": [[(0, 0), (1, 0)], [(0.5, 0), (0.5, 1)]],
    "U": [[(0, 0), (0, 1), (1, 1), (1, 0)]],
    "V": [[(0, 0), (0.5, 1)], [(0.5, 1), (1, 0)]],
    "W": [
        [(0, 0), (0.22, 1)],
        [(0.22, 1), (0.5, 0.25)],
        [(0.5, 0.25), (0.78, 1)],
        [(0.78, 1), (1, 0)],
    ],
    "X": [[(0, 0), (1, 1)], [(1, 0), (0, 1)]],
    "Y": [[(0, 0), (0.5, 0.52)], [(1, 0), (0.5, 0.52)], [(0.5, 0.52), (0.5, 1)]],
    "Z": [[(0, 0), (1, 0)], [(1, 0), (0, 1)], [(0, 1), (1, 1)]],
}


def stroke_alphabet(rng: np.random.Generator) -> list[Glyphs]:
    """36 letters of strokes, each picture as wide as its letter."""
    big = 192
    width = float(rng.uniform(0.38, 0.66))
    thick = int(big * rng.uniform(0.1, 0.2))
    round_share = float(rng.uniform(0.1, 0.5))
    slashed = rng.random() < 0.15
    cut_q = rng.random() < 0.8
    made = []
    for letter in LETTERS:
        wide = width * {"M": 1.15, "W": 1.25, "1": 0.62, "I": 0.3}.get(letter, 1.0)
        if letter in "IO0" and rng.random() < 0.3:
            wide *= rng.uniform(0.9, 1.1)
        across = max(2, int(big * wide) - thick)
        canvas = np.zeros((big, across + thick + 2), np.uint8)
        strokes = STROKES[letter]
        if letter == "I" and rng.random() < 0.5:
            strokes = [*strokes, [(0.0, 0), (1, 0)], [(0.0, 1), (1, 1)]]
        if letter == "1" and rng.random() < 0.3:
            strokes = [*strokes, [(0.15, 1), (1, 1)]]
        if letter == "0" and slashed:
            strokes = [*strokes, [(0.85, 0.2), (0.15, 0.8)]]
        if letter == "Q" and cut_q:
            strokes = [O_LIKE, [(0.5, 0.62), (1.0, 1.0)]]
        for stroke in strokes:
            points = _rounded(np.array(stroke, np.float64), across, big - thick, round_share)
            points += thick / 2
            cv2.polylines(
                canvas, [np.round(points * 8).astype(np.int32)], False, 255, thick, cv2.LINE_AA, 3
            )
        made.append(canvas)
    return made


def _rounded(
    stroke: npt.NDArray[np.float64], across: float, down: float, share: float
) -> npt.NDArray[np.float64]:
    """The stroke in px, its corners cut by arcs whose radius is this share of the width."""
    points = stroke * (across, down)
    if len(points) < 3:
        return points
    closed = bool(np.allclose(points[0], points[-1]))
    ring = points[:-1] if closed else points
    made: list[npt.NDArray[np.float64]] = []
    count = len(ring)
    for k in range(count):
        if not closed and k in (0, count - 1):
            made.append(ring[k])
            continue
        before, here, after = ring[k - 1], ring[k], ring[(k + 1) % count]
        for t in np.linspace(0, 1, 7):
            reach_a = min(across * share * 1.5, np.linalg.norm(before - here) / 2)
            reach_b = min(across * share * 1.5, np.linalg.norm(after - here) / 2)
            a = here + (before - here) / max(1e-6, np.linalg.norm(before - here)) * reach_a
            b = here + (after - here) / max(1e-6, np.linalg.norm(after - here)) * reach_b
            made.append((1 - t) ** 2 * a + 2 * t * (1 - t) * here + t * t * b)
    if closed:
        made.append(made[0])
    return np.array(made)


def font_alphabet(path: Path) -> list[Glyphs]:
    """36 letters of a font."""
    font = ImageFont.truetype(str(path), 160)
    made = []
    for letter in LETTERS:
        a, b, c, d = (int(v) for v in font.getbbox(letter))
        picture = Image.new("L", (c - a + 4, d - b + 4), 0)
        ImageDraw.Draw(picture).text((2 - a, 2 - b), letter, font=font, fill=255)
        made.append(_trimmed(np.asarray(picture)))
    return made


def demo_alphabet(thick: int, face: int = cv2.FONT_HERSHEY_DUPLEX) -> list[Glyphs]:
    """36 letters as the drawn crossing puts them on its plates."""
    made = []
    for letter in LETTERS:
        picture = np.zeros((120, 120), np.uint8)
        cv2.putText(picture, letter, (20, 90), face, 2.6, 255, thick, cv2.LINE_AA)
        made.append(_trimmed(picture))
    return made


def _trimmed(picture: Glyphs) -> Glyphs:
    inked = picture > 40
    rows, columns = np.flatnonzero(inked.any(1)), np.flatnonzero(inked.any(0))
    return picture[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def packed(alphabets: list[list[Glyphs]]) -> tuple[Glyphs, npt.NDArray[np.float32]]:
    """`glyphs` and `widths`, see the module."""
    glyphs = np.zeros((len(alphabets), len(LETTERS), SIDE_PX, SIDE_PX), np.uint8)
    widths = np.zeros((len(alphabets), len(LETTERS)), np.float32)
    for f, alphabet in enumerate(alphabets):
        for k, picture in enumerate(alphabet):
            wide = min(
                SIDE_PX - 2, max(3, round(picture.shape[1] * (SIDE_PX - 4) / picture.shape[0]))
            )
            small = cv2.resize(picture, (wide, SIDE_PX - 4), interpolation=cv2.INTER_AREA)
            left = (SIDE_PX - wide) // 2
            glyphs[f, k, 2:-2, left : left + wide] = small
            widths[f, k] = wide / SIDE_PX
    return glyphs, widths


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("fonts", type=Path, nargs="*")
    parser.add_argument("--strokes", type=int, default=70)
    args = parser.parse_args()
    paths = {
        path.stem: path
        for folder in args.fonts
        for path in sorted(folder.rglob("*"))
        if path.suffix in (".ttf", ".otf")
    }
    leave: tuple[str, ...] = (
        "Italic",
        "Oblique",
        "It-",
        "Symbol",
        "Math",
        "D050000",
        "Z003",
        "Thin",
        "ExtraLight",
    )
    leave += ("cmsy", "cmex", "cmmi", "STIXSiz", "STIXNon", "Display", "BdIta", "Serif", "Roman")
    leave += ("P052", "C059", "cmr", "STIXGeneral", "Caps")
    chosen = [
        path
        for name, path in sorted(paths.items())
        if not any(word in name for word in leave) and not name.endswith("It")
    ]
    rng = np.random.default_rng(7)
    alphabets = [font_alphabet(path) for path in chosen]
    alphabets += [demo_alphabet(thick) for thick in (5, 7, 9)]
    alphabets += [demo_alphabet(7, cv2.FONT_HERSHEY_SIMPLEX)]
    alphabets += [stroke_alphabet(rng) for _ in range(args.strokes)]
    glyphs, widths = packed(alphabets)
    told_apart = (glyphs[:, 10] != glyphs[:, 11]).any((1, 2))  # some fonts only show boxes
    glyphs, widths = glyphs[told_apart], widths[told_apart]
    np.savez_compressed(args.out, glyphs=glyphs, widths=widths)
    print(
        f"{args.out}: {len(chosen)} fonts, {len(alphabets)} alphabets, {args.out.stat().st_size} B"
    )


if __name__ == "__main__":
    main()
