"""Formats of one file, and v2fly's lists: what they list is an entry, what they do not is counted."""

import io
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from categories.adblock import adblock_keys
from categories.domain_lists import DomainLists
from categories.entry_key import entry_of_range_key, exact_key, host_key
from categories.host_name import canonical_host, is_address
from categories.parsing import Problems, domain_keys, expression_keys, hosts_file_keys, url_keys
from categories.reading import Edition, read_edition
from categories.resolver_files import resolver_keys
from categories.response_policy import response_policy_keys
from categories.sources import Source
from categories.taxonomy import taxonomy
from tests.categories.lists import AT, kept
from tests.real_data import TestData

type Parser = Callable[[Iterable[str], str, Problems], Iterable[str]]


def _parsed(parser: Parser, text: str) -> tuple[list[str], Problems]:
    problems = Problems()
    return list(parser(io.StringIO(text, newline="\n"), "list", problems)), problems


def _v2fly(lines: Iterable[str], file: str, problems: Problems) -> list[str]:
    lists = DomainLists(problems)
    lists.add("", file, lines)
    return lists.keys("")


@pytest.mark.parametrize(
    ("rule", "keys"),
    [
        ("||cardroom.example^", ["elpmaxe.moordrac."]),
        ("||CardRoom.example^", ["elpmaxe.moordrac."]),
        ("||cardroom.example^$all", ["elpmaxe.moordrac."]),
        ("||cardroom.example^$important,document", ["elpmaxe.moordrac."]),
        ("||*.cardroom.example^", ["elpmaxe.moordrac."]),
        ("||192.0.2.7^", ["192.0.2.7."]),
        ("||bücher.example^|", [host_key("xn--bcher-kva.example")]),
        ("cardroom.example", ["elpmaxe.moordrac."]),
        ("192.0.2.7", ["192.0.2.7."]),
        ("@@||bank.example^", ["@elpmaxe.knab."]),
        ("@@||bank.example^$important", ["@elpmaxe.knab."]),
        ("! a comment", []),
        ("# another", []),
        ("", []),
    ],
)
def test_rules_that_block_a_host_as_a_whole_are_entries(rule: str, keys: list[str]) -> None:
    found, problems = _parsed(adblock_keys, f"[Adblock Plus 2.0]\n{rule}\n")
    assert (found, problems.count, problems.unusable_count) == (keys, 0, 0)


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        ("||cardroom.example", "does not end where the host does"),
        ("||cardroom.example*", "does not end where the host does"),
        ("||cardroom.example^$third-party", "for some requests to the host only: 'third-party'"),
        ("||cardroom.example^$all,domain=a.example", "only: 'domain=a.example'"),
        ("||cardroom.example^$badfilter", "only: 'badfilter'"),
        ("||cardroom.example/play", "is about a path"),
        ("||cardroom.example^play^", "is about a path"),
        ("||cardroom.example:8443^", "is about one port"),
        ("||card*.example^", "matches by a pattern"),
        ("|https://cardroom.example^", "matches by a pattern"),
        ("/banner/*/ads", "matches by a pattern"),
        ("/^https?:/", "matches by a pattern"),
        ("@@||bank.example^$document", "only: 'document'"),
        ("@@bank.example", "matches by a pattern"),
        ("cardroom.example##.ad", "is about parts of a page"),
        ("##.ad", "is about parts of a page"),
        ("#@#.ad", "is about parts of a page"),
        ("cardroom.example#%#script", "is about parts of a page"),
        ("cardroom.example$$script", "is about parts of a page"),
    ],
)
def test_rules_that_say_less_are_counted_and_never_widened(rule: str, reason: str) -> None:
    found, problems = _parsed(adblock_keys, f"||shop.example^\n{rule}\n")
    assert found == ["elpmaxe.pohs."]
    assert problems.count + problems.unusable_count == 1
    assert reason in problems.first_unusable[0].reason
    assert problems.first_unusable[0].line == 2


def test_rule_that_names_no_host_is_not_understood() -> None:
    found, problems = _parsed(adblock_keys, "||card room.example^\n!#if adguard\n  ||.^\n")
    assert not found
    assert [str(problem) for problem in problems.first] == [
        "list:1:1: 'card room.example' is not a host name: it holds ' '",
        "list:2:1: a directive: what follows it may be meant for others only",
        "list:3:3: '' is not a host name",
    ]


