"""Where a model on another server is: the parts of its URL. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from ...errors import ConfigError

PORTS = {"http": 8000, "https": 443, "grpc": 8001, "grpcs": 443}
"""Where nothing else is said: Triton's ports, or that of HTTPS."""
_PATHS = (
    re.compile(r"(?P<prefix>.*)/v2/models/(?P<model>[^/]+)(/versions/(?P<version>[^/]+))?"),
    re.compile(r"(?P<prefix>)/(?P<model>[^/]+)(/(?P<version>[^/]+))?"),
)


@dataclass(frozen=True)
class Address:
    """`SCHEME://HOST[:PORT]/MODEL[/VERSION]`, or with `/v2/models/…` as the protocol has it."""

    scheme: str  # a key of PORTS
    host: str
    port: int
    model: str
    version: str = ""
    prefix: str = ""  # of paths, before /v2

    @classmethod
    def parse(cls, url: str) -> Address:
        """Raises ConfigError."""
        wrong = ConfigError(
            f"tensors: expected {', '.join(PORTS)}://HOST[:PORT]/MODEL[/VERSION], got {url!r:.200}"
        )
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise wrong from None
        path = parts.path.rstrip("/")
        match = next(filter(None, (pattern.fullmatch(path) for pattern in _PATHS)), None)
        if (
            match is None
            or parts.scheme.lower() not in PORTS
            or not parts.hostname
            or parts.username is not None
            or parts.query
            or parts.fragment
        ):
            raise wrong
        scheme = parts.scheme.lower()
        return cls(
            scheme,
            parts.hostname,
            port or PORTS[scheme],
            unquote(match["model"]),
            unquote(match["version"] or ""),
            match["prefix"],
        )

    @property
    def secure(self) -> bool:
        """Whether TLS is spoken."""
        return self.scheme in ("https", "grpcs")

    @property
    def grpc(self) -> bool:
        """Whether gRPC is spoken."""
        return self.scheme.startswith("grpc")

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        version = f"/{self.version}" if self.version else ""
        return f"{self.scheme}://{host}:{self.port}/{self.model}{version}"
