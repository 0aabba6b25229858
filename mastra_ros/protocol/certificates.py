"""Certificates of our own authority (X.509, profile of RFC 5280), on P-256 keys."""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization as coding
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ..errors import AuthenticationError, ConfigError

_BACKDATED = datetime.timedelta(hours=1)  # devices' clocks may be behind


def make_authority(days: int) -> tuple[bytes, bytes]:
    """Certificate and private key (PEM) of a new authority that signs servers only."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Mastra device authority")])
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    builder = (
        _dated(name, days)
        .issuer_name(name)
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)
        .add_extension(identifier, critical=False)
    )
    return _pem(builder.sign(key, hashes.SHA256())), _key_pem(key)


def make_server_certificate(
    ca_certificate: bytes, ca_key: bytes, hosts: Sequence[str], days: int
) -> tuple[bytes, bytes]:
    """Certificate and private key (PEM) of a server with these host names and IP addresses."""
    try:
        authority = x509.load_pem_x509_certificate(ca_certificate)
        signer = coding.load_pem_private_key(ca_key, password=None)
    except (ValueError, TypeError) as error:
        raise AuthenticationError(f"authority: not readable ({error})") from None
    if not isinstance(signer, ec.EllipticCurvePrivateKey):
        raise AuthenticationError("authority: expected a key on P-256")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Mastra gateway")])
    builder = (
        _dated(name, days)
        .issuer_name(authority.subject)
        .public_key(key.public_key())
        .add_extension(x509.SubjectAlternativeName([_general(h) for h in hosts]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()),
            critical=False,
        )
    )
    return _pem(builder.sign(signer, hashes.SHA256())), _key_pem(key)


def _dated(subject: x509.Name, days: int) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.timezone.utc)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + datetime.timedelta(days=days))
    )


def _usage(
    *, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False
) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        pass  # then it is a name
    try:
        return x509.DNSName(host)
    except ValueError as error:
        raise ConfigError(f"host: expected a name in ASCII or an address, got {host!r}") from error


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(coding.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(coding.Encoding.PEM, coding.PrivateFormat.PKCS8, coding.NoEncryption())