ZONE = """; a zone
$TTL 2h
$ORIGIN rpz.town.example.
@ IN SOA localhost. root.localhost. (
    1752927088 ; serial
    86400 3600 604800 30 )
 NS localhost.
cardroom.example CNAME .
*.cardroom.example 300 IN CNAME *.
*.shop.example.rpz.town.example. IN CNAME rpz-drop.
Bank.example CNAME rpz-passthru.
*.news.example CNAME rpz-passthru.
old.example CNAME old.example.
24.0.2.0.192.rpz-ip CNAME .
48.zz.db8.2001.rpz-ip CNAME .
128.7.zz.db8.2001.rpz-ip CNAME .
$ORIGIN games.rpz.town.example.
dice CNAME .
"""


def test_zone_is_read_with_its_origins_names_and_addresses() -> None:
    found, problems = _parsed(response_policy_keys, ZONE)
    assert problems == Problems()
    assert [key for key in found if key[1] != ":"] == [
        exact_key("cardroom.example"),
        host_key("cardroom.example"),
        host_key("shop.example"),
        "^" + exact_key("bank.example"),
        "^" + host_key("news.example"),
        "^" + exact_key("old.example"),
        "[2001:db8::7].",
        exact_key("dice.games"),
    ]
    assert [entry_of_range_key(key) for key in found if key[1] == ":"] == ["192.0.2.0/24", "2001:db8::/48"]


def test_records_that_block_nothing_are_counted() -> None:
    text = (
        "a.example CNAME walled.garden.example.\nb.example A 192.0.2.1\n"
        "32.1.2.0.192.rpz-ip CNAME rpz-passthru.\n32.1.2.0.192.rpz-client-ip CNAME .\n"
        "ns.example.rpz-nsdname CNAME .\n"
        "$INCLUDE other\n33.1.2.0.192.rpz-ip CNAME .\n"
        "nonsense\na..b CNAME .\n"
    )
    found, problems = _parsed(response_policy_keys, text)
    assert found == []
    assert [str(problem) for problem in problems.first_unusable] == [
        "list:1:1: answers otherwise, and blocks nothing",
        "list:2:1: answers otherwise, and blocks nothing",
        "list:3:1: is an exception by address",
        "list:4:1: is about who asks or name servers, not about a site",
        "list:5:1: is about who asks or name servers, not about a site",
    ]
    assert [str(problem) for problem in problems.first] == [
        "list:6:1: '$INCLUDE' is not read here",
        "list:7:1: '33.1.2.0.192.rpz-ip' is not a range of addresses",
        "list:8:1: is not a record of a zone",
        "list:9:1: 'a..b' is not a host name: a label is empty",
    ]


def test_zone_that_ends_within_parentheses_is_counted() -> None:
    found, problems = _parsed(response_policy_keys, "@ SOA a. b. (\n1 2 3\ncardroom.example CNAME .\n")
    assert found == []
    assert [str(problem) for problem in problems.first] == ["list:3:1: a parenthesis is open to the end"]


def test_resolvers_statements_are_read_and_names_with_real_addresses_are_not() -> None:
    text = (
        "server:\n# a comment\naddress=/a.example/#\naddress=/b.example/c.example/0.0.0.0\n"
        "server=/d.example/\n"
        'local-zone: "e.example." always_nxdomain\nzone "f.example" { type master; file "null"; };\n'
        "address=/g.example/192.168.1.9\nserver=/h.example/192.0.2.1\n"
        'local-zone: "i.example" transparent\naddress=/not a name/#\n'
    )
    found, problems = _parsed(resolver_keys, text)
    assert found == [host_key(f"{letter}.example") for letter in "abcdef"]
    assert [problem.line for problem in problems.first] == [8, 9, 10, 11]


def test_v2flys_rules_are_read() -> None:
    text = (
        "# a list\ncardroom.example  # a comment\ndomain:shop.example @ads\nfull:www.news.example @cn @ads\n"
        "keyword:p.ker\nregexp:^bets?[0-9]+\\.example$ @cn\n"
    )
    found, problems = _parsed(_v2fly, text)
    assert problems == Problems()
    assert found == [
        host_key("cardroom.example"),
        host_key("shop.example"),
        exact_key("www.news.example"),
        "<p\\.ker",
        "<^bets?[0-9]+\\.example$",
    ]


def test_lists_take_from_one_another_what_has_the_attributes() -> None:
    problems = Problems()
    lists = DomainLists(problems)
    lists.add("all", "data/all", ["include:one @ads\n", "include:two @-cn\n", "own.example\n"])
    lists.add("one", "data/one", ["a.example\n", "b.example @ads @cn\n", "c.example @ADS\n", "include:all\n"])
    lists.add("two", "data/two", ["d.example @cn\n", "e.example\n", "f.example &third @cn\n"])
    lists.add("third", "data/third", ["include:nowhere\n"])
    names = {name: [key[::-1][1:] for key in lists.keys(name)] for name in lists.names()}
    assert names["all"] == ["own.example", "b.example", "c.example", "e.example"]
    assert names["third"] == ["f.example"]
    assert lists.keys("third") == [host_key("f.example")]
    assert [str(problem) for problem in problems.first] == [
        "data/third:1:1: includes 'nowhere', which is not there"
    ]


