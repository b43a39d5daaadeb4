"""How origin servers prove who they are: verified as a browser would, and why one was refused."""

import functools
import ipaddress
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

import certifi
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from OpenSSL import SSL, crypto

from categories.host_name import is_address
from proxy_addons.stapled_status import StapledStatus, stapled_status

logger = logging.getLogger(__name__)

SYSTEMS_ROOTS = Path("/etc/ssl/certs/ca-certificates.crt")
"""Where Debian keeps the roots that it trusts; certifi's are taken where there is none."""

_CIPHERS = b":".join(
    b"ECDHE-%s-%s" % (signed_with, cipher)
    for cipher in (b"AES128-GCM-SHA256", b"AES256-GCM-SHA384", b"CHACHA20-POLY1305")
    for signed_with in (b"ECDSA", b"RSA")
)
"""For TLS 1.2: no static RSA, no CBC, no finite-field Diffie-Hellman, which browsers offer no more."""

_SECURITY_LEVEL = b"@SECLEVEL=2"
"""112 bits: of keys, of signatures in the handshake, and of those on certificates."""

_LONGEST_CHAIN = 8

_HELD = 256
"""Certificates, by all their bytes, of which a worker remembers what they say; the one not met the longest
goes first. Whether they are good is asked anew for each connection."""

_UNREADABLE = (
    *(ValueError, UnsupportedAlgorithm),
    *(x509.DuplicateExtension, x509.InvalidVersion, x509.UnsupportedGeneralNameType),
)
"""What reading a certificate raises that OpenSSL could read."""

_HTTP1 = b"http/1.1"


class OriginFault(StrEnum):
    """Why an origin server was refused."""

    ENDED = "ended"
    NOT_BEGUN = "not_begun"
    OTHER_SITE = "other_site"
    UNKNOWN_ISSUER = "unknown_issuer"
    """No root that is trusted here, or a certificate between them that the server did not send."""
    TOO_WEAK = "too_weak"
    """SHA-1, or a key that is too short, anywhere in the chain."""
    REVOKED = "revoked"
    """Taken back by who issued it, as the server itself says (stapled OCSP)."""
    UNPROVEN = "unproven"
    """The certificate demands a stapled proof that it was not taken back, and none came."""
    TOWNS_OWN = "towns_own"
    """Under the town's CA, which vouches for no site outside: somebody else has its key."""
    INVALID = "invalid"
    """Not made for a site, or by one who may not: purpose, constraints, an unknown critical extension."""
    WEAK_CONNECTION = "weak_connection"
    """No version of TLS and no cipher in common that is safe."""


@dataclass(frozen=True, slots=True)
class OriginRefusal:
    """Why an origin server was refused; `at` (aware) is when its certificate ended, or begins.

    `detail` is for the visit record, in OpenSSL's words where it refused.
    """

    fault: OriginFault
    detail: str
    at: datetime | None = None


class TrustError(Exception):
    """The roots that origin servers are verified with cannot be read."""


@dataclass(slots=True, eq=False)
class _Handshake:
    """What belongs to one connection: the host it must prove, and why it was refused after all."""

    host: str
    refusal: OriginRefusal | None = None


class _Certificate:
    """A certificate of a chain, and what is asked of it, each found out once: browsers come back."""

    def __init__(self, der: bytes) -> None:
        self.read = x509.load_der_x509_certificate(der)

    @functools.cached_property
    def public_key(self) -> bytes:
        return public_key(self.read)

    @functools.cached_property
    def may_sign(self) -> bool:
        """Whether its key may sign a handshake, which it does in all that are offered."""
        try:
            return self.read.extensions.get_extension_for_class(x509.KeyUsage).value.digital_signature
        except x509.ExtensionNotFound:
            return True

    @functools.cached_property
    def must_staple(self) -> bool:
        """Whether it demands a stapled status (RFC 7633)."""
        try:
            features = self.read.extensions.get_extension_for_class(x509.TLSFeature).value
        except x509.ExtensionNotFound:
            return False
        return x509.TLSFeatureType.status_request in features


