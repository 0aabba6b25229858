"""TLS contexts of both ends: version 1.3 and nothing lower, and our own authority only."""

from __future__ import annotations

import ssl
from pathlib import Path

from ..errors import AuthenticationError


def client_context(ca: Path) -> ssl.SSLContext:
    """For a device: trusts the authority in `ca` (PEM) alone, and checks the server's name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # checks names and certificates
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    try:
        context.load_verify_locations(cafile=ca)
    except (OSError, ssl.SSLError) as error:
        raise AuthenticationError(f"{ca}: no certificate of an authority ({error})") from None
    return context


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """For a gateway: `certificate` (PEM, with its chain) and its private key."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise AuthenticationError(f"{certificate}: no usable certificate ({error})") from None
    return context
