"""The town's own certificate authority: made at first start, read and judged at every start."""

import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

KEY_AND_CERTIFICATE = "mitmproxy-ca.pem"
"""The name under which mitmproxy looks for a CA in its confdir; key and certificate in one."""

CERTIFICATE = "town-ca.pem"
"""The certificate alone, for roll-out; public."""

NEXT = "next-ca.pem"
"""Key and certificate of the authority that comes next, while it is rolled out."""

NEXT_CERTIFICATE = "town-ca-next.pem"
"""The certificate of that alone; public."""

PREVIOUS = "previous-ca.pem"
"""Key and certificate of the authority that was in force before, for the way back."""

_LIFETIME = timedelta(days=5 * 365)


class CertificateAuthorityError(Exception):
    """The CA cannot be used; the proxy does not start, since no page could be shown."""


@dataclass(frozen=True, slots=True)
class Authority:
    """What leaves are signed with: the town's own CA, or an intermediate below it.

    `chain` leads from the certificate that signed this one towards the root, as far as the file
    has it; empty where the town's own CA signs leaves itself.
    """

    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
    certificate: x509.Certificate
    chain: tuple[x509.Certificate, ...] = ()

    @property
    def certificates(self) -> tuple[x509.Certificate, ...]:
        """Its certificate and those above it."""
        return (self.certificate, *self.chain)

    @property
    def anchor(self) -> x509.Certificate:
        """What a workstation must trust: the highest certificate of the chain that is known here."""
        return self.certificates[-1]

    @property
    def sent(self) -> tuple[x509.Certificate, ...]:
        """What a client needs beside a leaf: all below the root, which it has or does not trust."""
        return tuple(certificate for certificate in self.certificates if not _signs_itself(certificate))

    @property
    def starts_at(self) -> datetime:
        """From when on a leaf of it is good (aware UTC)."""
        return max(certificate.not_valid_before_utc for certificate in self.certificates)

    @property
    def ends_at(self) -> datetime:
        """Until when a leaf of it is good (aware UTC)."""
        return min(certificate.not_valid_after_utc for certificate in self.certificates)


def ensure(folder: Path, town_name: str) -> Authority:
    """Return the authority in force, making a CA (P-256) when there is none.

    The certificate that workstations must trust is written beside it. Workers that start together
    agree on one. Raises CertificateAuthorityError when what is there is unreadable, expired or not a CA.
    """
    path = folder / KEY_AND_CERTIFICATE
    if not path.exists():
        make(path, f"{town_name[:40]} web access CA")
    return in_force(folder)


def in_force(folder: Path) -> Authority:
    """Return the authority in force, which is there; like `ensure`, which makes one where there is none."""
    authority = usable(folder / KEY_AND_CERTIFICATE)
    publish(folder / CERTIFICATE, authority)
    return authority


def usable(path: Path) -> Authority:
    """Return what a file holds, like `read`; one that has ended or not begun is refused as well."""
    authority = read(path)
    now = datetime.now(UTC)
    if now >= authority.ends_at:
        raise CertificateAuthorityError(
            f"{path}: the town's CA expired on {authority.ends_at:%Y-%m-%d}; move the "
            "file away to have a new one made, and roll it out to the workstations"
        )
    if now < authority.starts_at:
        raise CertificateAuthorityError(
            f"{path}: the town's CA is valid from {authority.starts_at:%Y-%m-%d}; check this machine's clock"
        )
    return authority


def publish(path: Path, authority: Authority) -> None:
    """Write what workstations must trust, unless it is there already."""
    public = authority.anchor.public_bytes(serialization.Encoding.PEM)
    if not _holds(path, public):
        write(path, public, mode=0o644)


def read(path: Path) -> Authority:
    """Return what a file of key, certificate and chain holds (PEM).

    Raises CertificateAuthorityError when it holds no authority; whether that has ended is not asked.
    """
    try:
        pem = path.read_bytes()
        key = serialization.load_pem_private_key(pem, None)
        certificates = x509.load_pem_x509_certificates(pem)
        are_cas = all(map(_is_ca, certificates))
    except OSError as error:
        raise CertificateAuthorityError(
            f"{path}: {error.strerror}; give it to the proxy's user, or restore it from a backup"
        ) from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise CertificateAuthorityError(
            f"{path}: not a key without password and a certificate, in PEM; restore it from a backup"
        ) from error
    if not are_cas:
        raise CertificateAuthorityError(
            f"{path}: the certificate is not a certificate authority's; restore it from a backup"
        )
    if key.public_key() != certificates[0].public_key():
        raise CertificateAuthorityError(
            f"{path}: key and certificate do not belong together; restore it from a backup"
        )
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise CertificateAuthorityError(f"{path}: no browser takes a key of this kind; use P-256")
    for certificate, issuer in pairwise(certificates):
        try:
            certificate.verify_directly_issued_by(issuer)
        except (ValueError, TypeError, InvalidSignature) as error:
            raise CertificateAuthorityError(
                f"{path}: {certificate.subject.rfc4514_string()} is not signed by what follows it; "
                "put each certificate above the one that signed it"
            ) from error
    return Authority(key, certificates[0], tuple(certificates[1:]))


def _is_ca(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _signs_itself(certificate: x509.Certificate) -> bool:
    return certificate.subject == certificate.issuer


def make(path: Path, common_name: str) -> None:
    """Make a CA (P-256, five years) of up to 64 characters' name; one that is there is left alone."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
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
        write(path, private + public, mode=0o600, put=_link)


def _holds(path: Path, data: bytes) -> bool:
    try:
        return path.read_bytes() == data
    except OSError:
        return False


def _link(written: Path, path: Path) -> None:
    path.hardlink_to(written)


def write(path: Path, data: bytes, mode: int, put: Callable[[Path, Path], object] = Path.replace) -> None:
    """Write a file beside `path`, and `put` it there once it is on disk.

    It is given to whose the folder is, also when root writes it. Raises CertificateAuthorityError, and
    FileExistsError where `put` does.
    """
    try:
        fd, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        written = Path(name)
        try:
            with os.fdopen(fd, "wb") as file:
                os.fchmod(fd, mode)
                if os.geteuid() == 0:
                    folder = path.parent.stat()
                    os.fchown(fd, folder.st_uid, folder.st_gid)
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
