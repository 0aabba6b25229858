"""Artefacts: results of work that a gateway gives back to devices, as statistics or a model."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field

from .errors import RecordError

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
TEXT = re.compile(r"[ -~]{0,128}")
KEEP = ("newest", "all")
BYTES_MAX = 2**29


@dataclass(frozen=True)
class Artefact:
    """Something for a device. Raises RecordError where it makes no sense.

    device, stream: whose it is; empty means the one whose record is answered. keep: `newest` takes
    the place of the one before of the same device, kind and name, `all` stands beside it.
    expires_s: it is of no use so long after it was made; 0 it never expires.
    """

    kind: str
    name: str
    data: bytes = field(repr=False)
    version: str = ""
    media_type: str = "application/octet-stream"
    keep: str = "newest"
    expires_s: float = 0.0
    device: str = ""
    stream: str = ""

    def __post_init__(self) -> None:
        for what, text in (("kind", self.kind), ("name", self.name)):
            if type(text) is not str or not NAME.fullmatch(text):
                raise RecordError(f"artefact: {what}: expected {NAME.pattern}, got {text!r:.80}")
        for what, text in (("device", self.device), ("stream", self.stream)):
            if type(text) is not str or (text and not NAME.fullmatch(text)):
                raise RecordError(f"artefact: {what}: expected {NAME.pattern}, got {text!r:.80}")
        for what, text in (("version", self.version), ("media_type", self.media_type)):
            if type(text) is not str or not TEXT.fullmatch(text):
                raise RecordError(f"artefact: {what}: expected {TEXT.pattern}, got {text!r:.80}")
        if type(self.data) is not bytes or len(self.data) > BYTES_MAX:
            size = len(self.data) if isinstance(self.data, bytes) else type(self.data).__name__
            raise RecordError(f"artefact: expected at most {BYTES_MAX} bytes, got {size}")
        if self.keep not in KEEP:
            raise RecordError(f"artefact: keep: expected newest or all, got {self.keep!r:.80}")
        seconds = self.expires_s
        if type(seconds) not in (int, float) or not 0 <= seconds <= 1e9:
            raise RecordError(f"artefact: expected expires_s of 0 to 1e9 s, got {seconds!r:.80}")

    @property
    def sha256(self) -> str:
        """Of the data, in hexadecimal digits."""
        return hashlib.sha256(self.data).hexdigest()
