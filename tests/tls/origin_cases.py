"""Origin servers that prove who they are, or do not: one case a line of the table in README.md."""

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, ObjectIdentifier
from OpenSSL import SSL

from proxy_addons.origin_certificate import OriginFault
from tests.tls.certificates import (
    DAY,
    NOW,
    Issued,
    authority,
    general_names,
    issue,
    key_usage,
    leaf,
    signed_with_sha1,
)

_UNKNOWN_OID = ObjectIdentifier("1.3.6.1.4.1.99999.1")


@dataclass(frozen=True, slots=True)
class Served:
    """What an origin server shows, and how it speaks.

    `sent` are the certificates as they are sent. `staple` is an OCSP response (DER). `cipher_chosen` is
    that of a server which answers every ClientHello with TLS 1.2 and this number, offered or not.
    """

    issued: Issued
    sent: Sequence[x509.Certificate] = ()
    versions: tuple[int, int] = (SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION)
    ciphers: bytes = b"DEFAULT"
    staple: bytes = b""
    cipher_chosen: int | None = None


class Pki:
    """Authorities that the proxy trusts (`root`, `town`), and those it does not.

    `town` is the town's own CA, trusted as a root here too: worst case.
    """

    def __init__(self, town: Issued) -> None:
        self.town = town
        self.root = authority("Root", key=_rsa(2048))
        self.intermediate = authority("Intermediate", self.root, key=_rsa(2048), path_length=0)
        self.stranger = authority("A root that nobody trusts")

    @property
    def trusted(self) -> tuple[x509.Certificate, ...]:
        """What is in the proxy's store."""
        return (self.root.certificate, self.town.certificate)

    def site(self, host: str, **options: object) -> Issued:
        """Return a good certificate, but for what `options` change."""
        return leaf(self.intermediate, host, **options)  # type: ignore[arg-type]

    def below(self, host: str, **options: object) -> Served:
        """Return what a server with an intermediate shows that `options` are of."""
        return _chained(leaf(authority("Other", self.root, **options), host))  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Case:
    """An origin server: its words for the table, what it serves for a host, and why it is refused."""

    id: str
    says: str
    refused: OriginFault | None
    served: Callable[[Pki, str], Served]

    @property
    def host(self) -> str:
        """The name by which it is asked for."""
        return f"{self.id}.tls.example"


def _chained(issued: Issued, **options: object) -> Served:
    """Return a server that sends everything but the root, as it should."""
    return Served(issued, issued.chain[:-1], **options)  # type: ignore[arg-type]


def _changed(**options: object) -> Callable[[Pki, str], Served]:
    return lambda pki, host: _chained(pki.site(host, **options))


def _speaking(**options: object) -> Callable[[Pki, str], Served]:
    return lambda pki, host: _chained(pki.site(host, key=_rsa(2048)), **options)


def _under(**options: object) -> Callable[[Pki, str], Served]:
    return lambda pki, host: pki.below(host, **options)


def _named(name: Callable[[str], str]) -> Callable[[Pki, str], Served]:
    return lambda pki, host: _chained(pki.site(name(host)))


def _rsa(bits: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)


def _stapled(
    pki: Pki,
    host: str,
    status: ocsp.OCSPCertStatus,
    *,
    must_staple: bool = False,
    signer: Issued | None = None,
    of: Issued | None = None,
    age: dt.timedelta = dt.timedelta(hours=1),
) -> Served:
    feature = (x509.TLSFeature([x509.TLSFeatureType.status_request]), False)
    issued = pki.site(host, extensions=[feature] if must_staple else [])
    signer = signer or pki.intermediate
    is_revoked = status is ocsp.OCSPCertStatus.REVOKED
    response = (
        ocsp.OCSPResponseBuilder()
        .add_response(
            cert=(of or issued).certificate,
            issuer=pki.intermediate.certificate,
            algorithm=hashes.SHA1(),
            cert_status=status,
            this_update=NOW - age,
            next_update=NOW - age + DAY,
            revocation_time=NOW - DAY if is_revoked else None,
            revocation_reason=x509.ReasonFlags.key_compromise if is_revoked else None,
        )
        .responder_id(ocsp.OCSPResponderEncoding.HASH, signer.certificate)
        .certificates([signer.certificate])
        .sign(signer.key, hashes.SHA256())
    )
    return _chained(issued, staple=response.public_bytes(Encoding.DER))