def test_lists_that_include_one_another_over_and_over_are_read_once() -> None:
    lists = DomainLists(Problems())
    for number in range(60):
        lists.add(f"l{number}", "data/l", [f"include:l{number + 1}\n"] * 2)
    lists.add("l60", "data/l", ["cardroom.example\n", "include:l0\n"])
    assert lists.keys("l0") == [host_key("cardroom.example")]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("full:card room.example", "'room.example' is neither an attribute nor a list"),
        ("regexp:(a", "is not an expression that can be used"),
        ("regexp:a*", "is an expression that everything matches"),
        ("keyword:", "a keyword of nothing"),
        ("geosite:cn", "'geosite' is not a kind of rule"),
        ("full:-..-", "is not a host name"),
        ("include:", "names no list"),
        ("include:../etc &a", "names no list"),
        ("a.example @", "'@' is neither"),
    ],
)
def test_lines_of_v2fly_that_are_no_rule_are_counted(line: str, reason: str) -> None:
    found, problems = _parsed(_v2fly, f"shop.example\n{line}\n")
    assert (found, problems.count) == (["elpmaxe.pohs."], 1)
    assert reason in problems.first[0].reason


@pytest.mark.parametrize(
    ("name", "first", "format_is_known"),
    [
        ("rpz", "$TTL 30\na.example CNAME .\n", True),
        ("adblock", "! Title: a list\n||a.example^\n", True),
        ("v2fly", "full:a.example\n", True),
        ("v2fly with attributes", "a.example @ads\n", True),
        ("dnsmasq", "# a list\naddress=/a.example/#\n", True),
        ("plain", "a.example\n", True),
        ("unknown", "let a = example;\n", False),
    ],
)
def test_format_is_found_out_from_the_list(
    tmp_path: Path, name: str, first: str, format_is_known: bool
) -> None:
    path = tmp_path / "list.txt"
    path.write_text(first)
    edition = read_edition(Source("town", str(path)), tmp_path / "entries", taxonomy(), AT)
    assert (edition.source.count, edition.problems.count) == ((1, 0) if format_is_known else (0, 1)), name


def _edition(path: Path, scratch: Path) -> tuple[set[str], Edition]:
    target = scratch / path.name
    edition = read_edition(Source("town", str(path)), target, taxonomy(), AT)
    with kept(Source("town", str(path)), scratch) as entries:
        return {key for section in entries.source.sections for key in entries.keys(section)}, edition


@pytest.mark.parametrize(
    ("list_name", "formats", "count"),
    [
        ("easylist", ["wildcard.txt", "adblock.txt", "dnsmasq.txt", "unbound.conf"], 50_231),
        ("someonewhocares", ["wildcard.txt", "adblock.txt", "dnsmasq.txt", "unbound.conf"], 7_937),
        ("stevenblack", ["wildcard.txt", "adblock.txt", "dnsmasq.txt"], 85_291),
        ("easylist", ["domains.txt", "hosts.txt"], 86_674),
        ("urlhaus-filter", ["hosts.txt", "unbound.conf", "bind.conf", "dnscrypt-blocked-names.txt"], 2_689),
        ("urlhaus-filter", ["domains-online.txt", "agh-online.txt", "wildcard-online.txt"], 2_853),
    ],
)
def test_one_list_in_several_formats_is_the_same_entries(
    tmp_path: Path, test_data: TestData, list_name: str, formats: list[str], count: int
) -> None:
    sign = "-" if list_name == "urlhaus-filter" else "."
    read = [_edition(test_data("formats") / f"{list_name}{sign}{each}", tmp_path) for each in formats]
    for (keys, edition), list_format in zip(read, formats, strict=True):
        assert edition.problems == Problems(), list_format
        assert keys == read[0][0], list_format
    assert len(read[0][0]) == count


def test_zone_lists_the_names_of_the_hosts_file_and_no_subdomains(
    tmp_path: Path, test_data: TestData
) -> None:
    keys, edition = _edition(test_data("formats") / "urlhaus-filter-rpz.conf", tmp_path)
    names, _ = _edition(test_data("formats") / "urlhaus-filter-hosts.txt", tmp_path)
    assert edition.problems == Problems()
    assert keys == {f"{name}|" for name in names}


