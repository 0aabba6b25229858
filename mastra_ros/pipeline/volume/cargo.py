"""Volumes as files: NRRD for programs, points and meshes for what draws them on the device."""

from __future__ import annotations

import gzip
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgpack
import numpy as np
from numpy.typing import NDArray

from mastra_ros.errors import VolumeError

from .reconstruction import Volume
from .surface import Mesh, decimated

Array = NDArray[Any]

POINTS_MAX = 120_000
"""What rviz turns around without a stutter."""
FACES_DRAWN_MAX = 100_000
"""Each costs its device three points as ROS messages, which are much larger than its numbers."""
MESHES_MAX = 64
CLOUD_BYTES_MAX = 2**26


@dataclass(frozen=True)
class Cloud:
    """What a device draws. points: (n, 4) float32, x, y, z in mm and gray level. meshes: names
    and surfaces. note: what has to stand beside it; frame: of reference, by name."""

    points: Array
    meshes: tuple[tuple[str, Mesh], ...]
    frame: str
    note: str

    def to_bytes(self) -> bytes:
        """As msgpack; numbers are little-endian."""
        told = {
            "note": self.note,
            "frame": self.frame,
            "unit": "mm",
            "points": self.points.astype("<f4").tobytes(),
            "meshes": [
                [name, mesh.vertices.astype("<f4").tobytes(), mesh.faces.astype("<i4").tobytes()]
                for name, mesh in self.meshes
            ],
        }
        packed: bytes = msgpack.packb(told)
        return packed

    @classmethod
    def from_bytes(cls, data: bytes) -> Cloud:
        """What `to_bytes` gave. VolumeError for all else."""
        try:
            told = msgpack.unpackb(data) if len(data) <= CLOUD_BYTES_MAX else None
            if not isinstance(told, Mapping) or told.get("unit") != "mm":
                raise VolumeError(f"cloud: expected msgpack of points in mm, got {len(data)} bytes")
            points = np.frombuffer(told["points"], "<f4").reshape(-1, 4)
            meshes = [
                (
                    str(name)[:64],
                    Mesh(
                        np.frombuffer(vertices, "<f4").reshape(-1, 3),
                        np.frombuffer(faces, "<i4").reshape(-1, 3),
                    ),
                )
                for name, vertices, faces in told["meshes"]
            ]
            faces = sum(len(mesh.faces) for _, mesh in meshes)
            if len(points) > POINTS_MAX or len(meshes) > MESHES_MAX or faces > FACES_DRAWN_MAX:
                raise VolumeError(
                    f"cloud: expected at most {POINTS_MAX} points and {FACES_DRAWN_MAX} faces of "
                    f"{MESHES_MAX} meshes, got {len(points)}, {faces} and {len(meshes)}"
                )
            if not all(
                np.isfinite(one).all() for one in (points, *(m.vertices for _, m in meshes))
            ):
                raise VolumeError("cloud: expected finite numbers")
            return cls(points, tuple(meshes), str(told["frame"])[:64], str(told["note"])[:200])
        except (ValueError, TypeError, KeyError, msgpack.UnpackException) as error:
            raise VolumeError(f"cloud: expected points and meshes, got {error!s:.120}") from None


def cloud(
    volume: Volume, meshes: Sequence[tuple[str, Mesh]], *, faces_max: int, frame: str, note: str
) -> Cloud:
    """Points of what is known, evenly thinned out, and the meshes with few enough faces."""
    known = np.flatnonzero((volume.hits != 0).ravel())
    kept = known[:: max(1, -(-len(known) // POINTS_MAX))]
    z, y, x = np.unravel_index(kept, volume.grid.shape)
    places = volume.grid.place_mm(np.stack([x, y, z], 1))
    gray = volume.values.ravel()[kept]
    points = np.concatenate([places, gray[:, None]], 1).astype(np.float32)
    faces = sum(len(mesh.faces) for _, mesh in meshes)
    faces_max = min(faces_max, FACES_DRAWN_MAX // 2)  # a surface may keep a few more than asked
    few = []
    for name, mesh in meshes:
        share = max(200, int(faces_max * len(mesh.faces) / max(1, faces)))
        few.append((name, decimated(mesh, share)))
    return Cloud(points, tuple(few), frame, note)


def nrrd(volume: Volume, note: str, told: Mapping[str, str] | None = None) -> bytes:
    """Gray levels as an NRRD file of bytes, packed, in mm; what is not known is 0.

    told: pairs of key and value besides. The same volume gives the same bytes.
    """
    gray = np.clip(np.floor(volume.values + 0.5), 0, 255).astype(np.uint8)
    x, y, z = volume.grid.origin_mm
    directions = [
        "(" + ",".join(f"{mm:.9g}" if one == axis else "0" for one in range(3)) + ")"
        for axis, mm in enumerate(volume.grid.spacing_mm)
    ]
    lines = [
        "NRRD0005",
        f"# {note}",
        "type: uint8",
        "dimension: 3",
        "space dimension: 3",
        "sizes: " + " ".join(map(str, volume.grid.size)),
        "space directions: " + " ".join(directions),
        'space units: "mm" "mm" "mm"',
        f"space origin: ({x:.9g},{y:.9g},{z:.9g})",
        "kinds: domain domain domain",
        "encoding: gzip",
        f"note:={note}",
    ]
    for key, value in (told or {}).items():
        if any(sign in key + value for sign in "\r\n") or ":=" in key:
            raise VolumeError(f"nrrd: expected a key and a value of one line, got {key!r:.40}")
        lines.append(f"{key}:={value}")
    head = "\n".join(lines).encode("ascii", "replace") + b"\n\n"
    return head + gzip.compress(gray.tobytes(), 1, mtime=0)