def _must_staple_without(pki: Pki, host: str) -> Served:
    feature = (x509.TLSFeature([x509.TLSFeatureType.status_request]), False)
    return _chained(pki.site(host, extensions=[feature]))


def _responder(pki: Pki, *purposes: ObjectIdentifier) -> Issued:
    return leaf(pki.intermediate, name="Responder", purposes=purposes)


def _without_its_intermediate(pki: Pki, host: str) -> Served:
    issued = pki.site(host)
    return Served(issued, issued.chain[:1])


def _self_signed(_pki: Pki, host: str) -> Served:
    issued = issue("", None, extensions=[(general_names(host), True)])
    return Served(issued, issued.chain)


def _by_a_leaf(pki: Pki, host: str) -> Served:
    return _chained(leaf(pki.site("other.example", name="other.example"), host))


def _too_deep(pki: Pki, host: str) -> Served:
    return _chained(leaf(authority("One too many", pki.intermediate), host))


def _constrained(
    *, permitted: str | None = None, excluded: str | None = None
) -> Callable[[Pki, str], Served]:
    constraints = x509.NameConstraints(
        [x509.DNSName(permitted)] if permitted else None, [x509.DNSName(excluded)] if excluded else None
    )
    return _under(extensions=[(constraints, True)])


def _for_other_purposes(*purposes: ObjectIdentifier) -> Callable[[Pki, str], Served]:
    return _under(extensions=[(x509.ExtendedKeyUsage(purposes), False)])


def _sha1(pki: Pki, host: str) -> Served:
    return _chained(signed_with_sha1(pki.site(host), pki.intermediate))


def _sha1_above(pki: Pki, host: str) -> Served:
    return _chained(leaf(signed_with_sha1(authority("Other", pki.root), pki.root), host))


def _towns_own(pki: Pki, host: str) -> Served:
    issued = leaf(pki.town, host)
    return Served(issued, issued.chain)


def _root_sent_too(pki: Pki, host: str) -> Served:
    issued = pki.site(host)
    return Served(issued, issued.chain)


def _strangers_root_sent_too(pki: Pki, host: str) -> Served:
    issued = leaf(pki.stranger, host)
    return Served(issued, issued.chain)


_GOOD, _REVOKED = ocsp.OCSPCertStatus.GOOD, ocsp.OCSPCertStatus.REVOKED
_UNKNOWN_EXTENSION = x509.UnrecognizedExtension(_UNKNOWN_OID, b"\x05\x00")
_TLS_1_2_ONLY = (SSL.TLS1_2_VERSION, SSL.TLS1_2_VERSION)

