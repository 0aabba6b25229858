"""A provider of OpenID Connect at which people may log in, as it is configured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from ..errors import ConfigError

ROLES = ("viewer", "operator", "admin")
SECRET_BYTES_MAX = 4096


@dataclass(frozen=True)
class OidcConfig:
    """roles: value of the claim -> role; who has none of these values does not get in.

    role_claim, name_claim: names of claims of the ID token, with dots for those within others
    (`realm_access.roles`). ca: authority (PEM) of the provider's certificate; none: the system's.
    """

    issuer: str
    client_id: str
    secret: str = field(repr=False)
    roles: Mapping[str, str]
    role_claim: str = "groups"
    name_claim: str = "preferred_username"
    ca: Path | None = None

    def __post_init__(self) -> None:
        parts = urlsplit(self.issuer)
        if parts.scheme != "https" or not parts.netloc or parts.query or parts.fragment:
            raise ConfigError(
                f"oidc: issuer: expected https://HOST[/PATH], got {self.issuer!r:.200}"
            )
        if not self.client_id:
            raise ConfigError(
                "oidc: expected the client id that the provider has for the dashboard"
            )
        if not self.roles:
            raise ConfigError(
                f"oidc: nobody would get in: expected VALUE=ROLE of the claim {self.role_claim}"
            )
        for value, role in self.roles.items():
            if role not in ROLES:
                raise ConfigError(f"oidc: {value}: expected {', '.join(ROLES)}, got {role!r:.80}")


def read_secret(path: Path) -> str:
    """The client's secret, in a file that only its owner may read; ConfigError says what is not."""
    try:
        found = path.stat()
        text = path.read_text("utf-8").strip() if found.st_size <= SECRET_BYTES_MAX else ""
    except (OSError, UnicodeError) as error:
        raise ConfigError(f"oidc: {path}: cannot be read: {error}") from None
    if found.st_mode & 0o077:
        raise ConfigError(f"oidc: {path}: others may read it; run: chmod 600 {path}")
    if not text:
        raise ConfigError(f"oidc: {path}: expected a secret of 1 to {SECRET_BYTES_MAX} bytes")
    return text


def roles_of(given: list[str]) -> dict[str, str]:
    """VALUE=ROLE, one or more; a value may itself hold `=`."""
    told: dict[str, str] = {}
    for one in given:
        value, found, role = one.rpartition("=")
        if not found or not value:
            raise ConfigError(f"oidc: expected VALUE=ROLE, got {one!r:.80}")
        told[value] = role
    return told
