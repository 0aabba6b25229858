"""Writes a bundle whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import yaml

from ..errors import ModelError
from ..inference.bundle import FILE_NAME, Bundle, load_bundle
from ..inference.formats import least_format


class BundleWriter:
    """A bundle in the making, in a hidden folder beside the one that it will become.

        with BundleWriter(folder) as writer:
            ...  # write model files to writer.path("local.tflite")
            bundle = writer.describe(document)  # checked as any bundle is; may be measured now
            writer.commit()

    Leaving the block without `commit`, or with an error, leaves nothing behind. With `replace`
    a bundle of that name gives way at the commit; anything else in its place is never touched.
    """

    def __init__(self, folder: Path, *, replace: bool = False) -> None:
        self.folder = folder
        self._replace = replace
        self._draft: Path | None = None

    def __enter__(self) -> BundleWriter:
        if self.folder.exists():
            if not (self.folder / FILE_NAME).is_file() and any_inside(self.folder):
                raise ModelError(f"{self.folder}: is there already and is no bundle")
            if not self._replace and any_inside(self.folder):
                raise ModelError(f"{self.folder}: holds a bundle already; --replace writes anew")
        try:
            parent = self.folder.absolute().parent
            parent.mkdir(parents=True, exist_ok=True)
            self._draft = Path(tempfile.mkdtemp(prefix=f".{self.folder.name}.", dir=parent))
        except OSError as error:
            raise ModelError(f"{self.folder}: cannot be written: {error.strerror}") from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._draft is not None:
            shutil.rmtree(self._draft, ignore_errors=True)
            self._draft = None
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ModelError(f"{self.folder}: not written, the disk is full") from error

    def path(self, name: str) -> Path:
        """Where to write a file of the bundle; folders in `name` are made."""
        if self._draft is None:
            raise ModelError(f"{self.folder}: the writer is not open")
        path = self._draft / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def describe(self, document: Mapping[str, Any]) -> Bundle:
        """Write bundle.yaml, with the digest and size of each part's file, and load it.

        Its format is the oldest that can say it, whatever the document says.

        May be called again, with more measurements say. Raises ModelError as `load_bundle` does.
        """
        completed = {**document, "parts": {}}
        for name, part in document["parts"].items():
            data = self.path(part["file"]).read_bytes()
            measurements = {"bytes": len(data), **part.get("measurements", {})}
            digest = hashlib.sha256(data).hexdigest()
            completed["parts"][name] = {**part, "sha256": digest, "measurements": measurements}
        completed["format"] = least_format(completed)
        path = self.path(FILE_NAME)
        path.write_text(bundle_text(completed), encoding="utf-8")
        return load_bundle(str(path.parent.absolute()))

    def commit(self) -> Path:
        """Put the bundle into its place, durably; its folder."""
        draft = self.path(FILE_NAME).parent
        for file in draft.rglob("*"):
            if file.is_file():
                file.chmod(0o644)
                _sync(file)
        draft.chmod(0o755)
        _sync(draft)
        old = None
        if self.folder.exists():
            old = draft.with_name(f"{draft.name}.old")
            self.folder.rename(old)
        try:
            draft.rename(self.folder)
        except OSError:
            if old is not None:
                old.rename(self.folder)
            raise
        self._draft = None
        _sync(self.folder.absolute().parent)
        if old is not None:
            shutil.rmtree(old, ignore_errors=True)
        return self.folder


def rewrite(bundle: Bundle, document: Mapping[str, Any]) -> Bundle:
    """Replace the bundle.yaml of a bundle whose files stay as they are; the bundle, loaded again.

    Its format is the oldest that can say it. Raises ModelError; the old one then stands.
    """
    path = bundle.path.resolve()  # an installed one may be a link to where it was built from
    draft = path.with_name(f".{FILE_NAME}.new")
    try:
        content = {**document, "format": least_format(document)}
        draft.write_text(bundle_text(content), encoding="utf-8")
        draft.chmod(path.stat().st_mode & 0o777)
        _sync(draft)
        draft.replace(path)
        _sync(path.parent)
    except OSError as error:
        raise ModelError(f"{path}: cannot be written: {error.strerror}") from error
    finally:
        draft.unlink(missing_ok=True)
    return load_bundle(str(path.parent))


def bundle_text(document: Mapping[str, Any]) -> str:
    """The text of bundle.yaml."""
    text: str = yaml.safe_dump(
        dict(document), sort_keys=False, width=100, default_flow_style=None, allow_unicode=True
    )
    return text


def any_inside(folder: Path) -> bool:
    """Whether the path is a file or a folder that is not empty."""
    return not folder.is_dir() or next(folder.iterdir(), None) is not None


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
