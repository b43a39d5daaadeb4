"""Certificates of every kind, right and wrong, made by the tests."""

import datetime as dt
import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NOW = dt.datetime.now(dt.UTC)
DAY = dt.timedelta(days=1)

type Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate with its key, and those above it, the root last."""

    key: Key
    certificate: x509.Certificate
    above: tuple[x509.Certificate, ...] = ()

    @property
    def chain(self) -> tuple[x509.Certificate, ...]:
        """All certificates, the root last."""
        return (self.certificate, *self.above)

    def key_pem(self) -> bytes:
        """Return the key."""
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def write(self, path: Path, chain: Iterable[x509.Certificate] | None = None) -> Path:
        """Write key and certificates, all of them where none are given."""
        path.write_bytes(self.key_pem() + pem(self.chain if chain is None else chain))
        return path


def pem(certificates: Iterable[x509.Certificate]) -> bytes:
    """Return certificates as PEM, one after the other."""
    return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in certificates)


def new_key() -> ec.EllipticCurvePrivateKey:
    """Return a key on P-256."""
    return ec.generate_private_key(ec.SECP256R1())


def key_usage(*named: str) -> x509.KeyUsage:
    """Return a key usage with only what is named."""
    known = (
        *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment"),
        *("key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
    )
    return x509.KeyUsage(**{name: name in named for name in known})


def general_names(*hosts: str) -> x509.SubjectAlternativeName:
    """Return names and addresses as a certificate holds them."""
    return x509.SubjectAlternativeName([_general_name(host) for host in hosts])


def authority(
    name: str,
    under: Issued | None = None,
    *,
    key: Key | None = None,
    path_length: int | None = None,
    usage: x509.KeyUsage | None = None,
    extensions: Sequence[tuple[x509.ExtensionType, bool]] = (),
    is_ca: bool = True,
    **options: Any,
) -> Issued:
    """Return a certificate authority, a root where nothing is above it. `options` are `issue`'s."""
    given = (
        (x509.BasicConstraints(is_ca, path_length if is_ca else None), True),
        (usage or key_usage("key_cert_sign", "crl_sign"), True),
        *extensions,
    )
    return issue(name, under, key=key, extensions=given, **options)


def leaf(
    under: Issued,
    *hosts: str,
    name: str = "",
    usage: x509.KeyUsage | None = None,
    purposes: Sequence[x509.ObjectIdentifier] = (ExtendedKeyUsageOID.SERVER_AUTH,),
    extensions: Sequence[tuple[x509.ExtensionType, bool]] = (),
    **options: Any,
) -> Issued:
    """Return a site's certificate for `hosts`, with a common name where one is given."""
    given = [
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (usage or key_usage("digital_signature"), True),
        *([(x509.ExtendedKeyUsage(purposes), False)] if purposes else []),
        *([(general_names(*hosts), not name)] if hosts else []),
        *extensions,
    ]
    return issue(name, under, extensions=given, **options)


def issue(
    name: str,
    under: Issued | None,
    *,
    key: Key | None = None,
    extensions: Iterable[tuple[x509.ExtensionType, bool]] = (),
    starts_at: dt.datetime = NOW - 10 * DAY,
    ends_at: dt.datetime = NOW + 80 * DAY,
) -> Issued:
    """Return a certificate, signed by itself where nothing is above it."""
    key = key or new_key()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)] if name else [])
    signing_key = under.key if under else key
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(under.certificate.subject if under else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(starts_at)
        .not_valid_after(ends_at)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signing_key.public_key()), critical=False
        )
    )
    for extension, is_critical in extensions:
        builder = builder.add_extension(extension, is_critical)
    certificate = builder.sign(signing_key, hashes.SHA256())
    return Issued(key, certificate, under.chain if under else ())


def signed_with_sha1(issued: Issued, under: Issued) -> Issued:
    """Return the same certificate, signed anew with SHA-1 by an authority whose key is RSA.

    Done on the bytes: no library signs a certificate so any more.
    """
    assert isinstance(under.key, rsa.RSAPrivateKey)
    der, old = issued.certificate.public_bytes(Encoding.DER), issued.certificate
    assert der.count(_SHA256_WITH_RSA) == 2
    signed = old.tbs_certificate_bytes.replace(_SHA256_WITH_RSA, _SHA1_WITH_RSA)
    signature = under.key.sign(signed, padding.PKCS1v15(), hashes.SHA1())
    der = der.replace(_SHA256_WITH_RSA, _SHA1_WITH_RSA).replace(old.signature, signature)
    return replace(issued, certificate=x509.load_der_x509_certificate(der))


_SHA256_WITH_RSA, _SHA1_WITH_RSA = (bytes.fromhex(f"06092a864886f70d0101{last}") for last in ("0b", "05"))
"""The object identifiers of RFC 4055 section 5 and RFC 3279 section 2.2.1, as DER."""


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
