"""The bundles that may be rolled out: folders, or archives `NAME.zip`, in one folder."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ..errors import ModelError
from ..inference import Bundle, load_bundle
from ..inference.packing import unpack_bundle
from ..share import home_path

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
LISTED_MAX = 200


class Rollable:
    """What lies in `folder`; archives are unpacked below `state`. Touches the disk."""

    def __init__(self, folder: str, state: Path) -> None:
        self._folder = home_path(folder) if folder else None
        self._unpacked = state / "rollouts"

    def names(self) -> list[dict[str, Any]]:
        """All that there are, each with its digest or what is wrong with it."""
        if self._folder is None or not self._folder.is_dir():
            return []
        found = {path.name.removesuffix(".zip") for path in self._folder.iterdir()}
        told: list[dict[str, Any]] = []
        for name in sorted(one for one in found if NAME.fullmatch(one))[:LISTED_MAX]:
            try:
                bundle = self.open(name)
            except ModelError as error:
                told.append({"name": name, "error": str(error)[:300]})
                continue
            told.append({"name": name, "version": bundle.version, "digest": bundle.digest})
        return told

    def open(self, name: str) -> Bundle:
        """The bundle that lies there under this name, checked. Raises ModelError."""
        if self._folder is None:
            raise ModelError("gateway.rollouts_dir is empty: there is nothing to roll out")
        if not NAME.fullmatch(name):
            raise ModelError(f"expected the name of a bundle in {self._folder}, got {name!r:.80}")
        folder, archive = self._folder / name, self._folder / f"{name}.zip"
        if folder.is_dir():
            return load_bundle(str(folder))
        if archive.is_file():
            return unpack_bundle(archive, self._unpacked)
        raise ModelError(f"there is no bundle {name} in {self._folder}")
