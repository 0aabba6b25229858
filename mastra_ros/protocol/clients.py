"""Keys of people and programs that read at the gateway: `clients/` in the folder of keys.

    clients/NAME.key     a client's private key, for whoever it is
    clients/NAME.pub     its public key, for the gateway
    clients/NAME.role    reader, operator or admin, in one word

Their tokens have an audience of their own, so that a device's token is none of theirs, nor theirs
a device's.
"""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives import serialization as coding
from cryptography.hazmat.primitives.asymmetric import ed25519

from ..errors import AuthenticationError, ConfigError
from .checks import NAME, is_name
from .key_files import KeyFiles
from .keys import audience_of, check_private, read_private, write_file
from .tokens import PrivateKey, load_private_key

ROLES = ("reader", "operator", "admin")
"""reader: may read all that devices have told. operator: that too, and change their settings.
admin: that too, and who may do what."""
CHANGERS = ("operator", "admin")
"""Who may change something."""


def client_audience(folder: Path) -> str:
    """Whom the tokens of this folder's clients are for."""
    return f"{audience_of(folder)}-clients"


def add_client(folder: Path, name: str, role: str) -> Path:
    """Make the key pair of a client, and return the private file; never replaces one."""
    private = _path(folder, name, "key")
    if role not in ROLES:
        raise ConfigError(f"role: expected {', '.join(ROLES)}, got {role!r}")
    check_private(folder)
    private.parent.mkdir(mode=0o700, exist_ok=True)
    check_private(private.parent)
    if private.exists() or _path(folder, name, "pub").exists():
        raise ConfigError(f"{private}: client {name} has keys already")
    key = ed25519.Ed25519PrivateKey.generate()
    pem = key.private_bytes(coding.Encoding.PEM, coding.PrivateFormat.PKCS8, coding.NoEncryption())
    public = key.public_key().public_bytes(
        coding.Encoding.PEM, coding.PublicFormat.SubjectPublicKeyInfo
    )
    write_file(private, pem, 0o600)
    write_file(_path(folder, name, "role"), f"{role}\n".encode(), 0o644)
    write_file(_path(folder, name, "pub"), public, 0o644)
    return private


def load_client_key(folder: Path, name: str) -> PrivateKey:
    """The private key of a client; AuthenticationError when missing, exposed or no key."""
    check_private(folder)
    return load_private_key(read_private(_path(folder, name, "key")))


def role_of(folder: Path, name: str) -> str:
    """The role of a client; AuthenticationError where the folder names none that there is."""
    path = _path(folder, name, "role")
    try:
        role = path.read_text("ascii").strip()
    except (OSError, UnicodeError) as error:
        raise AuthenticationError(f"{path}: not readable ({error})") from None
    if role not in ROLES:
        raise AuthenticationError(f"{path}: expected {', '.join(ROLES)}")
    return role


class ClientKeys(KeyFiles):
    """Public keys of clients by name, of a folder of keys."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "clients")


def _path(folder: Path, name: str, suffix: str) -> Path:
    if not is_name(name):
        raise ConfigError(f"client: expected a name ({NAME.pattern}), got {name!r}")
    return folder / "clients" / f"{name}.{suffix}"
