"""A certificate authority of the emulator's own, which signs one certificate and is forgotten.

Whoever trusts it trusts it for Google's domain only (RFC 5280, section 4.2.1.10), and
nobody can sign with it: its key never leaves the function that makes it.
"""

import ssl
import tempfile
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path

import certifi
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from vertex_emulator.as_google.hosts import DOMAIN

# A client's clock may be a little behind. More than 398 days of a server are refused by some:
# https://support.apple.com/en-us/102028
_BEFORE, _AFTER = timedelta(days=1), timedelta(days=365)
_CA_NAME = "Vertex AI emulator (a throw-away authority)"
# In Python's order of preference. Clients of gRPC offer HTTP/2 alone; what offers both is a
# client of REST, which HTTP/1.1 is enough for.
_PROTOCOLS = ("http/1.1", "h2")


def make_identity(folder: Path) -> tuple[bytes, ssl.SSLContext]:
    """Make an authority, and a server's certificate of it for Google's hosts.

    Args:
        folder: A folder that only this user can enter. The server's key is in a file there
            for a moment: Python's `ssl` reads keys from files alone.

    Returns:
        The authority's certificate as PEM, and what ends TLS in the name of the hosts.
    """
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority = _build_authority(authority_key)
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _build_certificate(key, authority, authority_key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(_PROTOCOLS)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        file.write(private + certificate.public_bytes(serialization.Encoding.PEM))
        file.flush()
        context.load_cert_chain(file.name)
    return authority.public_bytes(serialization.Encoding.PEM), context


def read_trusted(environ: Mapping[str, str]) -> bytes:
    """The authorities that clients trust already, as PEM: what a host outside is verified with.

    Args:
        environ: The user's environment, which may name a file of a company's own.
    """
    for name in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"):
        file = Path(environ.get(name) or "/")
        if file.is_file():
            return file.read_bytes()
    return certifi.contents().encode()


def _build_authority(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, _CA_NAME)])
    usage = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    return (
        _begin(name, name, key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.NameConstraints([x509.DNSName(DOMAIN)], None), critical=True)
        .sign(key, hashes.SHA256())
    )


def _build_certificate(
    key: ec.EllipticCurvePrivateKey,
    authority: x509.Certificate,
    authority_key: ec.EllipticCurvePrivateKey,
) -> x509.Certificate:
    host = f"*.{DOMAIN}"
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    # Python verifies strictly from 3.13 on, and asks for the identifiers of both keys.
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    return (
        _begin(name, authority.subject, key)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(identifier, critical=False)
        .sign(authority_key, hashes.SHA256())
    )


def _begin(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    # TLS goes by the machine's own clock, whatever the emulator's says.
    now = datetime.now(timezone.utc)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BEFORE)
        .not_valid_after(now + _AFTER)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
