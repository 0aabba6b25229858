"""All applications of a gateway: started, woken and stopped together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..records.store import RecordStore
from .host import Answer, ApplicationHost
from .keeping import Keeping
from .registry import check_names


class Applications:
    """The applications of these names; ConfigError where one is not known."""

    def __init__(
        self,
        names: Sequence[str],
        keeping: Keeping,
        *,
        on_outcome: Callable[[str, str, int], None] = lambda *_: None,
        silence_s: float = 10.0,
    ) -> None:
        check_names(names)
        self.keeping = keeping
        self._names = tuple(names)
        self._on_outcome = on_outcome
        self._silence_s = silence_s
        self._hosts: list[ApplicationHost] = []

    def start(self, records: RecordStore) -> None:
        """Show them what is committed, and what will be."""
        self._hosts = [
            ApplicationHost(
                *(name, records, self.keeping),
                on_outcome=self._on_outcome,
                silence_s=self._silence_s,
            )
            for name in self._names
        ]
        for host in self._hosts:
            host.start()

    @property
    def names(self) -> tuple[str, ...]:
        """Of those that run."""
        return self._names

    def ask(self, name: str, message: dict[str, Any], *, begin: bool = True) -> Answer:
        """Ask the process of one of them; the future fails with StoreError."""
        return self._hosts[self._names.index(name)].ask(message, begin=begin)

    def wake(self, _: int = 0) -> None:
        """There are new records."""
        for host in self._hosts:
            host.wake()

    def close(self) -> None:
        """End them all, and what is kept of them."""
        for host in self._hosts:
            host.close()
        self.keeping.close()
