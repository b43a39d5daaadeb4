"""The certificates that a browser is shown for a page: made for one name, for a short while, and strong."""

import datetime as dt
import ipaddress
import ssl
import warnings

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL

from proxy_addons import certificate_authority, leaf_certificates
from proxy_addons.certificate_authority import Authority
from proxy_addons.leaf_certificates import LeafMint, NotMintedError
from tests.tls.certificates import DAY, NOW, authority, general_names
from tests.tls.handshakes import Shown, shake_hands, trusting

LONGEST = ".".join(["a" * 63] * 3 + ["b" * 61])


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return certificate_authority.ensure(tmp_path_factory.mktemp("ca"), "Town of Exampleton")


@pytest.fixture(scope="module")
def mint(own: Authority) -> LeafMint:
    return LeafMint(own)


def shown(mint: LeafMint, host: str, now: dt.datetime = NOW, client: ssl.SSLContext | None = None) -> Shown:
    asked = host.strip("[]")
    return shake_hands(client or trusting(mint.authority.anchor), asked, mint.connection(host, now))


@pytest.mark.parametrize(
    "host",
    [
        "library.example",
        "under_score.example",
        "xn--bcher-kva.example",
        LONGEST,
        "192.0.2.7",
        "[2001:db8::7]",
    ],
)
def test_browser_takes_a_leaf_that_holds_the_one_name_that_was_asked_for(host: str, mint: LeafMint) -> None:
    leaf = shown(mint, host).leaf

    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert names.value == general_names(host.strip("[]"))
    assert names.critical
    assert leaf.subject == x509.Name([])


@pytest.mark.parametrize("host", ["*.example.com", "a.*", "a$b.example"])
def test_nothing_that_is_more_than_one_name_is_signed(host: str, mint: LeafMint) -> None:
    with pytest.raises(NotMintedError, match="not the name of one site"):
        mint.connection(host, NOW)


def test_leaf_has_a_key_on_p256_of_its_own_and_signs_nothing(mint: LeafMint) -> None:
    leaf = shown(mint, "library.example").leaf

    key = leaf.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert key.curve.name == "secp256r1"
    assert key != mint.authority.certificate.public_key()
    usage = leaf.extensions.get_extension_for_class(x509.KeyUsage).value
    assert (usage.digital_signature, usage.key_encipherment, usage.key_cert_sign) == (True, False, False)
    assert not leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_each_process_has_a_leaf_key_of_its_own(own: Authority) -> None:
    first, second = (shown(LeafMint(own), "library.example").leaf for _ in range(2))

    assert first.public_key() != second.public_key()


def test_leaf_lasts_a_week_and_began_two_days_ago(mint: LeafMint) -> None:
    # Made anew for each day: none is from another midnight.
    now = dt.datetime.now(dt.UTC).replace(hour=23, minute=59)

    leaf = mint._leaf("library.example", now.date()).to_cryptography()

    assert leaf.not_valid_after_utc - leaf.not_valid_before_utc <= 7 * DAY
    assert leaf.not_valid_before_utc <= now - 2 * DAY
    assert leaf.not_valid_after_utc > now + 4 * DAY


def test_leaf_is_kept_for_a_day_and_one_a_host(mint: LeafMint) -> None:
    noon = NOW.replace(hour=12)

    serials = [
        shown(mint, host, at).leaf.serial_number
        for host, at in (
            ("library.example", noon),
            ("library.example", noon + dt.timedelta(hours=11)),
            ("news.example", noon),
            ("library.example", noon + DAY),
        )
    ]

    assert serials[0] == serials[1]
    assert len(set(serials)) == 3


def test_leaves_held_are_bounded_and_the_longest_unused_goes_first(
    mint: LeafMint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leaf_certificates, "_HELD", 2)
    small = LeafMint(mint.authority)

    def serial(host: str) -> int:
        return shown(small, host).leaf.serial_number

    first, second = serial("a.example"), serial("b.example")
    assert serial("a.example") == first
    serial("c.example")

    assert serial("a.example") == first
    assert serial("b.example") != second


def test_leaf_never_outlives_its_authority() -> None:
    root = authority("Town CA", starts_at=NOW - DAY / 2, ends_at=NOW + DAY / 2)
    leaf = shown(LeafMint(Authority(root.key, root.certificate)), "library.example").leaf

    assert leaf.not_valid_before_utc >= root.certificate.not_valid_before_utc
    assert leaf.not_valid_after_utc <= root.certificate.not_valid_after_utc