CASES = (
    Case("good", "as it should be, on P-256", None, _changed()),
    Case("good-rsa", "as it should be, RSA of 2,048 bits", None, _changed(key=_rsa(2048))),
    Case("good-tls12", "TLS 1.2", None, _speaking(versions=_TLS_1_2_ONLY)),
    Case("good-root-sent", "the root sent along", None, _root_sent_too),
    Case(
        "good-wildcard", "a wildcard for the first label", None, _named(lambda h: f"*.{h.partition('.')[2]}")
    ),
    Case("good-no-usage", "no extended key usage", None, _changed(purposes=())),
    Case("good-constrained", "name constraints that permit it", None, _constrained(permitted="tls.example")),
    Case("good-stapled", "a stapled status: good", None, lambda pki, host: _stapled(pki, host, _GOOD)),
    Case(
        "good-must-staple",
        "must-staple, and stapled: good",
        None,
        lambda pki, host: _stapled(pki, host, _GOOD, must_staple=True),
    ),
    Case(
        "good-delegated",
        "must-staple, signed by the issuer's responder",
        None,
        lambda pki, host: _stapled(
            pki, host, _GOOD, must_staple=True, signer=_responder(pki, ExtendedKeyUsageOID.OCSP_SIGNING)
        ),
    ),
    Case("ended", "expired", OriginFault.ENDED, _changed(starts_at=NOW - 9 * DAY, ends_at=NOW - DAY)),
    Case(
        "ended-intermediate",
        "an intermediate that has expired",
        OriginFault.ENDED,
        _under(starts_at=NOW - 9 * DAY, ends_at=NOW - DAY),
    ),
    Case("not-begun", "not yet valid", OriginFault.NOT_BEGUN, _changed(starts_at=NOW + DAY)),
    Case("wrong-host", "another host's", OriginFault.OTHER_SITE, _named(lambda _: "other.example")),
    Case("parent", "its parent's", OriginFault.OTHER_SITE, _named(lambda h: h.partition(".")[2])),
    Case(
        "cn-only",
        "the host as common name only",
        OriginFault.OTHER_SITE,
        lambda pki, host: _chained(leaf(pki.intermediate, name=host)),
    ),
    Case(
        "cn-beside",
        "the host as common name, another as subjectAltName",
        OriginFault.OTHER_SITE,
        lambda pki, host: _chained(leaf(pki.intermediate, "other.example", name=host)),
    ),
    Case(
        "partial-wildcard",
        "a wildcard for a part of a label",
        OriginFault.OTHER_SITE,
        _named(lambda h: f"p*.{h.partition('.')[2]}"),
    ),
    Case(
        "a.deep-wildcard",
        "a wildcard for two labels",
        OriginFault.OTHER_SITE,
        _named(lambda _: "*.tls.example"),
    ),
    Case("double-wildcard", "two wildcards", OriginFault.OTHER_SITE, _named(lambda _: "*.*.example")),
    Case(
        "inner-wildcard",
        "a wildcard that is not the first label",
        OriginFault.OTHER_SITE,
        _named(lambda h: f"{h.partition('.')[0]}.*.example"),
    ),
    Case("self-signed", "signed by itself", OriginFault.UNKNOWN_ISSUER, _self_signed),
    Case(
        "untrusted-root", "a root that is not trusted", OriginFault.UNKNOWN_ISSUER, _strangers_root_sent_too
    ),
    Case(
        "no-intermediate",
        "an intermediate that is not sent",
        OriginFault.UNKNOWN_ISSUER,
        _without_its_intermediate,
    ),
    Case("signed-by-leaf", "signed by a site's certificate", OriginFault.INVALID, _by_a_leaf),
    Case("path-length", "an authority below one that may have none", OriginFault.INVALID, _too_deep),
    Case("not-a-ca", "an intermediate that is no authority", OriginFault.INVALID, _under(is_ca=False)),
    Case(
        "outside",
        "name constraints that permit another",
        OriginFault.INVALID,
        _constrained(permitted="other.example"),
    ),
    Case(
        "excluded",
        "name constraints that exclude it",
        OriginFault.INVALID,
        _constrained(excluded="tls.example"),
    ),
    Case(
        "client-usage",
        "for clients (extended key usage)",
        OriginFault.INVALID,
        _changed(purposes=[ExtendedKeyUsageOID.CLIENT_AUTH]),
    ),
    Case(
        "client-usage-above",
        "an intermediate for mail only",
        OriginFault.INVALID,
        _for_other_purposes(ExtendedKeyUsageOID.EMAIL_PROTECTION),
    ),
    Case(
        "key-usage",
        "its key usage lacks digitalSignature",
        OriginFault.INVALID,
        _changed(usage=key_usage("key_agreement")),
    ),
    Case(
        "key-usage-above",
        "an intermediate whose key usage lacks keyCertSign",
        OriginFault.INVALID,
        _under(usage=key_usage("crl_sign")),
    ),
    Case(
        "critical",
        "an unknown critical extension",
        OriginFault.INVALID,
        _changed(extensions=[(_UNKNOWN_EXTENSION, True)]),
    ),
    Case(
        "critical-above",
        "one in an intermediate",
        OriginFault.INVALID,
        _under(extensions=[(_UNKNOWN_EXTENSION, True)]),
    ),
    Case("sha1", "signed with SHA-1", OriginFault.TOO_WEAK, _sha1),
    Case(
        "sha1-above",
        "an intermediate signed with SHA-1",
        OriginFault.TOO_WEAK,
        _sha1_above,
    ),
    Case("rsa1024", "RSA of 1,024 bits", OriginFault.TOO_WEAK, _changed(key=_rsa(1024))),
    Case(
        "rsa1024-above",
        "an intermediate with RSA of 1,024 bits",
        OriginFault.TOO_WEAK,
        _under(key=_rsa(1024)),
    ),
    Case(
        "revoked",
        "a stapled status: revoked",
        OriginFault.REVOKED,
        lambda pki, host: _stapled(pki, host, _REVOKED),
    ),
    Case("must-staple", "must-staple, and nothing stapled", OriginFault.UNPROVEN, _must_staple_without),
    Case(
        "staple-old",
        "must-staple, with a status of last week",
        OriginFault.UNPROVEN,
        lambda pki, host: _stapled(pki, host, _GOOD, must_staple=True, age=7 * DAY),
    ),
    Case(
        "staple-of-another",
        "must-staple, with another certificate's status",
        OriginFault.UNPROVEN,
        lambda pki, host: _stapled(pki, host, _GOOD, must_staple=True, of=pki.site(host)),
    ),
    Case(
        "staple-by-a-stranger",
        "must-staple, with a status signed by another site",
        OriginFault.UNPROVEN,
        lambda pki, host: _stapled(
            pki, host, _GOOD, must_staple=True, signer=_responder(pki, ExtendedKeyUsageOID.SERVER_AUTH)
        ),
    ),
    Case("towns-own", "the town's own CA", OriginFault.TOWNS_OWN, _towns_own),
    Case(
        "tls11",
        "TLS 1.1",
        OriginFault.WEAK_CONNECTION,
        _speaking(versions=(SSL.TLS1_VERSION, SSL.TLS1_1_VERSION), ciphers=b"ALL:@SECLEVEL=0"),
    ),
    Case(
        "static-rsa",
        "TLS 1.2 with static RSA only",
        OriginFault.WEAK_CONNECTION,
        _speaking(versions=_TLS_1_2_ONLY, ciphers=b"AES128-GCM-SHA256"),
    ),
    Case(
        "cbc",
        "TLS 1.2 with CBC and SHA-1 only",
        OriginFault.WEAK_CONNECTION,
        _speaking(versions=_TLS_1_2_ONLY, ciphers=b"ECDHE-RSA-AES128-SHA"),
    ),
    Case(
        "dhe",
        "TLS 1.2 with finite-field Diffie-Hellman only",
        OriginFault.WEAK_CONNECTION,
        _speaking(versions=_TLS_1_2_ONLY, ciphers=b"DHE-RSA-AES128-GCM-SHA256"),
    ),
    Case("null", "a NULL cipher", OriginFault.WEAK_CONNECTION, _speaking(cipher_chosen=0x003B)),
    Case("rc4", "RC4", OriginFault.WEAK_CONNECTION, _speaking(cipher_chosen=0xC011)),
    Case("3des", "3DES", OriginFault.WEAK_CONNECTION, _speaking(cipher_chosen=0xC012)),
    Case(
        "small-dh",
        "Diffie-Hellman that was not offered",
        OriginFault.WEAK_CONNECTION,
        _speaking(cipher_chosen=0x009E),
    ),
)
