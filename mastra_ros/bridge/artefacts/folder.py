"""The folder of artefacts on a device: KIND/NAME/SHA256, each file whole or not there.

What has come so far of one is `.SHA256.part` in the same folder, and is gone on with after a cut.
Of `newest` only the last one stays. Beyond the bytes and files allowed the oldest go.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ...errors import SpoolError
from ...private_files import make_private_folder, open_private
from ...protocol.artefacts import ArtefactOffer

READ_BYTES = 2**20
PART_SUFFIX = ".part"
FILES_MAX = 4096
"""Those without a byte would fill a file system too."""


@dataclass(frozen=True)
class Received:
    """An artefact that is whole, in the file `path`."""

    offer: ArtefactOffer
    path: Path


class ArtefactFolder:
    """Stores artefacts below `folder`; one thread at a time. All may raise SpoolError."""

    def __init__(self, folder: Path, bytes_max: int = 2**30, files_max: int = FILES_MAX) -> None:
        self._folder = folder
        self._bytes_max = bytes_max
        self._files_max = files_max

    def begin(self, offer: ArtefactOffer) -> int:
        """How many bytes of it are here already. SpoolError where there will never be room."""
        if offer.size > self._bytes_max:
            raise SpoolError(f"{offer.size} bytes, and {self._bytes_max} are allowed")
        with self._telling(offer):
            self._make_folders(offer)
            if self._path(offer).exists():
                return offer.size
            part = self._part(offer)
            size = part.stat().st_size if part.exists() else 0
            if size > offer.size:
                part.unlink()
                size = 0
            self._make_room(offer.size - size, part)
            self._make_folders(offer)  # which go with the last file in them
            return size

    def write(self, offer: ArtefactOffer, offset: int, data: bytes) -> None:
        """Keep a piece."""
        with self._telling(offer):
            descriptor = open_private(self._part(offer))
            try:
                os.pwrite(descriptor, data, offset)
            finally:
                os.close(descriptor)

    def finish(self, offer: ArtefactOffer) -> Received | None:
        """It has come whole: check it and give it its name; None, and begin anew, if it is not."""
        with self._telling(offer):
            path, part = self._path(offer), self._part(offer)
            if not path.exists():
                if not offer.size:
                    os.close(open_private(part))
                if _sha256(part) != offer.sha256:
                    part.unlink()
                    self._leave(part)
                    return None
                part.replace(path)
                _sync_folder(path.parent)
            if offer.keep == "newest":
                for other in self._home(offer).iterdir():
                    if other != path:
                        other.unlink()
            os.utime(path)
        return Received(offer, path)

    def forget(self, offer: ArtefactOffer) -> None:
        """It is offered no longer, and was not whole."""
        part = self._part(offer)
        with contextlib.suppress(OSError):
            part.unlink()
        self._leave(part)

    def _make_folders(self, offer: ArtefactOffer) -> None:
        for folder in (self._folder, self._folder / offer.kind, self._home(offer)):
            make_private_folder(folder)

    def _home(self, offer: ArtefactOffer) -> Path:
        return self._folder / offer.kind / offer.name

    def _path(self, offer: ArtefactOffer) -> Path:
        return self._home(offer) / offer.sha256

    def _part(self, offer: ArtefactOffer) -> Path:
        return self._home(offer) / f".{offer.sha256}{PART_SUFFIX}"

    def _make_room(self, needed: int, keep: Path) -> None:
        files = [(path.stat(), path) for path in self._folder.glob("*/*/*") if path.is_file()]
        files.sort(key=lambda one: one[0].st_mtime_ns)
        excess = sum(stat.st_size for stat, _ in files) + needed - self._bytes_max
        many = len(files) + (not keep.exists()) - self._files_max
        for stat, path in files:
            if excess <= 0 and many <= 0:
                return
            if path != keep:
                path.unlink()
                self._leave(path)
                excess -= stat.st_size
                many -= 1

    @staticmethod
    def _leave(path: Path) -> None:
        """Take away the folders of a file that is gone, where nothing else is in them."""
        with contextlib.suppress(OSError):
            path.parent.rmdir()
            path.parent.parent.rmdir()

    @contextlib.contextmanager
    def _telling(self, offer: ArtefactOffer) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            where = error.filename or self._home(offer)
            raise SpoolError(f"{where}: {error.strerror}") from error


def _sha256(path: Path) -> str:
    """Of a file, which is on the disk when this is known."""
    digest = hashlib.sha256()
    descriptor = open_private(path)
    try:
        os.fsync(descriptor)
        while piece := os.read(descriptor, READ_BYTES):
            digest.update(piece)
    finally:
        os.close(descriptor)
    return digest.hexdigest()


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
