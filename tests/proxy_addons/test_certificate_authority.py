"""The town's certificate authority: made once, kept, and judged at every start."""

import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from proxy_addons.certificate_authority import CertificateAuthorityError, ensure

NOW = datetime.now(UTC)
DAY = timedelta(days=1)


def test_authority_is_made_once_and_only_its_owner_can_read_the_key(tmp_path: Path) -> None:
    made = ensure(tmp_path, "Town of Exampleton").certificate
    kept = ensure(tmp_path, "Another name").certificate

    assert made == kept
    assert {path.name for path in tmp_path.iterdir()} == {"mitmproxy-ca.pem", "town-ca.pem"}
    assert stat.S_IMODE((tmp_path / "mitmproxy-ca.pem").stat().st_mode) == 0o600
    public = (tmp_path / "town-ca.pem").read_bytes()
    assert x509.load_pem_x509_certificate(public) == made
    assert b"PRIVATE" not in public


def test_workers_that_start_together_agree_on_one_authority(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as workers:
        made = list(workers.map(lambda _: ensure(tmp_path, "Town").certificate, range(8)))

    assert len(set(made)) == 1
    assert x509.load_pem_x509_certificate((tmp_path / "town-ca.pem").read_bytes()) == made[0]


def test_certificate_for_roll_out_is_made_again_when_it_is_gone(tmp_path: Path) -> None:
    made = ensure(tmp_path, "Town").certificate
    (tmp_path / "town-ca.pem").unlink()

    ensure(tmp_path, "Town")

    assert x509.load_pem_x509_certificate((tmp_path / "town-ca.pem").read_bytes()) == made


def test_authority_may_sign_certificates_and_nothing_else(tmp_path: Path) -> None:
    certificate = ensure(tmp_path, "T" * 200).certificate

    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage)
    assert (constraints.critical, constraints.value.ca, constraints.value.path_length) == (True, True, 0)
    assert (usage.critical, usage.value.key_cert_sign, usage.value.digital_signature) == (True, True, False)
    assert isinstance(certificate.public_key(), ec.EllipticCurvePublicKey)


def authority(
    starts_at: datetime = NOW - DAY,
    ends_at: datetime = NOW + DAY,
    *,
    is_ca: bool = True,
    is_encrypted: bool = False,
    with_key_of_its_own: bool = True,
    key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | None = None,
) -> bytes:
    key = key or ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Town CA")])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, starts_at, ends_at)
        .add_extension(x509.BasicConstraints(is_ca, 0 if is_ca else None), critical=True)
        .sign(key, None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256())
    )
    kept = key if with_key_of_its_own else ec.generate_private_key(ec.SECP256R1())
    encryption = BestAvailableEncryption(b"secret") if is_encrypted else NoEncryption()
    private = kept.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
    return private + certificate.public_bytes(Encoding.PEM)


@pytest.mark.parametrize(
    ("pem", "message"),
    [
        (b"", "not a key without password and a certificate, in PEM; restore it from a backup"),
        (b"-----BEGIN garbage", "not a key without password and a certificate, in PEM"),
        (authority()[:300], "not a key without password and a certificate, in PEM"),
        (authority(is_encrypted=True), "not a key without password and a certificate, in PEM"),
        (authority(is_ca=False), "the certificate is not a certificate authority's"),
        (authority(with_key_of_its_own=False), "key and certificate do not belong together"),
        (
            authority(ends_at=NOW - timedelta(hours=1)),
            f"the town's CA expired on {NOW - timedelta(hours=1):%Y-%m-%d};",
        ),
        (authority(starts_at=NOW + timedelta(hours=12)), "check this machine's clock"),
        (authority(key=ed25519.Ed25519PrivateKey.generate()), "no browser takes a key of this kind"),
        (
            authority() + authority().partition(b"-----END PRIVATE KEY-----\n")[2],
            "CN=Town CA is not signed by what follows it",
        ),
    ],
    ids=[
        *(
            "empty",
            "garbage",
            "cut",
            "encrypted",
            "no authority",
            "another's key",
            "expired",
            "not yet valid",
        ),
        *("a key of another kind", "a chain of strangers"),
    ],
)
def test_authority_that_cannot_be_used_is_refused_in_one_line(
    pem: bytes, message: str, tmp_path: Path
) -> None:
    (tmp_path / "mitmproxy-ca.pem").write_bytes(pem)

    with pytest.raises(CertificateAuthorityError) as refused:
        ensure(tmp_path, "Town")

    assert str(refused.value).startswith(f"{tmp_path}/mitmproxy-ca.pem: ")
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_folder_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    with pytest.raises(CertificateAuthorityError, match="No such file or directory; the proxy's user must"):
        ensure(tmp_path / "missing", "Town")
