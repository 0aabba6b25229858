"""The bundles that came by roll-outs, on the device: which is in use, and which to go back to.

The state is a file beside them, written before what it tells is done. A bundle in use that has not
answered a frame in two starts is left for the one before.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from ..errors import MastraError, ModelError
from ..private_files import make_private_folder, open_private
from .bundle import Bundle, load_bundle
from .packing import unpack_bundle

FILE_NAME = "state.json"
STATE_BYTES_MAX = 65_536
STARTS_MAX = 2
"""A bundle may fail to start so often."""
TEXT_MAX = 200


@dataclass(frozen=True)
class ShelfState:
    """Digests name bundles; an empty one is the bundle of the parameters."""

    base: str = ""  # the bundle of the parameters, when something took its place
    current: str = ""
    before: str = ""
    starts: int = 0  # of the current one, since it last answered
    rollout: str = ""  # the latest roll-out that was heard of
    refused: str = ""  # why its bundle was not taken, or left again
    agreement: float = -1.0  # of its bundle with the one before; below 0: not known

    def for_base(self, base: str) -> ShelfState:
        """Who changes the parameter gets what it says."""
        return self if self.base == base else ShelfState(base=base)

    def starting(self) -> ShelfState:
        """A start begins; one too many goes back."""
        if not self.current:
            return self
        if self.starts >= STARTS_MAX:
            return self.back(f"it did not start {STARTS_MAX} times")
        return replace(self, starts=self.starts + 1)

    def answered(self) -> ShelfState:
        """The current bundle has answered a frame."""
        return replace(self, starts=0)

    def switched(self, digest: str, rollout: str, agreement: float) -> ShelfState:
        """Another one takes over; it has answered frames already."""
        new = replace(self, rollout=rollout, refused="", agreement=agreement)
        if digest == self.current or (digest == self.base and not self.current):
            return new
        current = "" if digest == self.base else digest
        return replace(new, before=self.current, current=current, starts=0)

    def refuses(self, rollout: str, why: str) -> ShelfState:
        """A bundle is not taken."""
        return replace(self, rollout=rollout, refused=why[:TEXT_MAX] or "refused", agreement=-1.0)

    def back(self, why: str) -> ShelfState:
        """The one before takes over."""
        left = replace(self, refused=why[:TEXT_MAX], starts=0, agreement=-1.0)
        return replace(left, current=self.before, before="")


class Shelf:
    """The folder of bundles; for one thread at a time."""

    def __init__(self, folder: Path, base: Bundle) -> None:
        """Raises ModelError where the folder cannot be used."""
        self._folder = folder
        self._base = base
        try:
            make_private_folder(folder)
        except OSError as error:
            raise ModelError(f"{folder}: cannot be used: {error.strerror}") from error
        self.state = self._read().for_base(base.digest)

    def start(self) -> Bundle:
        """The bundle to start with; one that cannot be loaded is left at once."""
        self._keep(self.state.starting())
        return self._load()

    def failed(self, why: str) -> Bundle:
        """The current bundle could be loaded, but not be opened: the one to take instead."""
        self._keep(self.state.back(why))
        return self._load()

    def answered(self) -> None:
        """The current bundle works."""
        if self.state.starts:
            self._keep(self.state.answered())

    def unpack(self, archive: Path) -> Bundle:
        """A bundle that has come, beside those that are here. Raises ModelError."""
        return unpack_bundle(archive, self._folder)

    def switched(self, bundle: Bundle, rollout: str, agreement: float) -> None:
        """This bundle is taken from now on."""
        self._keep(self.state.switched(bundle.digest, rollout, agreement))
        self._sweep()

    def refuse(self, rollout: str, why: str) -> None:
        """A bundle is not taken."""
        self._keep(self.state.refuses(rollout, why))
        self._sweep()

    def before(self) -> Bundle:
        """What to go back to. Raises ModelError."""
        return self._bundle(self.state.before)

    def gone_back(self, why: str) -> None:
        """The one before is taken from now on."""
        self._keep(self.state.back(why))
        self._sweep()

    def _load(self) -> Bundle:
        while self.state.current:
            try:
                return self._bundle(self.state.current)
            except MastraError as error:  # noqa: PERF203 - each is tried once
                self._keep(self.state.back(str(error)))
        return self._base

    def _bundle(self, digest: str) -> Bundle:
        if not digest:
            return self._base
        bundle = load_bundle(str(self._folder / digest))
        if bundle.digest != digest:
            raise ModelError(f"{bundle.path}: expected the digest {digest}, got {bundle.digest}")
        return bundle

    def _sweep(self) -> None:
        kept = {self.state.current, self.state.before, FILE_NAME}
        with contextlib.suppress(OSError):
            for path in self._folder.iterdir():
                if path.name not in kept and path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path, ignore_errors=True)

    def _read(self) -> ShelfState:
        """What was kept; a file that makes no sense is as none."""
        try:
            with (self._folder / FILE_NAME).open("rb") as file:
                told = json.loads(file.read(STATE_BYTES_MAX))
            state = ShelfState(**told)
        except (OSError, ValueError, TypeError, RecursionError):
            return ShelfState()
        plain = ShelfState()
        same = all(type(getattr(state, name)) is type(value) for name, value in vars(plain).items())
        if not same:
            return plain
        digits = set("0123456789abcdef")
        return state if set(state.current + state.before) <= digits else plain

    def _keep(self, state: ShelfState) -> None:
        self.state = state
        path, part = self._folder / FILE_NAME, self._folder / f".{FILE_NAME}.part"
        try:
            with os.fdopen(open_private(part), "wb") as file:
                file.truncate(0)
                file.write(json.dumps(asdict(state)).encode())
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        except OSError as error:
            raise ModelError(f"{path}: cannot be written: {error.strerror}") from error
