"""The town's own certificate authority: made at first start, read and judged at every start."""

import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

KEY_AND_CERTIFICATE = "mitmproxy-ca.pem"
"""The name under which mitmproxy looks for a CA in its confdir; key and certificate in one."""

CERTIFICATE = "town-ca.pem"
"""The certificate alone, for roll-out; public."""

_LIFETIME = timedelta(days=5 * 365)


class CertificateAuthorityError(Exception):
    """The CA cannot be used; the proxy does not start, since no page could be shown."""


def ensure(folder: Path, town_name: str) -> x509.Certificate:
    """Return the CA's certificate, making key and certificate (P-256) when there are none.

    Workers that start together agree on one. Raises CertificateAuthorityError when what is there is
    unreadable, expired or not a CA.
    """
    path = folder / KEY_AND_CERTIFICATE
    if not path.exists():
        _make(path, town_name)
    try:
        pem = path.read_bytes()
        key = serialization.load_pem_private_key(pem, None)
        certificate = x509.load_pem_x509_certificate(pem)
        is_ca = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except OSError as error:
        raise CertificateAuthorityError(
            f"{path}: {error.strerror}; give it to the proxy's user, or restore it from a backup"
        ) from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise CertificateAuthorityError(
            f"{path}: not a key without password and a certificate, in PEM; restore it from a backup"
        ) from error
    except x509.ExtensionNotFound:
        is_ca = False
    if not is_ca:
        raise CertificateAuthorityError(
            f"{path}: the certificate is not a certificate authority's; restore it from a backup"
        )
    if key.public_key() != certificate.public_key():
        raise CertificateAuthorityError(
            f"{path}: key and certificate do not belong together; restore it from a backup"
        )
    now = datetime.now(UTC)
    if now >= certificate.not_valid_after_utc:
        raise CertificateAuthorityError(
            f"{path}: the town's CA expired on {certificate.not_valid_after_utc:%Y-%m-%d}; move the "
            "file away to have a new one made, and roll it out to the workstations"
        )
    if now < certificate.not_valid_before_utc:
        raise CertificateAuthorityError(
            f"{path}: the town's CA is valid from {certificate.not_valid_before_utc:%Y-%m-%d}; "
            "check this machine's clock"
        )
    public = certificate.public_bytes(serialization.Encoding.PEM)
    if not _holds(folder / CERTIFICATE, public):
        _write(folder / CERTIFICATE, public, mode=0o644, put=Path.replace)
    return certificate


def _make(path: Path, town_name: str) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    # RFC 5280 bounds a common name to 64 characters.
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{town_name[:40]} web access CA")])
    # Workstations whose clocks run late must not refuse it on its first day.
    starts_at = datetime.now(UTC) - timedelta(days=2)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(starts_at)
        .not_valid_after(starts_at + _LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_KEY_USAGE, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    public = certificate.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with suppress(FileExistsError):
        # Never over another worker's: a link, unlike a rename, fails where there is one.
        _write(path, private + public, mode=0o600, put=_link)


def _holds(path: Path, data: bytes) -> bool:
    try:
        return path.read_bytes() == data
    except OSError:
        return False


def _link(written: Path, path: Path) -> None:
    path.hardlink_to(written)


def _write(path: Path, data: bytes, mode: int, put: Callable[[Path, Path], object]) -> None:
    """Write a file beside `path`, and `put` it there once it is on disk."""
    try:
        fd, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        written = Path(name)
        try:
            with os.fdopen(fd, "wb") as file:
                os.fchmod(fd, mode)
                file.write(data)
                file.flush()
                os.fsync(fd)
            put(written, path)
        finally:
            written.unlink(missing_ok=True)
    except FileExistsError:
        raise
    except OSError as error:
        raise CertificateAuthorityError(
            f"{path}: {error.strerror}; the proxy's user must be able to write there"
        ) from error


_KEY_USAGE = x509.KeyUsage(
    key_cert_sign=True,
    crl_sign=True,
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    encipher_only=False,
    decipher_only=False,
)
