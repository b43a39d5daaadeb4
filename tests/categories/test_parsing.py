"""Lists' lines: entries, or problems with their place; never silence."""

import io

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from categories.entry_key import host_key
from categories.host_name import HostNameError, canonical_host
from categories.parsing import (
    Problems,
    domain_keys,
    expression_keys,
    hosts_file_keys,
    is_hosts_file,
    url_keys,
)


def _domains(text: str) -> tuple[list[str], Problems]:
    problems = Problems()
    keys = [key for run in domain_keys([text], "a/domains", problems) for key in run.split("\n")]
    return keys, problems


def _lines(text: str) -> io.StringIO:
    return io.StringIO(text, newline="\n")


def test_plain_list_yields_a_key_for_each_name_and_address() -> None:
    keys, problems = _domains(
        "# a comment\n\ncardroom.example\nwww.Shop.Example.\n.news.example\n*.games.example\n"
        "192.0.2.7\nbücher.example  # books\nxn--bcher-kva.example\nadult\n! another\n// and another"
    )
    assert keys == [
        host_key(host)
        for host in (
            "cardroom.example",
            "www.shop.example",
            "news.example",
            "games.example",
            "192.0.2.7",
            "xn--bcher-kva.example",
            "xn--bcher-kva.example",
            "adult",
        )
    ]
    assert problems.count == 0


def test_line_that_is_no_name_is_counted_with_its_place_and_reason() -> None:
    keys, problems = _domains("cardroom.example\n" * 3 + "  not a name\nshop.example\n10.0.0.0/33")
    assert len(keys) == 4
    assert [str(problem) for problem in problems.first] == [
        "a/domains:4:3: 'not a name' is not a host name: it holds ' '",
        "a/domains:6:1: '10.0.0.0/33' is not a range of addresses",
    ]
    assert problems.first[0].text == "not a name"


def test_every_problem_is_counted_and_the_first_hundred_are_kept() -> None:
    _, problems = _domains("a b\n" * 1000)
    assert (problems.count, len(problems.first)) == (1000, 100)


@pytest.mark.parametrize("name", ["a" * 64 + ".example", ".".join(["a" * 60] * 5), "a..b", "1.2.3.400"])
def test_runs_of_plain_names_hold_nothing_that_is_no_host(name: str) -> None:
    keys, problems = _domains(f"first.example\n{name}\nlast.example\n")
    assert (len(keys), problems.count) == (2, 1)
    assert problems.first[0].line == 2


@given(st.lists(st.text(st.sampled_from("ab1-_.x*# é\t"), max_size=12), max_size=8), st.booleans())
@example(["xn--", "a.b"], True)
@example(["a.b", "", "1.2.3.4"], False)
def test_reading_by_runs_finds_what_reading_line_by_line_would(lines: list[str], ends: bool) -> None:
    expected = []
    for line in lines:
        name = line.partition(" #")[0].partition("\t#")[0].strip()
        if not name or name[0] in "#":
            continue
        try:
            expected.append(host_key(canonical_host(name.removeprefix("*").removeprefix("."))))
        except HostNameError:
            expected.append("problem")
    keys, problems = _domains("\n".join(lines) + "\n" * ends)
    assert keys == [key for key in expected if key != "problem"]
    assert problems.count == expected.count("problem")


def test_line_numbers_go_on_from_block_to_block() -> None:
    problems = Problems()
    assert list(domain_keys(["a.example\nb.example\n", "c d\n"], "list", problems)) == [
        "elpmaxe.b.\nelpmaxe.a.",
    ]
    assert problems.first[0].line == 3


def test_hosts_file_yields_what_it_blocks_and_not_what_it_starts_with() -> None:
    problems = Problems()
    text = (
        "# hosts\n127.0.0.1 localhost\n::1 ip6-localhost ip6-loopback\n0.0.0.0 0.0.0.0\n"
        "0.0.0.0 ads.example  # an advertiser\n127.0.0.1\ttrack.example Metrics.example\n:: v6.example\n"
    )
    assert list(hosts_file_keys(_lines(text), "hosts", problems)) == [
        host_key(f"{name}.example") for name in ("ads", "track", "metrics", "v6")
    ]
    assert problems.count == 0


def test_hosts_line_that_blocks_nothing_is_counted() -> None:
    problems = Problems()
    text = "192.168.1.9 printer.example\n0.0.0.0\n0.0.0.0 ads.example printer bad^name\n"
    assert list(hosts_file_keys(_lines(text), "hosts", problems)) == [host_key("ads.example")]
    assert [str(problem) for problem in problems.first] == [
        "hosts:1:1: '192.168.1.9' is not an address that names are blocked with",
        "hosts:2:8: no name follows the address",
        "hosts:3:21: 'printer' is a name of this network only",
        "hosts:3:29: 'bad^name' is not a host name",
    ]


