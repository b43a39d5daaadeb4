"""Host names: one spelling each, as the URL Standard has it."""

import json
import re
from collections import Counter

import ada_url
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from categories.host_name import HostNameError, canonical_host, is_address, registrable_domain
from tests.real_data import TestData


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("pokerstars.com", "pokerstars.com"),
        ("WWW.PokerStars.COM.", "www.pokerstars.com"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("XN--BCHER-KVA.example", "xn--bcher-kva.example"),
        ("ＣａｒｄＲｏｏｍ。example", "cardroom.example"),
        ("a%41.example", "aa.example"),
        ("_dns.under_score.example", "_dns.under_score.example"),
        ("localhost", "localhost"),
        ("192.0.2.7", "192.0.2.7"),
        ("0xC0.0.02.7.", "192.0.2.7"),
        ("3221225991", "192.0.2.7"),
        ("192.519", "192.0.2.7"),
        ("[2001:DB8:0:0::1]", "[2001:db8::1]"),
        ("[::ffff:192.0.2.7]", "192.0.2.7"),
        ("[0:0:0:0:0:FFFF:C000:0207]", "192.0.2.7"),
        ("[::ffff:0:7]", "0.0.0.7"),
        ("[::ffff:0:192.0.2.7]", "[::ffff:0:c000:207]"),
        ("[64:ff9b::192.0.2.7]", "[64:ff9b::c000:207]"),
    ],
)
def test_every_spelling_of_a_host_becomes_one(text: str, host: str) -> None:
    assert canonical_host(text) == host
    assert canonical_host(host) == host


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'' is not a host name"),
        ("card room.example", "it holds ' '"),
        ("cardroom.example/play", "it holds '/'"),
        ("clerk@cardroom.example", "it holds '@'"),
        ("cardroom.example\\play", r"it holds '\\'"),
        ("card\troom.example", r"it holds '\t'"),
        ("cardroom.example:443", "an IPv6 address needs brackets, a port is extra"),
        ("::1", "an IPv6 address needs brackets, a port is extra"),
        ("[::1]:443", "something follows the address"),
        ("[::1", "'[::1' is not a host name"),
        ("card..example", "a label is empty"),
        (".example", "a label is empty"),
        ("cardroom.example..", "a label is empty"),
        ("192.0.2.256", "'192.0.2.256' is not a host name"),
        ("card%00room.example", "'card%00room.example' is not a host name"),
        ("\udcff.example", r"'\udcff.example' is not a host name"),
        (f"{'a' * 64}.example", "a label is longer than 63 characters"),
        (".".join(["a" * 63] * 4), "it is longer than 253 characters"),
    ],
)
def test_what_no_visit_could_name_is_no_host_and_the_reason_is_said(text: str, message: str) -> None:
    with pytest.raises(HostNameError, match=re.escape(message)):
        canonical_host(text)


def test_message_about_an_absurdly_long_host_is_short() -> None:
    with pytest.raises(HostNameError) as caught:
        canonical_host("a" * 10_000)
    assert len(str(caught.value)) < 200


@given(st.from_regex(r"[a-z0-9_.-]{1,60}", fullmatch=True))
@example("1.2.3.4")
@example("a.1")
@example("1.0x7f")
@example("-.a")
def test_plain_names_are_taken_as_they_are_only_when_the_url_standard_would(text: str) -> None:
    try:
        host = canonical_host(text)
    except HostNameError:
        return
    assert host == ada_url.URL(f"http://{text}/").hostname.removesuffix(".")


@given(st.text(max_size=40))
@example("\ud800")
@example("[")
def test_any_text_is_a_host_in_its_final_spelling_or_an_error(text: str) -> None:
    try:
        host = canonical_host(text)
    except HostNameError:
        return
    assert canonical_host(host) == host
    assert host == host.lower()
    assert host.isascii()


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("192.0.2.7", True),
        ("[::1]", True),
        ("cardroom.example", False),
        ("4chan.org", False),
        ("1.2.3.a4", False),
        ("localhost", False),
    ],
)
def test_addresses_are_told_from_names(host: str, expected: bool) -> None:
    assert is_address(host) is expected


@pytest.mark.parametrize(
    ("host", "domain"),
    [
        ("www.cardroom.example", "cardroom.example"),
        ("cardroom.example", "cardroom.example"),
        ("example", None),
        ("a.b.bbc.co.uk", "bbc.co.uk"),
        ("co.uk", None),
        ("clerk.github.io", "clerk.github.io"),
        ("www.xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("192.0.2.7", None),
        ("[::1]", None),
    ],
)
def test_registrable_domain_is_the_public_suffix_and_one_label(host: str, domain: str | None) -> None:
    assert registrable_domain(host) == domain


def test_url_standards_own_vectors_hold_but_for_what_no_resolver_accepts(test_data: TestData) -> None:
    cases = json.loads((test_data("vectors") / "url" / "toascii.json").read_text())
    deviations: Counter[str] = Counter()
    for case in cases:
        if isinstance(case, str):
            continue
        try:
            host = canonical_host(case["input"])
        except HostNameError as error:
            if case["output"] is not None:
                deviations[str(error).rpartition(": ")[2]] += 1
            continue
        assert host == case["output"], case
    # The URL Standard lets these be, for what is not DNS; a site has no such name.
    assert deviations == {
        "a label is empty": 2,
        "a label is longer than 63 characters": 4,
        "it is longer than 253 characters": 3,
    }


def test_hosts_in_the_url_standards_addresses_are_what_it_makes_of_them(test_data: TestData) -> None:
    cases = json.loads((test_data("vectors") / "url" / "urltestdata.json").read_text())
    counted: Counter[str] = Counter()
    deviations: dict[str, str] = {}
    for case in cases:
        if isinstance(case, str) or not re.match("https?:", case.get("href", case["input"])):
            continue
        # Where the host stands alone; names, ports and bases are for a URL's parser to take off.
        written = re.fullmatch(r"https?://(\[[^\]]*\]|[^/?#\\@:\s\[]*)(?:[/?#].*)?", case["input"])
        if "failure" in case:
            if written is not None:
                with pytest.raises(HostNameError):
                    canonical_host(written[1])
                counted["no host, here as there"] += 1
            continue
        try:
            host = canonical_host(case["hostname"])
        except HostNameError as error:
            deviations[case["hostname"]] = str(error).rpartition(": ")[2]
            continue
        assert host == case["hostname"], case
        counted["a host that stays as it is"] += 1
        if written is not None:
            assert canonical_host(written[1]) == host, case
            counted["a host from how it was written"] += 1
    assert counted == {
        "a host that stays as it is": 244,
        "a host from how it was written": 119,
        "no host, here as there": 156,
    }
    # No resolver takes these, so no site has such a name.
    assert deviations == dict.fromkeys([".", "..", "foo.09.."], "a label is empty")


def test_public_suffix_vectors_hold(test_data: TestData) -> None:
    lines = (test_data("vectors") / "psl" / "tests.txt").read_text().splitlines()
    pairs = [line.split() for line in lines if line and not line.startswith("//")]
    checked = 0
    for host, domain in pairs:
        if host == "null" or host.startswith("."):
            continue
        expected = None if domain == "null" else canonical_host(domain)
        assert registrable_domain(canonical_host(host)) == expected, host
        checked += 1
    assert checked > 50
