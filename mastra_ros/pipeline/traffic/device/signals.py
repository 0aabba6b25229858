"""Shows a junction's signals on the device: by plans while they are good, else statically."""

from __future__ import annotations

from typing import Any

import yaml

from mastra_ros.errors import ConfigError, RecordError
from mastra_ros.pipeline.traffic.junction.guard import Shown, SignalGuard
from mastra_ros.pipeline.traffic.junction.layout import Junction, junction_of
from mastra_ros.pipeline.traffic.junction.plan import KIND
from mastra_ros.share import home_path


class SignalShow:
    """The guard of one junction, fed with artefacts and asked again and again."""

    def __init__(self, junction: Junction, now_ns: int) -> None:
        self.junction = junction
        self.guard = SignalGuard(junction, now_ns)
        self.latest: Shown | None = None

    @classmethod
    def open(cls, path: str, now_ns: int) -> SignalShow:
        """With the junction in a YAML file. ConfigError names what is wrong with it."""
        place = home_path(path)
        try:
            document: Any = yaml.safe_load(place.read_text(encoding="utf-8"))
            if not isinstance(document, dict):
                raise RecordError(f"expected a mapping, got {type(document).__name__}")
            return cls(junction_of(document), now_ns)
        except (OSError, UnicodeDecodeError, yaml.YAMLError, RecordError) as error:
            raise ConfigError(f"junction: {place}: {' '.join(str(error).split())[:300]}") from None

    def offer(self, kind: str, name: str, data: bytes, now_ns: int) -> str:
        """An artefact has come; why it is refused, or an empty text. Others are passed over."""
        if kind != KIND or name != self.junction.name:
            return ""
        return self.guard.offer(data, now_ns)

    def step(self, now_ns: int, *, trusted: bool, occupied: bool = False) -> Shown | None:
        """What to show now, if that is new.

        trusted: what the camera tells may be relied on. occupied: it sees somebody within the
        junction, so that all red lasts longer.
        """
        if not trusted:
            self.guard.withdraw("the camera cannot be trusted now")
        shown = self.guard.step(now_ns, occupied=trusted and occupied)
        before, self.latest = self.latest, shown
        return shown if shown != before else None
