"""The folder of keys, mode 0700: made, checked and read here.

    ca.crt ca.key            the authority; ca.key is needed only to make new certificates
    server.crt server.key    the gateway's certificate for its host names and addresses
    devices/NAME.key         a device's private key (Ed25519 or P-256), never leaves the device
    devices/NAME.pub         its public key, all that the gateway needs
    clients/NAME.*           of people and programs that read at the gateway, see clients.py
    audience                 whom tokens are for: this installation's gateway, and no other's

Private files have mode 0600. A folder or private file that others may read is refused.
"""

from __future__ import annotations

import datetime
import os
import secrets
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization as coding
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from ..errors import AuthenticationError, ConfigError
from .certificates import make_authority, make_server_certificate
from .checks import NAME, is_name
from .tokens import (
    AUDIENCE,
    PrivateKey,
    PublicKey,
    algorithm_of,
    load_private_key,
    load_public_key,
)

LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class KeyFolder:
    """What a folder of keys holds, for people; nothing secret."""

    folder: Path
    authority: str  # SHA-256 fingerprint of ca.crt
    authority_until: str  # ISO 8601
    server_names: tuple[str, ...]
    server_until: str
    devices: dict[str, str]  # name: algorithm


def init_keys(
    folder: Path,
    hosts: Iterable[str] = LOOPBACK,
    days: int = 825,
    *,
    own_audience: bool = False,
) -> None:
    """Make the folder, an authority, and a certificate for `hosts` (names and IP addresses).

    With `own_audience` a new folder also gets an audience of its own; one that is there goes on as
    it is, for its devices know no other.

    The loopback names are always among them. An existing authority is kept and only the
    server's certificate made anew, so that devices need nothing new when a host name is added.
    """
    names = tuple(dict.fromkeys([*LOOPBACK, *hosts]))
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    check_private(folder)
    devices = folder / "devices"
    devices.mkdir(mode=0o700, exist_ok=True)
    check_private(devices)
    if (folder / "ca.key").exists() != (folder / "ca.crt").exists():
        raise ConfigError(f"{folder}: ca.crt and ca.key belong together, only one is there")
    if not (folder / "ca.key").exists():
        if own_audience:
            write_file(folder / "audience", f"{AUDIENCE}-{secrets.token_hex(8)}\n".encode(), 0o644)
        certificate, key = make_authority(days=3650)
        write_file(folder / "ca.key", key, 0o600)
        write_file(folder / "ca.crt", certificate, 0o644)
    ca_key = read_private(folder / "ca.key")
    certificate, key = make_server_certificate(
        (folder / "ca.crt").read_bytes(), ca_key, names, days
    )
    write_file(folder / "server.key", key, 0o600)
    write_file(folder / "server.crt", certificate, 0o644)


def audience_of(folder: Path) -> str:
    """Whom the tokens of this folder's devices are for; AuthenticationError if unreadable."""
    path = folder / "audience"
    try:
        text = path.read_text("ascii").strip()
    except FileNotFoundError:
        return AUDIENCE
    except (OSError, UnicodeError) as error:
        raise AuthenticationError(f"{path}: not readable ({error})") from None
    if not 1 <= len(text) <= 128 or not text.isprintable():
        raise AuthenticationError(f"{path}: expected one line of 1 to 128 characters")
    return text


def certificate_dates(folder: Path) -> tuple[datetime.datetime, datetime.datetime]:
    """From when until when the gateway's certificate is good; AuthenticationError without one."""
    certificate = _certificate(folder / "server.crt")
    return certificate.not_valid_before_utc, certificate.not_valid_after_utc


