"""Rigid motions as (4, 4) matrices in mm, and as quaternions (x, y, z, w)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
Quaternion = NDArray[np.float64]
SKEW_MAX = 0.01
"""How far rotation times its transpose may be from the unit matrix: trackers tell six digits."""


def problem_of(matrix: Matrix) -> str:
    """Why a matrix is no rigid motion; empty where it is one."""
    if matrix.shape != (4, 4) or not np.isfinite(matrix).all():
        return "not 16 finite numbers"
    turn = matrix[:3, :3]
    skew = float(np.abs(turn @ turn.T - np.eye(3)).max())
    if skew > SKEW_MAX:
        return f"no rotation: R R' is {skew:.3g} from the unit matrix, at most {SKEW_MAX:g}"
    if np.linalg.det(turn) < 0:
        return "left-handed: the determinant of the rotation is below 0"
    if np.abs(matrix[3] - (0.0, 0.0, 0.0, 1.0)).max() > 1e-9:
        return f"the last row is {matrix[3].tolist()}, expected 0 0 0 1"
    return ""


def quaternion(matrix: Matrix) -> Quaternion:
    """Of the rotation in a rigid motion (Shepperd's method), w >= 0."""
    m = matrix
    trace = float(m[0, 0] + m[1, 1] + m[2, 2])
    i = int(np.argmax([m[0, 0], m[1, 1], m[2, 2], trace]))
    if i == 3:
        q = np.array([m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1], 1.0 + trace])
    else:
        j, k = (i + 1) % 3, (i + 2) % 3
        q = np.zeros(4)
        q[i] = 1.0 - trace + 2 * m[i, i]
        q[j] = m[j, i] + m[i, j]
        q[k] = m[k, i] + m[i, k]
        q[3] = m[k, j] - m[j, k]
    q /= np.linalg.norm(q)
    flipped: Quaternion = -q if q[3] < 0 else q
    return flipped


def rigid(position_mm: NDArray[np.float64], turn: Quaternion) -> Matrix:
    """The motion that turns by a unit quaternion and then shifts."""
    x, y, z, w = turn.tolist()
    matrix = np.eye(4)
    matrix[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    matrix[:3, 3] = position_mm
    return matrix


def slerp(first: Quaternion, second: Quaternion, share: float) -> Quaternion:
    """The turn between two, the short way round (Shoemake, 1985)."""
    cosine = float(first @ second)
    if cosine < 0:
        second, cosine = -second, -cosine
    if cosine > 1 - 1e-10:
        between = first + share * (second - first)
    else:
        angle = math.acos(cosine)
        between = math.sin((1 - share) * angle) * first + math.sin(share * angle) * second
    unit: Quaternion = between / np.linalg.norm(between)
    return unit


def between(first: Matrix, second: Matrix, share: float) -> Matrix:
    """The motion a share of the way from the first (0) to the second (1)."""
    if share == 0.0:
        return first
    if share == 1.0:
        return second
    position = (1 - share) * first[:3, 3] + share * second[:3, 3]
    return rigid(position, slerp(quaternion(first), quaternion(second), share))


def angle_deg(first: Matrix, second: Matrix) -> float:
    """By how much the rotations of two motions differ."""
    turned = first[:3, :3].T @ second[:3, :3]
    skew = np.array(
        [turned[2, 1] - turned[1, 2], turned[0, 2] - turned[2, 0], turned[1, 0] - turned[0, 1]]
    )
    return math.degrees(math.atan2(float(np.linalg.norm(skew)), float(np.trace(turned)) - 1.0))