@pytest.mark.parametrize(
    ("beginning", "expected"),
    [
        ("# a list\n\n0.0.0.0 ads.example\n127.0.0.1 b.example\n", True),
        ("::1 localhost\n", True),
        ("ads.example\nb.example\n", False),
        ("192.0.2.7\n192.0.2.8\n", False),
        ("bad.cafe # hexadecimal letters\n", False),
        ("", False),
    ],
)
def test_hosts_files_are_told_from_plain_lists(beginning: str, expected: bool) -> None:
    assert is_hosts_file(beginning) is expected


def test_url_list_yields_host_and_path_in_one_spelling() -> None:
    problems = Problems()
    text = (
        "# urls\nblog.example/casino/\nwww2.shop.example/A/./b%7E\nhttp://news.example:8080/x#top\n"
        "192.0.2.7//files\nftp.example\nwww.example/start\n"
    )
    assert list(url_keys(_lines(text), "a/urls", problems)) == [
        "elpmaxe.golb./casino/",
        "elpmaxe.pohs./a/b~/",
        "elpmaxe.swen./x/",
        "192.0.2.7./files/",
        "elpmaxe.ptf./",
        "elpmaxe.www./start/",
    ]
    assert problems.count == 0


def test_url_entry_with_an_escaped_line_end_stays_one_key() -> None:
    assert list(url_keys(_lines("blog.example/a%0Ab\n"), "a/urls", Problems())) == ["elpmaxe.golb./a%0ab/"]


def test_url_entry_with_a_query_or_without_a_host_is_counted() -> None:
    problems = Problems()
    assert not list(url_keys(_lines("a.example/find?q=poker\n  /path/only\n"), "a/urls", problems))
    assert [str(problem) for problem in problems.first] == [
        "a/urls:1:15: names a query, which is never looked at",
        "a/urls:2:3: '' is not a host name",
    ]


def test_expressions_are_keys_and_what_cannot_be_one_is_counted() -> None:
    problems = Problems()
    text = "(poker|casino)\n\n# note\n  (sex\n(a)\\1\n.*\n"
    assert list(expression_keys(_lines(text), "a/expressions", problems)) == ["?(poker|casino)"]
    assert [str(problem) for problem in problems.first] == [
        "a/expressions:4:3: is not an expression that can be used: missing ): (sex",
        "a/expressions:5:1: is not an expression that can be used: invalid escape sequence: \\1",
        "a/expressions:6:1: is an expression that everything matches",
    ]


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("192.0.2.0/24", ["4:" + f"{0xC00002:024b}"]),
        ("192.0.2.7/32", ["192.0.2.7."]),
        ("192.0.2.6-192.0.2.8", ["4:" + f"{0xC0000206 >> 1:031b}", "192.0.2.8."]),
        ("2001:db8::/32", ["6:" + f"{0x20010DB8:032b}"]),
        ("2001:DB8::7", ["[2001:db8::7]."]),
        ("[2001:db8::7]", ["[2001:db8::7]."]),
        ("::ffff:192.0.2.0/120", ["4:" + f"{0xC00002:024b}"]),
        ("*.192.0.2.7", ["192.0.2.7."]),
    ],
)
def test_addresses_and_ranges_become_keys(text: str, keys: list[str]) -> None:
    found, problems = _domains(text)
    assert (found, problems.count) == (keys, 0)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("0.0.0.0/0", "'0.0.0.0/0' is every address there is"),
        ("::/0", "'::/0' is every address there is"),
        ("192.0.2.7/24", "'192.0.2.7/24' is not a range of addresses"),
        ("192.0.2.9-192.0.2.1", "last IP address must be greater than first"),
        ("192.0.2.9-::1", "192.0.2.9 and ::1 are not of the same version"),
        ("fe80::1%eth0", "an IPv6 address needs brackets"),
    ],
)
def test_what_is_no_range_is_counted(text: str, reason: str) -> None:
    found, problems = _domains(text)
    assert found == []
    assert reason in problems.first[0].reason


@given(st.text(max_size=200))
@example("[/[")
@example("0.0.0.0 \x1f")
@example("a/%0a")
def test_no_text_makes_a_parser_fail_or_yield_a_broken_key(text: str) -> None:
    problems = Problems()
    for keys in (
        domain_keys([text], "list", problems),
        hosts_file_keys(_lines(text), "list", problems),
        url_keys(_lines(text), "list", problems),
        expression_keys(_lines(text), "list", problems),
    ):
        for run in keys:
            for key in run.split("\n"):
                assert key[0] != "."
                assert key[-1] in "./" or key.startswith(("4:", "6:", "?"))
