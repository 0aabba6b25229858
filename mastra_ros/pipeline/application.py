"""An application's half at the gateway: pure code that sees records, and answers.

Its state is whatever it makes of the records that it has seen, in the order of their commits. It is
rebuilt after a restart: from its last snapshot, and the records that came after. So `on_record`
must do the same again for the same records, and ask no clock but their stamps. What it answers is
told apart by the record that it answers, so an answer that is given again counts once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from mastra_ros.artefacts import Artefact
from mastra_ros.records import Record

Answer = Artefact | Record
"""A record among the answers is for other applications; it carries the name of this one."""


@dataclass(frozen=True)
class SeenRecord:
    """A committed record; `place` grows with the order of commits."""

    place: int
    device: str
    stream: str
    kind: str
    stamp_ns: int
    committed_s: float  # since 1970, by the gateway's clock
    body: Mapping[str, Any]


class Application:
    """The base of all: sees nothing and answers nothing. Use it from one thread."""

    kinds: tuple[str, ...] | None = None
    """Kinds of records that it wants to see; None all of them."""

    def on_record(self, record: SeenRecord) -> Iterable[Answer]:  # noqa: ARG002 - to be overridden
        """Take in one record, and answer it. An exception costs the answers to this record."""
        return ()

    def snapshot(self) -> bytes:
        """All of the state, such that `restore` brings it back."""
        return b""

    def restore(self, snapshot: bytes) -> None:
        """Take over a snapshot of this or an older version. Raises where that cannot be done."""
