"""TLS handshakes in memory: what comes of one between two ends, to the last byte."""

import contextlib
import ssl
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL


@dataclass(slots=True)
class Shown:
    """What a client saw: certificates as they were sent, and what was agreed on.

    `can_resume`: it was given a session or a ticket, with which it could come back unseen.
    """

    chain: list[x509.Certificate] = field(default_factory=list)
    version: str | None = None
    cipher: str = ""
    protocol: str | None = None
    can_resume: bool = False

    @property
    def leaf(self) -> x509.Certificate:
        return self.chain[0]


def trusting(*roots: x509.Certificate) -> ssl.SSLContext:
    """Return what a browser's trust would be: these roots, and nothing lax."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    for root in roots:
        context.load_verify_locations(cadata=root.public_bytes(Encoding.DER))
    return context


def shake_hands(client: ssl.SSLContext, host: str, server: SSL.Connection) -> Shown:
    """Carry a handshake to its end. Raises ssl.SSLError or SSL.Error from the end that gives up."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    browser = client.wrap_bio(incoming, outgoing, server_hostname=host)
    is_done = False
    while not is_done:
        try:
            browser.do_handshake()
            is_done = True
        except ssl.SSLWantReadError:
            pass
        if sent := outgoing.read():
            server.bio_write(sent)
            _advance(server)
        last = _written(server)
        incoming.write(last)
    session = browser.session
    can_resume = session is not None and (session.has_ticket or bool(session.id))
    cipher = browser.cipher()
    chain = [x509.load_der_x509_certificate(der) for der in browser.get_unverified_chain()]
    return Shown(
        chain, browser.version(), cipher[0] if cipher else "", browser.selected_alpn_protocol(), can_resume
    )


def _advance(server: SSL.Connection) -> None:
    with contextlib.suppress(SSL.WantReadError):
        server.do_handshake()


def _written(server: SSL.Connection) -> bytes:
    try:
        return server.bio_read(1 << 16)
    except SSL.WantReadError:
        return b""


def meet(client: SSL.Connection, server: SSL.Connection) -> None:
    """Carry a handshake between two ends of pyOpenSSL's. Raises SSL.Error from the end that gives up."""
    is_done = False
    while not is_done:
        with contextlib.suppress(SSL.WantReadError):
            client.do_handshake()
            is_done = True
        if sent := _written(client):
            server.bio_write(sent)
            _advance(server)
        if answered := _written(server):
            client.bio_write(answered)