@pytest.mark.parametrize(
    "starts_and_ends", [(NOW - 10 * DAY, NOW - DAY), (NOW + DAY, NOW + 10 * DAY)], ids=["ended", "not begun"]
)
def test_authority_out_of_its_time_never_mints(starts_and_ends: tuple[dt.datetime, dt.datetime]) -> None:
    starts_at, ends_at = starts_and_ends
    root = authority("Town CA", starts_at=starts_at, ends_at=ends_at)

    with pytest.raises(NotMintedError, match=f"valid from {starts_at:%Y-%m-%d} to {ends_at:%Y-%m-%d}"):
        LeafMint(Authority(root.key, root.certificate)).connection("library.example", NOW)


def test_authority_that_ends_while_the_worker_runs_mints_no_more_and_shows_nothing_it_held() -> None:
    root = authority("Town CA", ends_at=NOW + DAY)
    mint = LeafMint(Authority(root.key, root.certificate))
    shown(mint, "library.example")

    with pytest.raises(NotMintedError):
        mint.connection("library.example", NOW + DAY)


@pytest.fixture(scope="module")
def constrained(tmp_path_factory: pytest.TempPathFactory) -> LeafMint:
    """Return the mint of an intermediate with name constraints below a root of the town's."""
    constraints = x509.NameConstraints(
        permitted_subtrees=[
            *(x509.DNSName("example"), x509.DNSName("games.test")),
            x509.IPAddress(ipaddress.ip_network("192.0.2.0/24")),
        ],
        excluded_subtrees=[x509.DNSName("bank.example")],
    )
    root = authority("Town root")
    below = authority("Web access", root, path_length=0, extensions=[(constraints, True)])
    folder = tmp_path_factory.mktemp("intermediate")
    below.write(folder / "mitmproxy-ca.pem")
    return LeafMint(certificate_authority.ensure(folder, "Town"))


@pytest.mark.parametrize("host", ["cardroom.example", "games.test", "a.games.test", "192.0.2.200"])
def test_intermediate_is_sent_without_the_root_that_workstations_trust(
    host: str, constrained: LeafMint
) -> None:
    chain = shown(constrained, host).chain

    assert [c.subject.rfc4514_string() for c in chain[1:]] == ["CN=Web access"]
    assert constrained.authority.anchor.subject.rfc4514_string() == "CN=Town root"


@pytest.mark.parametrize(
    "host",
    ["bank.example", "www.bank.example", "cardroom.test", "notgames.test", "198.51.100.1", "[2001:db8::1]"],
)
def test_no_leaf_is_made_outside_of_the_name_constraints(host: str, constrained: LeafMint) -> None:
    with pytest.raises(NotMintedError, match="a name constraint of CN=Web access forbids it"):
        constrained.connection(host, NOW)


@pytest.mark.parametrize(
    ("version", "ciphers"),
    [
        (ssl.TLSVersion.TLSv1_1, "ALL:@SECLEVEL=0"),
        (ssl.TLSVersion.TLSv1_2, "AES128-GCM-SHA256:AES256-SHA"),
        (
            ssl.TLSVersion.TLSv1_2,
            "ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES128-SHA256:DHE-RSA-AES128-GCM-SHA256",
        ),
    ],
    ids=["TLS 1.1", "static RSA", "CBC"],
)
def test_weak_connections_are_not_made_with_a_client(
    version: ssl.TLSVersion, ciphers: str, mint: LeafMint
) -> None:
    client = trusting(mint.authority.anchor)
    client.set_ciphers(ciphers)
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        client.minimum_version = ssl.TLSVersion.TLSv1
        client.maximum_version = version

    with pytest.raises(SSL.Error, match=r"unsupported protocol|no shared cipher"):
        shown(mint, "library.example", client=client)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_client_agrees_on_http_1_and_a_cipher_with_forward_secrecy(
    version: ssl.TLSVersion, mint: LeafMint
) -> None:
    client = trusting(mint.authority.anchor)
    client.maximum_version = client.minimum_version = version
    client.set_alpn_protocols(["h2", "http/1.1"])

    agreed = shown(mint, "library.example", client=client)

    assert agreed.protocol == "http/1.1"
    assert agreed.cipher in ("ECDHE-ECDSA-AES128-GCM-SHA256", "TLS_AES_256_GCM_SHA384")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_every_connection_is_shown_a_certificate_none_is_resumed(
    version: ssl.TLSVersion, mint: LeafMint
) -> None:
    client = trusting(mint.authority.anchor)
    client.maximum_version = version

    assert not shown(mint, "library.example", client=client).can_resume
