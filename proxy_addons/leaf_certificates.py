"""The certificates that browsers are shown in place of an origin server's own."""

import functools
import ipaddress
import re
from datetime import UTC, date, datetime, time, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID
from OpenSSL import SSL, crypto

from categories.host_name import is_address
from proxy_addons.certificate_authority import Authority

_HELD = 512
"""Leaves that a worker holds; the one not asked for the longest goes first."""

_BACKDATED = timedelta(days=2)
"""Workstations whose clocks run late must not refuse a leaf."""
_GOOD_FOR = timedelta(days=5)

_CIPHERS = b"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES256-GCM-SHA384"
"""For TLS 1.2; a leaf on P-256 has no use for RSA. Those of TLS 1.3 are all as good."""

_HTTP1 = b"http/1.1"
_ONE_NAME = re.compile(r"[a-z0-9_.-]+")


class NotMintedError(Exception):
    """No certificate may be made for this host, so no page can be shown for it."""


class LeafMint:
    """Makes leaves under one authority, and the TLS connections that show them.

    All leaves of a mint share a key on P-256 that is made with it and never leaves its memory, where a
    key for each host would lie as well. So one SSL.Context, with that key, serves every connection.
    """

    def __init__(self, authority: Authority) -> None:
        self.authority = authority
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._context = _context(authority, self._key)
        self._leaf = functools.lru_cache(_HELD)(self._made)

    def connection(self, host: str, now: datetime) -> SSL.Connection:
        """Return a TLS connection, not yet begun, that shows a leaf for a canonical host.

        `now` is aware. Raises NotMintedError where the authority has ended or not begun, where a name
        constraint of its chain leaves the host out, and for a host that is no single name.
        """
        if not self.authority.starts_at <= now < self.authority.ends_at:
            raise NotMintedError(
                f"the town's CA is valid from {self.authority.starts_at:%Y-%m-%d} "
                f"to {self.authority.ends_at:%Y-%m-%d}"
            )
        connection = SSL.Connection(self._context)
        leaf = self._leaf(host, now.astimezone(UTC).date())
        # pyOpenSSL's own method would translate the certificate anew for each connection.
        if SSL._lib.SSL_use_certificate(connection._ssl, leaf._x509) != 1:  # type: ignore[attr-defined]
            raise NotMintedError("OpenSSL does not take the certificate")
        connection.set_accept_state()
        return connection

    def _made(self, host: str, day: date) -> crypto.X509:
        """Return the leaf for a host on a day (UTC); the next day there is a new one."""
        authority = self.authority
        name = _general_name(host)
        forbidding = next((c for c in authority.certificates if not _permits(c, host)), None)
        if forbidding is not None:
            raise NotMintedError(f"a name constraint of {forbidding.subject.rfc4514_string()} forbids it")
        midnight = datetime.combine(day, time(), UTC)
        certificate = (
            x509.CertificateBuilder()
            # RFC 5280 section 4.2.1.6: the one name stands in a critical subjectAltName. A common name
            # would say it again, has room for 64 characters only, and no browser reads it.
            .subject_name(x509.Name([]))
            .issuer_name(authority.certificate.subject)
            .public_key(self._key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(max(midnight - _BACKDATED, authority.starts_at))
            .not_valid_after(min(midnight + _GOOD_FOR, authority.ends_at))
            .add_extension(x509.SubjectAlternativeName([name]), critical=True)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_KEY_USAGE, critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(_key_identifier(authority.certificate), critical=False)
            .sign(authority.key, hashes.SHA256())
        )
        return crypto.X509.from_cryptography(certificate)


def _context(authority: Authority, key: ec.EllipticCurvePrivateKey) -> SSL.Context:
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    # A session that is resumed would be shown no certificate, so it would outlive the CA.
    context.set_options(SSL.OP_NO_TICKET | SSL.OP_NO_RENEGOTIATION | SSL.OP_CIPHER_SERVER_PREFERENCE)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_cipher_list(_CIPHERS)
    context.use_privatekey(key)
    for certificate in authority.sent:
        context.add_extra_chain_cert(certificate)
    context.set_alpn_select_callback(_choose_protocol)
    return context


def _choose_protocol(
    _connection: SSL.Connection, offered: list[bytes]
) -> bytes | SSL._NoOverlappingProtocols:
    return _HTTP1 if _HTTP1 in offered else SSL.NO_OVERLAPPING_PROTOCOLS


def _general_name(host: str) -> x509.DNSName | x509.IPAddress:
    if is_address(host):
        return x509.IPAddress(ipaddress.ip_address(host.strip("[]")))
    if not _ONE_NAME.fullmatch(host):
        raise NotMintedError("it is not the name of one site")
    return x509.DNSName(host)


def _permits(certificate: x509.Certificate, host: str) -> bool:
    """Whether the name constraints of a CA certificate permit a host (RFC 5280 section 4.2.1.10).

    Those of one kind of name say nothing about the other.
    """
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.NameConstraints).value
    except x509.ExtensionNotFound:
        return True
    kind = x509.IPAddress if is_address(host) else x509.DNSName
    permitted, excluded = (
        [tree.value for tree in trees or () if isinstance(tree, kind)]
        for trees in (constraints.permitted_subtrees, constraints.excluded_subtrees)
    )
    is_permitted = not permitted or any(_is_below(host, tree) for tree in permitted)
    return is_permitted and not any(_is_below(host, tree) for tree in excluded)


def _is_below(host: str, tree: object) -> bool:
    match tree:
        case ipaddress.IPv4Network() | ipaddress.IPv6Network():
            return ipaddress.ip_address(host.strip("[]")) in tree
        case _:
            domain = str(tree).lower().lstrip(".")
            return not domain or f".{host}".endswith(f".{domain}")


def _key_identifier(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    """Return what RFC 5280 section 4.2.1.1 wants: the identifier that the issuer itself has."""
    try:
        own = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key())  # type: ignore[arg-type]
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own)


_KEY_USAGE = x509.KeyUsage(
    digital_signature=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=False,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)
