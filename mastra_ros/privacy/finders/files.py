"""Where the finders' model files are, and that they are those which they should be."""

from __future__ import annotations

import hashlib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from ...config.known_models import KnownModel, known_model, models_folder
from ...errors import ConfigError, ModelError
from ...share import share_file

OWN_FILE = "models/privacy/plates_and_heads.onnx"
OWN_SHA256 = "36e27f26599204be7f7efabd950ac08494e920774f8e1d0156b572e9b58f0240"
SECOND_FILE = "models/privacy/second_look.onnx"
SECOND_SHA256 = "7b5cb8f6a65881e0d89e9f8dd66530bcf5e886b9ebdf296d0efacc9cd37bcf91"
MADE_BY_SETUP = ("centerface",)


def own_model() -> tuple[Path, str]:
    """The project's own detector, checked, and its SHA-256. Raises ModelError."""
    return _shipped(OWN_FILE, OWN_SHA256), OWN_SHA256


def second_model() -> tuple[Path, str]:
    """The network that looks twice at plates, checked, and its SHA-256. Raises ModelError."""
    return _shipped(SECOND_FILE, SECOND_SHA256), SECOND_SHA256


def _shipped(name: str, sha256: str) -> Path:
    try:
        path = share_file(name)
    except ConfigError as error:
        raise ModelError(f"finder plates_and_heads: {error}") from error
    _checked(path, sha256)
    return path


def found_model(name: str, folder: str) -> tuple[bytes, Path, str]:
    """The bytes, place and SHA-256 of a known model: in the folder of models, or its wheel.

    Raises ModelError that names the command which brings it, or says that the file is another.
    """
    known = known_model(name)
    path = models_folder(folder) / name / known.file
    if not path.is_file():
        path = in_wheel(known) or path
    if not path.is_file():
        setup = "`make setup` or " if name in MADE_BY_SETUP else ""
        raise ModelError(
            f"finder {name}: its model is not here; {setup}`mastra model get {name}` brings it"
        )
    return _checked(path, known.sha256), path, known.sha256


def in_wheel(known: KnownModel) -> Path | None:
    """The model's file in its installed wheel, whether it is the right one or not."""
    if not known.wheel:
        return None
    try:
        place = distribution(known.distribution).locate_file(known.place)
    except PackageNotFoundError:
        return None
    path = Path(str(place))
    return path if path.is_file() else None


def _checked(path: Path, sha256: str) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror}") from error
    digest = hashlib.sha256(data).hexdigest()
    if digest != sha256:
        raise ModelError(f"{path}: expected SHA-256 {sha256[:12]}…, got {digest[:12]}…")
    return data