_read = functools.lru_cache(_HELD)(_Certificate)


class OriginVerifier:
    """Makes the TLS connections to origin servers, which end their handshake unless all is proven.

    OpenSSL verifies the chain; what it leaves open is asked before the handshake ends, so that not
    one byte of a request has been sent. `own_keys` gives the keys (DER) of the town's own CAs. Its
    strict flag is not set: it refuses roots that browsers trust.
    Raises TrustError.
    """

    def __init__(self, extra_roots: Path, own_keys: Callable[[], Iterable[bytes]]) -> None:
        self._extra_roots = extra_roots
        self._own_keys = own_keys
        self._stamps = self._seen()
        self._context = self._trusting()

    def look(self) -> None:
        """Read the roots anew when they have changed; those that cannot be read change nothing."""
        stamps = self._seen()
        if stamps == self._stamps:
            return
        self._stamps = stamps
        try:
            self._context = self._trusting()
        except TrustError as error:
            logger.error("trusted roots refused, those in force stay: %s", error)
            return
        logger.info("trusted roots in force")

    def connection(self, host: str) -> SSL.Connection:
        """Return a TLS connection, not yet begun, to an origin server that must prove this canonical host."""
        connection = SSL.Connection(self._context)
        connection.set_app_data(_Handshake(host))
        _expect_host(connection, host)
        connection.request_ocsp()
        connection.set_connect_state()
        return connection

    def _trusting(self) -> SSL.Context:
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        context.set_min_proto_version(SSL.TLS1_2_VERSION)
        context.set_options(SSL.OP_NO_RENEGOTIATION)
        context.set_cipher_list(_CIPHERS + b":" + _SECURITY_LEVEL)
        context.set_verify(SSL.VERIFY_PEER, None)
        context.set_verify_depth(_LONGEST_CHAIN)
        context.set_alpn_protos([_HTTP1])
        context.set_ocsp_client_callback(self._ask_the_rest)
        systems = SYSTEMS_ROOTS if SYSTEMS_ROOTS.exists() else Path(certifi.where())
        try:
            context.load_verify_locations(systems)
        except SSL.Error as error:
            raise TrustError(f"{systems}: holds no certificates that can be read") from error
        for root in _roots(self._extra_roots):
            context.get_cert_store().add_cert(crypto.X509.from_cryptography(root))  # type: ignore[union-attr]
        return context

    def _ask_the_rest(self, connection: SSL.Connection, staple: bytes, _data: object) -> bool:
        """Judge a chain that OpenSSL has verified. The handshake ends where this is false.

        OpenSSL asks when the server has said all, before the client's Finished.
        """
        handshake: _Handshake = connection.get_app_data()
        verified = connection.get_verified_chain() or []
        try:
            chain = [_read(crypto.dump_certificate(crypto.FILETYPE_ASN1, each)) for each in verified]
            handshake.refusal = self._left_open(chain, staple)
        except _UNREADABLE as error:
            handshake.refusal = OriginRefusal(OriginFault.INVALID, f"it cannot be read: {error}")
        return handshake.refusal is None

    def _left_open(self, chain: list[_Certificate], staple: bytes) -> OriginRefusal | None:
        leaf, issuer = chain[0], chain[min(1, len(chain) - 1)]
        own = set(self._own_keys())
        if any(each.public_key in own for each in chain):
            return OriginRefusal(OriginFault.TOWNS_OWN, "it is signed by the town's own CA")
        if not leaf.may_sign:
            return OriginRefusal(OriginFault.INVALID, "its key usage lacks digitalSignature")
        match stapled_status(staple, leaf.read, issuer.read, datetime.now(UTC)):
            case StapledStatus.REVOKED:
                return OriginRefusal(OriginFault.REVOKED, "the stapled OCSP response says revoked")
            case StapledStatus.NONE if leaf.must_staple:
                return OriginRefusal(OriginFault.UNPROVEN, "it demands a stapled OCSP response")
            case _:
                return None

    def _seen(self) -> tuple[tuple[int, int] | None, ...]:
        return tuple(_stamp(path) for path in (SYSTEMS_ROOTS, self._extra_roots))


