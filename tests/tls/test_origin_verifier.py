"""What origin servers are offered, and by which roots they are trusted."""

from pathlib import Path

import certifi
import pytest
from cryptography import x509
from mitmproxy.proxy.layers.tls import parse_client_hello
from mitmproxy.tls import ClientHello
from OpenSSL import SSL

from proxy_addons import origin_certificate
from proxy_addons.origin_certificate import OriginFault, OriginVerifier, TrustError, refusal_of
from tests.tls.certificates import Issued, authority, leaf, pem
from tests.tls.handshakes import meet
from tests.tls.origin_cases import Served
from tests.tls.origin_servers import server_context

_FRESHEST_CRL = x509.ObjectIdentifier("2.5.29.46")
_STATUS_REQUEST, _SIGNATURE_ALGORITHMS, _ALPN = 5, 13, 16


def verifier(roots: Path, *trusted: Issued) -> OriginVerifier:
    if trusted:
        roots.write_bytes(pem([root.certificate for root in trusted]))
    return OriginVerifier(roots, lambda: ())


def refused(verifier: OriginVerifier, host: str, shown: Issued) -> OriginFault | None:
    """Return why a server that shows a certificate for `host` is refused; None when it is taken."""
    client = verifier.connection(host)
    server = SSL.Connection(server_context(Served(shown, shown.chain[:-1])))
    server.set_accept_state()
    try:
        meet(client, server)
    except SSL.Error as error:
        refusal = refusal_of(client, repr(error))
        assert refusal is not None, error
        return refusal.fault
    return None


def hello(connection: SSL.Connection) -> ClientHello:
    with pytest.raises(SSL.WantReadError):
        connection.do_handshake()
    parsed = parse_client_hello(connection.bio_read(1 << 16))
    assert parsed is not None
    return parsed


def test_only_ciphers_with_forward_secrecy_and_authenticated_encryption_are_offered(tmp_path: Path) -> None:
    offered = hello(verifier(tmp_path / "roots").connection("library.example")).cipher_suites

    tls13 = {0x1301, 0x1302, 0x1303}
    ecdhe_aead = {0xC02B, 0xC02C, 0xC02F, 0xC030, 0xCCA8, 0xCCA9}
    # RFC 5746: that the client knows secure renegotiation is said with a cipher that is none.
    assert set(offered) - {0x00FF} == tls13 | ecdhe_aead


def test_no_signature_with_sha1_is_offered_and_a_stapled_status_is_asked_for(tmp_path: Path) -> None:
    extensions = dict(hello(verifier(tmp_path / "roots").connection("library.example")).extensions)

    algorithms = extensions[_SIGNATURE_ALGORITHMS][2:]
    # RFC 8446 section 4.2.3: the first byte of what is older than TLS 1.3 is the hash, 2 for SHA-1.
    assert 2 not in algorithms[::2]
    assert extensions[_STATUS_REQUEST] == b"\x01\x00\x00\x00\x00"
    assert extensions[_ALPN] == b"\x00\x09\x08http/1.1"


def test_name_is_sent_as_sni_and_an_address_is_not(tmp_path: Path) -> None:
    origins = verifier(tmp_path / "roots")

    assert hello(origins.connection("under_score.example")).sni == "under_score.example"
    assert hello(origins.connection("192.0.2.7")).sni is None


@pytest.mark.parametrize(
    ("host", "named", "fault"),
    [
        ("under_score.example", "under_score.example", None),
        ("xn--bcher-kva.example", "xn--bcher-kva.example", None),
        ("a.example.com", "*.example.com", None),
        ("192.0.2.7", "192.0.2.7", None),
        ("[2001:db8::7]", "2001:db8::7", None),
        ("192.0.2.7", "192.0.2.8", OriginFault.OTHER_SITE),
        ("[2001:db8::7]", "2001:db8::8", OriginFault.OTHER_SITE),
        ("192.0.2.7", "seven.example", OriginFault.OTHER_SITE),
    ],
)
def test_host_is_compared_as_what_it_is(
    host: str, named: str, fault: OriginFault | None, tmp_path: Path
) -> None:
    root = authority("Root")

    assert refused(verifier(tmp_path / "roots", root), host, leaf(root, named)) is fault


def test_certificate_that_only_openssl_can_read_is_refused(tmp_path: Path) -> None:
    root = authority("Root")
    origins = verifier(tmp_path / "roots", root)
    unreadable = leaf(
        root, "a.example", extensions=[(x509.UnrecognizedExtension(_FRESHEST_CRL, b"x"), False)]
    )

    assert refused(origins, "a.example", unreadable) is OriginFault.INVALID


def test_roots_of_the_towns_own_are_taken_into_use_while_it_runs_and_damaged_ones_never(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = authority("First"), authority("Second")
    roots = tmp_path / "roots"
    origins = verifier(roots)
    assert refused(origins, "a.example", leaf(first, "a.example")) is OriginFault.UNKNOWN_ISSUER

    roots.write_bytes(pem([first.certificate]))
    origins.look()
    assert refused(origins, "a.example", leaf(first, "a.example")) is None

    (tmp_path / "new").write_text("damaged")
    (tmp_path / "new").replace(roots)
    origins.look()
    assert f"trusted roots refused, those in force stay: {roots}: holds no certificates in PEM" in caplog.text
    assert refused(origins, "a.example", leaf(first, "a.example")) is None

    (tmp_path / "new").write_bytes(pem([second.certificate]))
    (tmp_path / "new").replace(roots)
    origins.look()
    assert refused(origins, "a.example", leaf(first, "a.example")) is OriginFault.UNKNOWN_ISSUER
    assert refused(origins, "a.example", leaf(second, "a.example")) is None


def test_roots_that_cannot_be_read_stop_the_start(tmp_path: Path) -> None:
    (tmp_path / "roots").write_text("damaged")

    with pytest.raises(TrustError, match=r"roots: holds no certificates in PEM; mend it or take it away"):
        verifier(tmp_path / "roots")


def test_systems_roots_are_trusted_and_those_of_certifi_where_there_are_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = authority("First"), authority("Second")
    systems, certifis = tmp_path / "ca-certificates.crt", tmp_path / "cacert.pem"
    certifis.write_bytes(pem([first.certificate]))
    monkeypatch.setattr(origin_certificate, "SYSTEMS_ROOTS", systems)
    monkeypatch.setattr(certifi, "where", lambda: str(certifis))
    origins = verifier(tmp_path / "roots")
    assert refused(origins, "a.example", leaf(first, "a.example")) is None

    systems.write_bytes(pem([second.certificate]))
    origins.look()

    assert refused(origins, "a.example", leaf(first, "a.example")) is OriginFault.UNKNOWN_ISSUER
    assert refused(origins, "a.example", leaf(second, "a.example")) is None
