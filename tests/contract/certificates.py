"""Certificates that a test makes for 127.0.0.1, each its own authority or with one of its own."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def self_signed(directory: Path, name: str) -> tuple[Path, Path]:
    """Write a certificate and its key; return their paths."""
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _certificate(key, "127.0.0.1", None, is_authority=True)
    return _written(directory, name, certificate, key)


def issued(directory: Path, name: str) -> tuple[Path, tuple[Path, Path]]:
    """Write an authority's certificate, and one that it signed; return the first, and the second.

    Some clients take no certificate of an authority for one of a server.
    """
    root = ec.generate_private_key(ec.SECP256R1())
    authority = _certificate(root, f"authority {name}", None, is_authority=True)
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _certificate(key, "127.0.0.1", (authority, root), is_authority=False)
    path, _ = _written(directory, f"{name}-authority", authority, root)
    return path, _written(directory, name, certificate, key)


def _certificate(
    key: ec.EllipticCurvePrivateKey,
    name: str,
    issuer: tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None,
    *,
    is_authority: bool,
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .sign(issuer[1] if issuer else key, hashes.SHA256())
    )


def _written(
    directory: Path, name: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey
) -> tuple[Path, Path]:
    paths = directory / f"{name}.crt", directory / f"{name}.key"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    for path in paths:
        path.chmod(0o644)
    return paths
