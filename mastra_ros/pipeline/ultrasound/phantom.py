"""A drawn phantom under a drawn probe: pictures, poses as a tracker tells them, and the truth.

A probe goes along z over tissue with an ellipsoid, a sphere and a bent vessel, and wobbles. Its
pictures are gray levels times Rayleigh speckle. On request poses are noisy, pictures are stamped
late or missing. The same seed gives the same bits, in whatever order pictures are asked for.

The reference has its origin where the sweep starts, in mm: x across the picture, y down into the
tissue, z along the sweep. The probe's own axes lie at the middle of its face.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mastra_ros.pipeline.ultrasound.phantom_shapes import BentTube, Body, Ellipsoid, Sphere

Matrix = NDArray[np.float64]
TISSUE, BRIGHT, DARK = 90.0, 190.0, 25.0
"""Gray levels: of the tissue, of ellipsoid and sphere, of the vessel."""
SPECKLE_PX = (0.8, 1.6)
"""Down and across: the standard deviation of the filter that correlates the speckle."""
BANK = (2, 512, 1024)
"""Speckle is cut out of so many patterns of this height and width, anywhere, either way round."""
MARGIN_S = 0.5
"""Poses are told from so long before the first picture until so long after the last."""


@dataclass(frozen=True)
class PhantomConfig:
    """What is drawn. lag_ms: a picture stamped t was taken at t - lag."""

    seed: int = 1
    frames: int = 240
    rate_hz: float = 30.0
    speed_mm_s: float = 8.0
    width_px: int = 256
    height_px: int = 256
    spacing_mm: float = 0.2
    wobble_mm: float = 2.0
    wobble_deg: float = 4.0
    pose_rate_hz: float = 100.0
    pose_noise_mm: float = 0.0  # standard deviation on each axis
    pose_noise_deg: float = 0.0  # about each axis
    lag_ms: float = 0.0
    drop_share: float = 0.0

    def __post_init__(self) -> None:
        sides = (self.width_px, self.height_px)
        if not (1 <= self.frames <= 1_000_000 and all(8 <= side <= 4096 for side in sides)):
            raise ValueError(f"phantom: {self.frames} frames of {sides} px are out of range")
        if not 0.0 <= self.drop_share <= 1.0:
            raise ValueError(f"phantom: expected a share 0 to 1 to drop, got {self.drop_share}")
        above = (self.rate_hz, self.pose_rate_hz, self.spacing_mm)
        if not all(math.isfinite(value) and value > 0 for value in above):
            raise ValueError(f"phantom: expected rates and spacing above 0, got {above}")


@dataclass(frozen=True)
class DrawnFrame:
    """pose: image (px) to reference (mm), the true one at the moment of the picture."""

    number: int  # from 0; those that are dropped are missing
    stamp_s: float
    image: NDArray[np.uint8]
    pose: Matrix


@dataclass(frozen=True)
class DrawnPose:
    """matrix: probe to reference, in mm, as the tracker tells it."""

    stamp_s: float
    matrix: Matrix


class Phantom:
    """Draws by its config. Pictures are uint8 (height, width)."""

    def __init__(self, config: PhantomConfig | None = None) -> None:
        self.config = config = config or PhantomConfig()
        rng = np.random.default_rng([config.seed, 0])
        self.bodies = _bodies(rng)
        self._waves = _Waves(rng, config.wobble_mm, math.radians(config.wobble_deg))
        half = config.width_px * config.spacing_mm / 2
        self.image_to_probe: Matrix = np.diag([config.spacing_mm, config.spacing_mm, 1.0, 1.0])
        self.image_to_probe[0, 3] = -half
        order = np.random.default_rng([config.seed, 1]).permutation(config.frames)
        self._dropped = set(order[: round(config.drop_share * config.frames)].tolist())

    @cached_property
    def _bank(self) -> NDArray[np.float32]:
        rng = np.random.default_rng([self.config.seed, 2])
        return np.stack([speckle(rng, *BANK[1:]) for _ in range(BANK[0])])

    # -- the truth -------------------------------------------------------------------------

    def probe_pose(self, at_s: float) -> Matrix:
        """Probe to reference at a moment of the sweep."""
        offset, turn = self._waves.at(at_s)
        pose = np.eye(4)
        pose[:3, :3] = rotation(turn)
        pose[:3, 3] = offset
        pose[2, 3] += self.config.speed_mm_s * at_s
        return pose

    def image_pose(self, number: int) -> Matrix:
        """Image to reference of a picture, whenever it is stamped."""
        return self.probe_pose(number / self.config.rate_hz) @ self.image_to_probe

    # -- what is seen ----------------------------------------------------------------------

    def picture(self, number: int) -> NDArray[np.uint8]:
        """The picture of this number."""
        config = self.config
        gray = self._grays(self.image_pose(number))
        rng = np.random.default_rng([config.seed, 3, number])
        bank = self._bank[rng.integers(len(self._bank))]
        rows = (rng.integers(BANK[1]) + np.arange(config.height_px)) % BANK[1]
        columns = (rng.integers(BANK[2]) + np.arange(config.width_px)) % BANK[2]
        if rng.integers(2):
            columns = columns[::-1]
        gray *= bank[rows[:, None], columns]
        gray += 0.5
        return np.minimum(gray, 255.0, out=gray).astype(np.uint8)

    def _grays(self, pose: Matrix) -> NDArray[np.float32]:
        config = self.config
        gray = np.full((config.height_px, config.width_px), TISSUE, np.float32)
        normal = pose[:3, 2] / np.linalg.norm(pose[:3, 2])
        for body in self.bodies:
            centre = np.array(body.centre_mm)
            if abs(float(normal @ (centre - pose[:3, 3]))) > body.reach_mm:
                continue
            at = np.linalg.solve(pose, [*centre, 1.0])[:2]
            reach = body.reach_mm / config.spacing_mm + 1
            x1, y1 = np.maximum(np.floor(at - reach), 0).astype(int).tolist()
            x2, y2 = np.maximum(np.ceil(at + reach + 1), 0).astype(int).tolist()
            part = gray[y1:y2, x1:x2]
            rows = np.arange(y1, y1 + part.shape[0], dtype=np.float32)[:, None, None]
            columns = np.arange(x1, x1 + part.shape[1], dtype=np.float32)[None, :, None]
            step_x, step_y, origin = (pose[:3, i].astype(np.float32) for i in (0, 1, 3))
            points = columns * step_x + rows * step_y + origin
            part[body.signed(points) <= 0] = body.gray
        return gray

    def frames(self) -> Iterator[DrawnFrame]:
        """All pictures that are not dropped, in order; stamps begin at 0 plus the lag."""
        for number in range(self.config.frames):
            if number not in self._dropped:
                stamp_s = number / self.config.rate_hz + self.config.lag_ms / 1000
                yield DrawnFrame(number, stamp_s, self.picture(number), self.image_pose(number))

    def poses(self) -> Iterator[DrawnPose]:
        """The poses of the tracker, noisy where that is asked for."""
        last_s = (self.config.frames - 1) / self.config.rate_hz + MARGIN_S
        last_s += max(0.0, self.config.lag_ms / 1000)
        first_s = -MARGIN_S + min(0.0, self.config.lag_ms / 1000)
        for number in range(math.ceil((last_s - first_s) * self.config.pose_rate_hz) + 1):
            stamp_s = first_s + number / self.config.pose_rate_hz
            yield DrawnPose(stamp_s, self.noisy(self.probe_pose(stamp_s), number))

    def noisy(self, pose: Matrix, number: int) -> Matrix:
        """A pose with the noise that is its own by its number."""
        config = self.config
        if not (config.pose_noise_mm or config.pose_noise_deg):
            return pose
        noise = np.random.default_rng([config.seed, 4, number]).standard_normal(6)
        off = np.eye(4)
        off[:3, :3] = rotation(noise[3:] * math.radians(config.pose_noise_deg))
        noisy: Matrix = pose @ off
        noisy[:3, 3] += noise[:3] * config.pose_noise_mm
        return noisy

    def mean_gray(self, points: NDArray[np.float64]) -> NDArray[np.float32]:
        """What the tissue is at points (..., 3) in mm of the reference, without speckle."""
        gray = np.full(points.shape[:-1], TISSUE, np.float32)
        for body in self.bodies:
            gray[body.signed(points) <= 0] = body.gray
        return gray


class _Waves:
    """A wobble of three shifts and three turns; each two sines, together within the amplitude.

    The shift along the sweep is left out, so that its speed is known.
    """

    def __init__(self, rng: np.random.Generator, mm: float, rad: float) -> None:
        self._size = np.array([mm, mm, 0.0, rad, rad, rad])
        self._rate = 2 * math.pi / rng.uniform([[1.5], [4.0]], [[3.0], [8.0]], (2, 6))
        self._phase = rng.uniform(0, 2 * math.pi, (2, 6))
        self._share = np.array([[0.35], [0.65]])

    def at(self, at_s: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        waves = self._size * (self._share * np.sin(self._rate * at_s + self._phase)).sum(axis=0)
        return waves[:3], waves[3:]


def _bodies(rng: np.random.Generator) -> tuple[Body, ...]:
    """The three bodies, a little different with each seed; none touches another or the border."""

    def near(*mm: float) -> tuple[float, float, float]:
        x, y, z = (np.array(mm) + rng.uniform(-1.0, 1.0, 3)).tolist()
        return x, y, z

    turn = rotation(rng.uniform(-0.4, 0.4, 3)).ravel().tolist()
    a, b, c = (np.array([8.0, 6.0, 10.0]) * rng.uniform(0.9, 1.1, 3)).tolist()
    return (
        Ellipsoid("ellipsoid", BRIGHT, near(-8.0, 18.0, 21.0), (a, b, c), tuple(turn)),
        Sphere("sphere", BRIGHT, near(9.0, 20.0, 43.0), 7.0),
        BentTube("vessel", DARK, near(-11.0, 37.0, 32.0), 20.0, rng.uniform(1.0, 1.15), 3.0),
    )


def speckle(rng: np.random.Generator, height: int, width: int) -> NDArray[np.float32]:
    """Rayleigh speckle of mean 1 on a torus, correlated by Gaussians of SPECKLE_PX."""
    noise = rng.standard_normal((height, width)) + 1j * rng.standard_normal((height, width))
    down = np.exp(-2 * (math.pi * SPECKLE_PX[0] * np.fft.fftfreq(height)) ** 2)
    across = np.exp(-2 * (math.pi * SPECKLE_PX[1] * np.fft.fftfreq(width)) ** 2)
    size = np.abs(np.fft.ifft2(np.fft.fft2(noise) * down[:, None] * across))
    pattern: NDArray[np.float32] = (size / size.mean()).astype(np.float32)
    return pattern


def rotation(turn_rad: NDArray[np.float64]) -> Matrix:
    """(3, 3) of a turn by |turn_rad| about the axis turn_rad (Rodrigues)."""
    angle = float(np.linalg.norm(turn_rad))
    if angle < 1e-12:
        return np.eye(3)
    x, y, z = (turn_rad / angle).tolist()
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    turn: Matrix = np.eye(3) + math.sin(angle) * cross + (1 - math.cos(angle)) * (cross @ cross)
    return turn
