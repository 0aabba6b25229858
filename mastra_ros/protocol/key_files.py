"""Public keys in files, read when asked for."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from .tokens import PublicKey, load_public_key


class KeyFiles(Mapping[str, "bytes | PublicKey"]):
    """The keys in `NAME.pub` of a folder, by name; a file is read again where it has changed.

    So who is added may come at once, and who has no file any more may not.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._loaded: dict[str, tuple[str, tuple[int, ...], PublicKey]] = {}

    def __getitem__(self, name: str) -> PublicKey:
        loaded = self._loaded.get(name)
        path = str(self._folder / f"{name}.pub") if loaded is None else loaded[0]
        try:
            is_now = os.stat(path)  # noqa: PTH116 - a Path takes longer, at each request
            stamp = (is_now.st_ino, is_now.st_size, is_now.st_mtime_ns, is_now.st_ctime_ns)
            if loaded is None or loaded[1] != stamp:
                key = load_public_key(Path(path).read_bytes())
                loaded = self._loaded[name] = (path, stamp, key)
            return loaded[2]
        except OSError:
            self._loaded.pop(name, None)
            raise KeyError(name) from None

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(path.stem for path in self._folder.glob("*.pub")))

    def __len__(self) -> int:
        return sum(1 for _ in self)