def refusal_of(connection: SSL.Connection, error: str) -> OriginRefusal | None:
    """Return why a handshake with an origin server failed; None when it was not about who it is.

    `error` is what mitmproxy says of it.
    """
    handshake: _Handshake | None = connection.get_app_data()
    if handshake is not None and handshake.refusal is not None:
        return handshake.refusal
    result = SSL._lib.SSL_get_verify_result(connection._ssl)  # type: ignore[attr-defined]
    if result != _VERIFIED:
        words = SSL._ffi.string(SSL._lib.X509_verify_cert_error_string(result)).decode()  # type: ignore[attr-defined]
        fault = _FAULTS.get(result, OriginFault.INVALID)
        return OriginRefusal(fault, words, _instant(fault, connection))
    weakness = next((words for words in _WEAKNESSES if words in error), None)
    return OriginRefusal(OriginFault.WEAK_CONNECTION, weakness) if weakness else None


def public_key(certificate: x509.Certificate) -> bytes:
    """Return a certificate's public key, as DER."""
    return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _expect_host(connection: SSL.Connection, host: str) -> None:
    lib = SSL._lib  # type: ignore[attr-defined]
    parameters = lib.SSL_get0_param(connection._ssl)
    # A common name is no site's name; a wildcard stands for one whole label, the first.
    lib.X509_VERIFY_PARAM_set_hostflags(
        parameters, lib.X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | lib.X509_CHECK_FLAG_NEVER_CHECK_SUBJECT
    )
    if is_address(host):
        # RFC 6066 section 3: an address is no server name.
        packed = ipaddress.ip_address(host.strip("[]")).packed
        taken = lib.X509_VERIFY_PARAM_set1_ip(parameters, packed, len(packed))
    else:
        name = host.encode()
        connection.set_tlsext_host_name(name)
        taken = lib.X509_VERIFY_PARAM_set1_host(parameters, name, len(name))
    if taken != 1:
        raise ValueError(f"{host!r} cannot be verified")


def _instant(fault: OriginFault, connection: SSL.Connection) -> datetime | None:
    """Return when the certificate that ended first has ended, or the last one begins."""
    chain = connection.get_peer_cert_chain(as_cryptography=True) or []
    match fault:
        case OriginFault.ENDED:
            return min((c.not_valid_after_utc for c in chain), default=None)
        case OriginFault.NOT_BEGUN:
            return max((c.not_valid_before_utc for c in chain), default=None)
        case _:
            return None


def _roots(path: Path) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(path.read_bytes())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise TrustError(f"{path}: {error.strerror}; give it to the proxy's user") from error
    except ValueError as error:
        raise TrustError(f"{path}: holds no certificates in PEM; mend it or take it away") from error


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino


_VERIFIED = 0
_FAULTS = {
    2: OriginFault.UNKNOWN_ISSUER,
    9: OriginFault.NOT_BEGUN,
    10: OriginFault.ENDED,
    18: OriginFault.UNKNOWN_ISSUER,
    19: OriginFault.UNKNOWN_ISSUER,
    20: OriginFault.UNKNOWN_ISSUER,
    21: OriginFault.UNKNOWN_ISSUER,
    62: OriginFault.OTHER_SITE,
    64: OriginFault.OTHER_SITE,
    66: OriginFault.TOO_WEAK,
    67: OriginFault.TOO_WEAK,
    68: OriginFault.TOO_WEAK,
}
"""OpenSSL's X509_V_ERR_ numbers (x509_vfy.h) that say more than that a certificate is invalid."""

_WEAKNESSES = (
    *("unsupported protocol", "protocol version", "handshake failure", "insufficient security"),
    *("dh key too small", "wrong cipher returned", "unknown cipher returned", "wrong ssl version"),
    *("unsafe legacy renegotiation disabled", "wrong signature type", "cannot agree on a TLS version"),
)
"""What OpenSSL or mitmproxy says where the two ends have nothing safe in common."""
