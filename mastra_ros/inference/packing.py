"""A bundle as one archive: packed by who gives it, unpacked by who must not trust it.

The archive is a ZIP of `bundle.yaml` and the files of its parts, nothing else and no folders. What
is unpacked has first been counted, measured and named by what `bundle.yaml` says, and is checked by
its digests before it gets its place.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import stat
import zipfile
from pathlib import Path
from typing import Any

import yaml

from ..errors import ModelError
from ..private_files import make_private_folder
from .bundle import FILE_NAME, Bundle, load_bundle

FILES_MAX = 8
DESCRIPTION_BYTES_MAX = 1_000_000
UNPACKED_BYTES_MAX = 2**30
READ_BYTES = 2**20
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
DATE = (1980, 1, 1, 0, 0, 0)
"""Of every file, so that the same bundle is the same archive."""
_UNREADABLE = (
    *(zipfile.BadZipFile, zipfile.LargeZipFile, OSError, EOFError, ValueError, KeyError),
    *(NotImplementedError, RuntimeError, yaml.YAMLError, RecursionError),
)


def pack_bundle(bundle: Bundle) -> bytes:
    """The archive of a bundle whose files have been checked. Raises ModelError."""
    files = sorted({part.path for part in bundle.parts.values()})
    packed = io.BytesIO()
    try:
        with zipfile.ZipFile(packed, "w") as archive:
            for path in (bundle.path, *files):
                name = FILE_NAME if path == bundle.path else path.name
                archive.writestr(zipfile.ZipInfo(name, DATE), path.read_bytes())
    except OSError as error:
        raise ModelError(f"{bundle.path}: cannot be packed: {error.strerror}") from error
    return packed.getvalue()


def unpack_bundle(
    archive: Path, folder: Path, *, digest: str = "", bytes_max: int = UNPACKED_BYTES_MAX
) -> Bundle:
    """Unpack below `folder`, as a folder that has the name of the bundle's digest.

    digest: what it has to be, where that is known. What is there already is checked and taken.
    Raises ModelError for what is no bundle, has too much or too many, or is not what it says; then
    nothing of it stays.
    """
    part = folder / f".unpacking.{os.getpid()}"
    try:
        make_private_folder(folder)
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(mode=0o700)
        with zipfile.ZipFile(archive) as opened:
            _extract(opened, part, bytes_max)
        bundle = load_bundle(str(part))
        if digest and bundle.digest != digest:
            raise ModelError(f"expected the bundle {digest:.16}, got {bundle.digest:.16}")
        place = folder / bundle.digest
        if place.exists():
            shutil.rmtree(place)
        part.rename(place)
        return load_bundle(str(place))
    except ModelError as error:
        raise ModelError(f"archive of a bundle: {str(error).replace(str(part), '')}") from None
    except _UNREADABLE as error:
        text = " ".join(str(error).split())[:200] or type(error).__name__
        raise ModelError(f"archive of a bundle: cannot be read: {text}") from None
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _extract(archive: zipfile.ZipFile, folder: Path, bytes_max: int) -> None:
    infos = archive.infolist()
    names = [info.filename for info in infos]
    if len(infos) > FILES_MAX or len(set(names)) != len(names):
        raise ModelError(f"expected at most {FILES_MAX} files of different names, got {len(infos)}")
    for info in infos:
        kind = stat.S_IFMT(info.external_attr >> 16)
        if not NAME.fullmatch(info.filename) or kind not in (0, stat.S_IFREG):
            raise ModelError(f"expected plain files without folders, got {info.filename!r:.80}")
        if info.flag_bits & 1:
            raise ModelError(f"expected plain files, {info.filename} is encrypted")
    if sum(info.file_size for info in infos) > bytes_max:
        raise ModelError(f"expected at most {bytes_max} bytes in all")
    if FILE_NAME not in names:
        raise ModelError(f"expected {FILE_NAME} in it, got {', '.join(names)[:200] or 'nothing'}")
    _copy(archive, FILE_NAME, folder, DESCRIPTION_BYTES_MAX)
    known = _named((folder / FILE_NAME).read_text("utf-8"))
    if strange := sorted(set(names) - known - {FILE_NAME}):
        raise ModelError(f"{FILE_NAME} names no {strange[0]}")
    room = bytes_max
    for name in sorted(set(names) - {FILE_NAME}):
        room -= _copy(archive, name, folder, room)


def _named(description: str) -> set[str]:
    """The files that `bundle.yaml` names; whether the rest of it makes sense is seen later."""
    document: Any = yaml.safe_load(description)
    parts = document.get("parts") if isinstance(document, dict) else None
    if not isinstance(parts, dict):
        raise ModelError(f"{FILE_NAME}: expected parts")
    files = [part.get("file") for part in parts.values() if isinstance(part, dict)]
    return {file for file in files if isinstance(file, str)}


def _copy(archive: zipfile.ZipFile, name: str, folder: Path, bytes_max: int) -> int:
    """What is said of a size may be a lie: it is counted once more."""
    size = 0
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    with (
        archive.open(name) as source,
        os.fdopen(os.open(folder / name, flags, 0o600), "wb") as target,
    ):
        while piece := source.read(READ_BYTES):
            size += len(piece)
            if size > bytes_max:
                raise ModelError(f"{name} has more than {bytes_max} bytes")
            target.write(piece)
        target.flush()
        os.fsync(target.fileno())
    return size