def add_device(folder: Path, name: str, algorithm: str = "ed25519") -> Path:
    """Make the key pair of a device, and return the private file; never replaces one."""
    private = device_key_path(folder, name)
    check_private(folder)
    private.parent.mkdir(mode=0o700, exist_ok=True)
    check_private(private.parent)
    public = private.with_name(f"{name}.pub")
    if private.exists() or public.exists():
        raise ConfigError(f"{private}: device {name} has keys already")
    key: PrivateKey
    if algorithm == "ed25519":
        key = ed25519.Ed25519PrivateKey.generate()
    elif algorithm == "p256":
        key = ec.generate_private_key(ec.SECP256R1())
    else:
        raise ConfigError(f"algorithm: expected ed25519 or p256, got {algorithm!r}")
    pem = key.private_bytes(coding.Encoding.PEM, coding.PrivateFormat.PKCS8, coding.NoEncryption())
    write_file(private, pem, 0o600)
    write_file(
        public,
        key.public_key().public_bytes(
            coding.Encoding.PEM, coding.PublicFormat.SubjectPublicKeyInfo
        ),
        0o644,
    )
    return private


def device_key_path(folder: Path, name: str) -> Path:
    """Where the private key of device `name` lies; ConfigError when it is no name."""
    if not is_name(name):
        raise ConfigError(f"device: expected a name ({NAME.pattern}), got {name!r}")
    return folder / "devices" / f"{name}.key"


def load_device_key(folder: Path, name: str) -> PrivateKey:
    """The private key of a device; AuthenticationError when missing, exposed or no key."""
    check_private(folder)
    return load_private_key(read_private(device_key_path(folder, name)))


def load_public_keys(folder: Path) -> dict[str, PublicKey]:
    """The public keys of all devices by name; a file that is no key is an AuthenticationError."""
    keys = {}
    for path in sorted((folder / "devices").glob("*.pub")):
        if not is_name(path.stem):
            raise AuthenticationError(f"{path}: {path.stem!r} is no name of a device")
        try:
            keys[path.stem] = load_public_key(path.read_bytes())
        except (AuthenticationError, OSError) as error:
            raise AuthenticationError(f"{path}: {error}") from None
    return keys


def show(folder: Path) -> KeyFolder:
    """What the folder holds; AuthenticationError when something is missing or exposed."""
    check_private(folder)
    authority, server = _certificate(folder / "ca.crt"), _certificate(folder / "server.crt")
    names = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    for path in [folder / "server.key", *sorted((folder / "devices").glob("*.key"))]:
        check_private(path)
    return KeyFolder(
        folder=folder,
        authority=authority.fingerprint(hashes.SHA256()).hex(":"),
        authority_until=authority.not_valid_after_utc.isoformat(),
        server_names=tuple(str(general.value) for general in names),
        server_until=server.not_valid_after_utc.isoformat(),
        devices={name: algorithm_of(key) for name, key in load_public_keys(folder).items()},
    )


def check_private(path: Path) -> None:
    """AuthenticationError unless `path` is there, ours or root's, and closed to all others."""
    try:
        found = path.stat()
    except OSError as error:
        raise AuthenticationError(f"{path}: {error.strerror}") from None
    if found.st_uid not in (0, os.geteuid()):
        raise AuthenticationError(
            f"{path}: expected it to be of user {os.geteuid()} or root, it is of user "
            f"{found.st_uid}; run: chown {os.geteuid()} {path}"
        )
    mode = stat.S_IMODE(found.st_mode)
    if mode & 0o077:
        wanted = 0o700 if path.is_dir() else 0o600
        raise AuthenticationError(
            f"{path}: mode {mode:04o} is open to others, expected {wanted:04o}; "
            f"run: chmod {wanted:o} {path}"
        )


def read_private(path: Path) -> bytes:
    """Content of a private file, after checking its mode."""
    check_private(path)
    try:
        return path.read_bytes()
    except OSError as error:
        raise AuthenticationError(f"{path}: {error.strerror}") from None


def _certificate(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError) as error:
        raise AuthenticationError(f"{path}: no certificate ({error})") from None


def write_file(path: Path, content: bytes, mode: int) -> None:
    """Write a whole file or none of it; it has its mode before it has any content."""
    part = path.with_name(f".{path.name}.part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        os.fchmod(file.fileno(), mode)  # whatever the umask is
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