@pytest.mark.parametrize("name", ["urlhaus-filter-ag-online.txt", "urlhaus-filter-online.txt"])
def test_rules_about_paths_list_no_host(tmp_path: Path, test_data: TestData, name: str) -> None:
    keys, edition = _edition(test_data("formats") / name, tmp_path)
    hosts, _ = _edition(test_data("formats") / "urlhaus-filter-agh-online.txt", tmp_path)
    # The one host that only these have has no path in them either: ||wegrowcoaching.com^$all.
    assert keys - hosts == {host_key("wegrowcoaching.com")}
    assert hosts <= keys
    assert edition.problems.count == 0
    assert edition.problems.unusable_count == 3509
    assert {problem.reason for problem in edition.problems.first_unusable} == {
        "is about a path, not the host as a whole"
    }


def test_v2flys_lists_are_read_whole(tmp_path: Path, test_data: TestData) -> None:
    folder = tmp_path / "domain-list-community"
    shutil.copytree(test_data("formats") / "v2fly", folder / "data")
    source = Source("v2fly", str(folder))
    edition = read_edition(source, tmp_path / "entries", taxonomy(), AT)
    assert edition.problems == Problems()
    assert edition.source.list_format == "v2fly"
    names = {section.category for section in edition.source.sections}
    assert set(taxonomy().lists["v2fly"]) <= names
    assert edition.unused["category-ru"] == "sites of a country, of every kind"
    with kept(source, tmp_path) as entries:
        keys = {section.category: set(entries.keys(section)) for section in entries.source.sections}
    # By way of `include:missav`.
    assert host_key("missav.com") in keys["category-porn"]
    # google's own file, of which only what has @ads is included.
    assert host_key("doubleclick.net") in keys["category-ads"]
    assert host_key("google.com") not in keys["category-ads"]


ODD = [
    "a" * 300 + ".example",
    "card\0room.example",
    "caf\ufffd.example",
    "\ufeffcardroom.example\r",
    "\r",
    "\0",
]
PARSERS: list[Parser] = [adblock_keys, response_policy_keys, resolver_keys, _v2fly]
_PIECES = """|| @@ ^ $ all , / * . *. a.example 192.0.2.7 ::1 [ ( ) @ CNAME $ORIGIN $TTL SOA IN rpz-ip 32. zz
; # ! @ads &x include: full: regexp: keyword: domain: address=/ local-zone: - % é \u3002 xn--"""
_WORDS = st.sampled_from([*_PIECES.split(), " ", "\t", "\n", "\r\n", "\0", "\ud800"])


def _hosts_of(key: str) -> Iterator[str]:
    """Yield the host that a key is of, if it is of one."""
    bare = key.removeprefix("@").removeprefix("^").removesuffix("|").removesuffix(".")
    if not key.startswith(("<", "4:", "6:")):
        yield bare if bare[-1] == "]" or (bare[0].isdecimal() and is_address(bare)) else bare[::-1]


@given(st.one_of(st.lists(_WORDS, max_size=14).map("".join), st.text(max_size=80)))
@example("\n".join(ODD))
@example("192.0.2.7$")
@example("||::^")
@example("$ORIGIN .\n. CNAME .\n")
@example("128.rpz-ip CNAME .")
@example("include:\nfull:")
def test_no_text_makes_a_parser_fail_or_list_what_is_no_host(text: str) -> None:
    for parser in PARSERS:
        for key in _parsed(parser, text)[0]:
            assert "\n" not in key
            for host in _hosts_of(key):
                assert canonical_host(host) == host, (parser, key)


@pytest.mark.parametrize("odd", ODD[:3])
@pytest.mark.parametrize("parser", [*PARSERS, hosts_file_keys, url_keys])
def test_names_that_cannot_be_are_counted_in_every_format(parser: Parser, odd: str) -> None:
    written = {
        adblock_keys: f"||{odd}^",
        response_policy_keys: f"{odd} CNAME .",
        resolver_keys: f"address=/{odd}/#",
        hosts_file_keys: f"0.0.0.0 {odd}",
        url_keys: f"{odd}/path",
    }.get(parser, f"full:{odd}")  # type: ignore[call-overload]  # of functions
    found, problems = _parsed(parser, f"{written}\n")
    assert (found, problems.count) == ([], 1)
    assert problems.first[0].line == 1


def test_a_plain_list_of_odd_names_is_counted_line_by_line() -> None:
    problems = Problems()
    assert not list(domain_keys(["\n".join(ODD[:2])], "list", problems))
    assert [problem.line for problem in problems.first] == [1, 2]
    assert list(expression_keys(["a\0b\n"], "list", problems)) == ["?a\0b"]
