"""Compiling and looking up: what covers a host is found, and nothing else."""

import json
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from categories import compiling
from categories.entry_key import host_key, without_service_label
from categories.host_name import canonical_host
from categories.match import CategoryMatch
from categories.snapshot import MANIFEST, CategorySnapshot, CategorySnapshotError, verify, version_of
from tests.categories.lists import publish_lists, write_layout

UT1 = {
    "gambling/domains": "cardroom.example\nbets.cardroom.example\n192.0.2.7\n",
    "gambling/urls": "blog.example/casino\nblog.example/casino/poker\n192.0.2.9/dice\n",
    "adult/domains": "xxx\nbets.cardroom.example\n",
    "agressif/urls": "forum.example\n",
    "liste_bu/domains": "library.example\n",
}
TOWN = {"drugs/domains": "cardroom.example\n[2001:db8::7]\n"}


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CategorySnapshot]:
    folder = tmp_path_factory.mktemp("lists")
    lists = {"ut1": write_layout(folder / "ut1", UT1), "town": write_layout(folder / "town", TOWN)}
    opened = publish_lists(folder / "published", lists, folder / "scratch")
    yield opened
    opened.close()


def _gambling(entry: str) -> CategoryMatch:
    return CategoryMatch("gambling", entry, "ut1")


@pytest.mark.parametrize(
    ("host", "matches"),
    [
        (
            "cardroom.example",
            [CategoryMatch("drugs", "cardroom.example", "town"), _gambling("cardroom.example")],
        ),
        (
            "www.bets.cardroom.example",
            [
                CategoryMatch("adult", "bets.cardroom.example", "ut1"),
                _gambling("bets.cardroom.example"),
                CategoryMatch("drugs", "cardroom.example", "town"),
                _gambling("cardroom.example"),
            ],
        ),
        ("any.thing.xxx", [CategoryMatch("adult", "xxx", "ut1")]),
        ("192.0.2.7", [_gambling("192.0.2.7")]),
        ("[2001:db8::7]", [CategoryMatch("drugs", "[2001:db8::7]", "town")]),
        ("[64:ff9b::c000:207]", [_gambling("192.0.2.7")]),
    ],
)
def test_entries_cover_a_host_and_its_subdomains_most_specific_first(
    snapshot: CategorySnapshot, host: str, matches: list[CategoryMatch]
) -> None:
    assert snapshot.lookup(host) == tuple(matches)


@pytest.mark.parametrize(
    "host",
    [
        "example",
        "notcardroom.example",
        "cardroom.example.com",
        "xxxx",
        "192.0.2.77",
        "192.0.2",
        "7.2.0.192",
        "7.192.0.2.a",
        "[2001:db8::77]",
        "library.example",
        "blog.example",
    ],
)
def test_what_only_looks_alike_is_not_listed(snapshot: CategorySnapshot, host: str) -> None:
    assert snapshot.lookup(host) == ()
    assert snapshot.lookup(host, "/") == ()


@pytest.mark.parametrize(
    ("host", "path", "entries"),
    [
        ("blog.example", "/casino", ["blog.example/casino"]),
        ("blog.example", "/casino/", ["blog.example/casino"]),
        ("blog.example", "/casino/poker/x.html", ["blog.example/casino/poker", "blog.example/casino"]),
        ("www2.blog.example", "/CASINO", ["blog.example/casino"]),
        ("blog.example", "//a/../casino;%20", ["blog.example/casino"]),
        ("blog.example", "/casino;table=1/poker", ["blog.example/casino/poker", "blog.example/casino"]),
        ("blog.example", "/casino%00.html", ["blog.example/casino"]),
        ("blog.example", "/casino%20/", ["blog.example/casino"]),
        ("blog.example", "/a/%252e%252e/%25252563asino", ["blog.example/casino"]),
        ("blog.example", "/a/..%5ccasino", ["blog.example/casino"]),
        ("blog.example", "/a%3f/../casino", ["blog.example/casino"]),
        ("blog.example", "/%253fcasino", []),
        ("blog.example", "/a/%2e%2E/%63asino//poker", ["blog.example/casino/poker", "blog.example/casino"]),
        ("blog.example", "/casinos", []),
        ("blog.example", "/", []),
        ("other.blog.example", "/casino", []),
        ("192.0.2.9", "/dice", ["192.0.2.9/dice"]),
        ("forum.example", "/any/thing", ["forum.example/"]),
        ("www.forum.example", "/", ["forum.example/"]),
    ],
)
def test_url_entries_cover_a_path_and_what_is_below_it(
    snapshot: CategorySnapshot, host: str, path: str, entries: list[str]
) -> None:
    assert [match.entry for match in snapshot.lookup(host, path)] == entries


def test_url_entries_are_looked_at_only_where_the_path_is_seen(snapshot: CategorySnapshot) -> None:
    assert snapshot.lookup("blog.example") == ()


@pytest.mark.parametrize(
    ("host", "categories"),
    [
        ("blog.example", {"gambling"}),
        ("www.blog.example", {"gambling"}),
        ("192.0.2.9", {"gambling"}),
        ("my.blog.example", set()),
        ("log.example", set()),
        ("cardroom.example", set()),
        ("library.example", set()),
    ],
)
def test_categories_of_a_hosts_urls_are_known_before_the_path_is(
    snapshot: CategorySnapshot, host: str, categories: set[str]
) -> None:
    assert snapshot.url_categories(host) == categories
    assert snapshot.url_categories(host) == categories, "from memory"


def test_url_entries_come_before_domain_entries(tmp_path: Path) -> None:
    files = {"gambling/domains": "blog.example\n", "adult/urls": "blog.example/x\n"}
    lists = {"ut1": write_layout(tmp_path / "ut1", files)}
    opened = publish_lists(tmp_path / "published", lists, tmp_path / "scratch")
    assert [m.category for m in opened.lookup("blog.example", "/x")] == ["adult", "gambling"]


@given(st.text(max_size=60))
@example("/\udcff\ud800")
@example("*")
@example(":99999/")
@example("/a?b#c")
@example("/%00%0a")
def test_any_path_can_be_looked_up(snapshot: CategorySnapshot, path: str) -> None:
    assert all(
        match.entry.startswith("blog.example/casino") for match in snapshot.lookup("blog.example", path)
    )


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("www.blog.example", "blog.example"),
        ("ftp3.blog.example", "blog.example"),
        ("www.example", "www.example"),
        ("wwwblog.example", "wwwblog.example"),
        ("myweb.blog.example", "myweb.blog.example"),
        ("a.www.blog.example", "a.www.blog.example"),
        ("192.0.2.9", "192.0.2.9"),
    ],
)
def test_url_entries_are_written_without_www(host: str, expected: str) -> None:
    assert without_service_label(host) == expected


_hosts = st.lists(st.sampled_from(["a", "b", "ab", "example", "com", "x-y"]), min_size=1, max_size=4).map(
    ".".join
)


@settings(max_examples=30)
@given(st.sets(_hosts, max_size=12), st.lists(_hosts, min_size=1, max_size=8))
def test_lookup_finds_exactly_the_listed_parents(
    tmp_path_factory: pytest.TempPathFactory, listed: set[str], hosts: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("any")
    files = {"gambling/domains": "".join(f"{host}\n" for host in listed)}
    lists = {"ut1": write_layout(folder / "ut1", files)}
    opened = publish_lists(folder / "published", lists, folder / "scratch")
    for host in hosts:
        labels = host.split(".")
        parents = [".".join(labels[start:]) for start in range(len(labels))]
        assert [match.entry for match in opened.lookup(host)] == [p for p in parents if p in listed]


def _of_files(tmp_path: Path, files: dict[str, str]) -> CategorySnapshot:
    """Publish lists that are a file each, by their names; a name is a category."""
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    lists = {name: tmp_path / name for name in files}
    return publish_lists(tmp_path / "published", lists, tmp_path / "scratch")


def _entries(opened: CategorySnapshot, host: str, path: str | None = None) -> list[str]:
    return [match.entry for match in opened.lookup(host, path)]


def test_ranges_cover_their_addresses_the_longest_prefix_first(tmp_path: Path) -> None:
    text = "192.0.0.0/16\n192.0.2.0/25\n192.0.2.7\n2001:db8::/32\n2001:db8:7::/48\ncardroom.example\n"
    opened = _of_files(tmp_path, {"malware": text, "gambling": "192.0.2.0/24\n"})
    assert opened.lookup("192.0.2.7") == tuple(
        CategoryMatch(category, entry, category)
        for category, entry in (
            ("malware", "192.0.2.7"),
            ("malware", "192.0.2.0/25"),
            ("gambling", "192.0.2.0/24"),
            ("malware", "192.0.0.0/16"),
        )
    )
    assert _entries(opened, "192.0.2.128") == ["192.0.2.0/24", "192.0.0.0/16"]
    assert _entries(opened, "192.1.0.0") == []
    assert _entries(opened, "[2001:db8:7::1]") == ["2001:db8:7::/48", "2001:db8::/32"]
    assert _entries(opened, "[2001:db9::1]") == []
    assert _entries(opened, "[64:ff9b::c000:280]") == ["192.0.2.0/24", "192.0.0.0/16"]
    assert _entries(opened, "www.cardroom.example") == ["cardroom.example"]


_ADDRESSES = st.integers(0, 2**32 - 1).map(IPv4Address)


@settings(max_examples=30)
@given(
    st.sets(st.tuples(_ADDRESSES, st.integers(1, 31)), max_size=10),
    st.lists(_ADDRESSES, min_size=1, max_size=6),
)
def test_lookup_finds_exactly_the_ranges_that_an_address_is_in(
    tmp_path_factory: pytest.TempPathFactory,
    ranges: set[tuple[IPv4Address, int]],
    addresses: list[IPv4Address],
) -> None:
    networks = {IPv4Network(each, strict=False) for each in ranges}
    text = "".join(f"{network}\n" for network in networks) + "a.example\n"
    opened = _of_files(tmp_path_factory.mktemp("any"), {"malware": text})
    for address in [*addresses, *(network[-1] for network in networks)]:
        within = sorted((n for n in networks if address in n), key=lambda n: -n.prefixlen)
        assert _entries(opened, str(address)) == [str(network) for network in within]


def test_entry_for_one_name_does_not_cover_its_subdomains(tmp_path: Path) -> None:
    opened = _of_files(tmp_path, {"gambling": "full:bets.example\nfull:www.shop.example\nshop.example\n"})
    assert _entries(opened, "bets.example") == ["bets.example"]
    assert _entries(opened, "www.bets.example") == []
    assert _entries(opened, "www.shop.example") == ["www.shop.example", "shop.example"]
    # A host may hold nearly any sign, though no one registers such a name.
    for sign in "$~+=!&'()*,;_-":
        for host in (f"a{sign}.bets.example", f"{sign}.bets.example"):
            assert _entries(opened, canonical_host(host)) == []


def test_exception_of_a_filter_list_holds_against_all_of_its_own_entries(tmp_path: Path) -> None:
    rules = "||a.example^\n||bad.b.a.example^\n@@||b.a.example^\n"
    opened = _of_files(tmp_path, {"advertising": rules, "malware": "b.a.example\n"})
    assert _entries(opened, "a.example") == ["a.example"]
    assert opened.lookup("www.b.a.example") == (CategoryMatch("malware", "b.a.example", "malware"),)
    assert _entries(opened, "bad.b.a.example") == ["b.a.example"]
    assert sum(opened.counts.values()) == 4


def test_exception_of_a_zone_holds_where_no_entry_is_closer(tmp_path: Path) -> None:
    zone = (
        "$TTL 1\n*.a.example CNAME .\na.example CNAME .\n*.b.a.example CNAME rpz-passthru.\n"
        "bad.b.a.example CNAME .\nc.a.example CNAME rpz-passthru.\n"
    )
    opened = _of_files(tmp_path, {"malware": zone})
    assert _entries(opened, "x.b.a.example") == []
    assert _entries(opened, "bad.b.a.example") == ["bad.b.a.example"]
    assert _entries(opened, "c.a.example") == []
    assert _entries(opened, "x.c.a.example") == ["a.example"]


def test_expressions_for_urls_are_asked_only_where_the_path_is_seen(tmp_path: Path) -> None:
    files = {
        "gambling/domains": "cardroom.example\n",
        "gambling/expressions": "/casino[0-9]+/\n(a+)+$\nPOKER\n",
        "adult/expressions": "^[^/]*sex\n",
    }
    lists = {"ut1": write_layout(tmp_path / "ut1", files)}
    opened = publish_lists(tmp_path / "published", lists, tmp_path / "scratch")
    assert _entries(opened, "news.example", "/x/Casino77/y") == ["/casino[0-9]+/"]
    assert opened.lookup("cardroom.example", "/poker") == (
        _gambling("cardroom.example"),
        _gambling("POKER"),
    )
    assert _entries(opened, "essex.example", "/") == ["^[^/]*sex"]
    assert _entries(opened, "essex.example") == []
    assert _entries(opened, "news.example", "/essex") == []
    # What goes back over and over in other engines takes no time.
    assert _entries(opened, "news.example", "/" + "a" * 5000 + "!") == []
    assert dict(opened.entries())["?POKER"] == (("gambling", "ut1"),) == opened.meaning_of("?POKER")


def test_expressions_are_made_ready_when_a_snapshot_is_opened_and_not_by_a_visit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {"gambling/expressions": "casino\n", "adult/expressions": "casino[0-9]\n"}
    lists = {"ut1": write_layout(tmp_path / "ut1", files)}
    snapshot = publish_lists(tmp_path / "published", lists, tmp_path / "scratch")

    def refuse(self: object, expressions: object) -> None:
        raise AssertionError("made during a lookup")

    monkeypatch.setattr("categories.expressions.ExpressionSet.__init__", refuse)
    found = snapshot.lookup("a.example", "/casino7")
    assert [(match.category, match.entry) for match in found] == [
        ("gambling", "casino"),
        ("adult", "casino[0-9]"),
    ]


def test_expressions_for_hosts_are_asked_of_every_host(tmp_path: Path) -> None:
    opened = _of_files(tmp_path, {"gambling": "regexp:^bets?[0-9]+[.]\nkeyword:poker\n"})
    assert _entries(opened, "bets7.example") == ["^bets?[0-9]+[.]"]
    assert _entries(opened, "mypokersite.example") == ["poker"]
    assert _entries(opened, "www.bets7.example") == []
    assert opened.meaning_of("<poker") == (("gambling", "gambling"),)


def test_snapshot_with_every_sort_of_entry_is_the_same_bytes_again(tmp_path: Path) -> None:
    files = {
        "malware": "||a.example^\n@@||b.a.example^\n192.0.2.0/24\n",
        "gambling": "full:c.example\nkeyword:poker\n",
    }
    (tmp_path / "again").mkdir()
    again = {name: "".join(reversed(text.splitlines(keepends=True))) for name, text in files.items()}
    assert _of_files(tmp_path, files).version == _of_files(tmp_path / "again", again).version


def test_snapshot_says_what_it_holds(snapshot: CategorySnapshot) -> None:
    assert snapshot.sources == ("town", "ut1")
    assert snapshot.counts == {
        ("adult", "ut1"): 2,
        ("drugs", "town"): 2,
        ("gambling", "ut1"): 6,
        ("hate", "ut1"): 1,
    }
    assert len(snapshot) == 9
    assert dict(snapshot.entries())[host_key("cardroom.example")] == (("drugs", "town"), ("gambling", "ut1"))
    assert snapshot.meaning_of(host_key("xxx")) == (("adult", "ut1"),)
    assert snapshot.meaning_of("elpmaxe.golb./casino/") == (("gambling", "ut1"),)
    assert snapshot.meaning_of(host_key("nobody.example")) == ()


def test_same_sources_in_any_order_are_the_same_bytes(tmp_path: Path) -> None:
    again = {name: "".join(reversed(text.splitlines(keepends=True))) for name, text in UT1.items()}
    lists = {"ut1": write_layout(tmp_path / "ut1", UT1), "town": write_layout(tmp_path / "town", TOWN)}
    other = {"town": lists["town"], "ut1": write_layout(tmp_path / "again", again)}
    one = publish_lists(tmp_path / "one", lists, tmp_path / "scratch")
    two = publish_lists(tmp_path / "two", other, tmp_path / "scratch")
    assert one.version == two.version
    for path in one.folder.iterdir():
        assert path.read_bytes() == (two.folder / path.name).read_bytes()


def test_snapshot_of_nothing_answers_nothing(tmp_path: Path) -> None:
    opened = publish_lists(tmp_path / "published", {}, tmp_path / "scratch")
    assert (len(opened), opened.lookup("cardroom.example", "/")) == (0, ())


def test_more_meanings_than_two_bytes_can_number_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    narrow = publish_lists(
        tmp_path / "one", {"ut1": write_layout(tmp_path / "ut1", UT1)}, tmp_path / "scratch"
    )
    monkeypatch.setattr(compiling, "_NUMBERED_BY_TWO_BYTES", 1)
    wide = publish_lists(tmp_path / "two", {"ut1": tmp_path / "ut1"}, tmp_path / "scratch")
    size = (narrow.folder / "names.meanings").stat().st_size
    assert (wide.folder / "names.meanings").stat().st_size == 2 * size
    assert sorted(wide.entries()) == sorted(narrow.entries())


_NAMES = st.frozensets(st.sampled_from([f"n{number}.example" for number in range(6)]), min_size=1)


@given(sections=st.lists(_NAMES, min_size=1, max_size=4), at_once=st.integers(1, 4))
@settings(max_examples=40)
def test_every_entry_is_listed_as_all_that_any_section_says(
    tmp_path_factory: pytest.TempPathFactory, sections: list[frozenset[str]], at_once: int
) -> None:
    categories = ("gambling", "adult", "games", "press")[: len(sections)]
    files = {
        f"{category}/domains": "".join(f"{name}\n" for name in names)
        for category, names in zip(categories, sections, strict=True)
    }
    folder = tmp_path_factory.mktemp("lists")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(compiling, "_COMPARED_AT_ONCE", at_once)
        snapshot = publish_lists(
            folder / "published", {"ut1": write_layout(folder / "ut1", files)}, folder / "scratch"
        )
    expected = {
        host_key(name): tuple(
            sorted(
                (category, "ut1")
                for category, names in zip(categories, sections, strict=True)
                if name in names
            )
        )
        for name in frozenset[str]().union(*sections)
    }
    assert dict(snapshot.entries()) == expected
    snapshot.close()


@pytest.fixture
def published(tmp_path: Path) -> CategorySnapshot:
    lists = {"ut1": write_layout(tmp_path / "ut1", UT1)}
    return publish_lists(tmp_path / "published", lists, tmp_path / "scratch")


def test_whole_snapshot_is_verified_and_opened(published: CategorySnapshot) -> None:
    verify(published.folder)
    opened = CategorySnapshot.open(published.folder)
    assert opened.version == published.version == published.folder.name
    assert opened.built_at.tzinfo is not None


@pytest.mark.parametrize("name", ["names.trie", "names.meanings", "urls.trie", "urls.meanings", MANIFEST])
@pytest.mark.parametrize("damage", ["cut", "flipped", "missing"])
def test_damaged_snapshot_is_refused(published: CategorySnapshot, name: str, damage: str) -> None:
    path = published.folder / name
    data = bytearray(path.read_bytes())
    match damage:
        case "cut":
            path.write_bytes(data[:-1])
        case "flipped":
            data[len(data) // 2] ^= 1
            path.write_bytes(data)
        case "missing":
            path.unlink()
    with pytest.raises(CategorySnapshotError, match=name):
        verify(published.folder)
    if damage != "flipped" or name == MANIFEST:
        with pytest.raises(CategorySnapshotError, match=name):
            CategorySnapshot.open(published.folder)


def test_trie_that_is_none_any_more_is_refused_even_unverified(published: CategorySnapshot) -> None:
    path = published.folder / "urls.trie"
    path.write_bytes(bytes(path.stat().st_size))
    with pytest.raises(CategorySnapshotError, match=r"urls\.trie: altered, no trie any more"):
        CategorySnapshot.open(published.folder)


def test_snapshot_of_another_format_is_refused(published: CategorySnapshot, tmp_path: Path) -> None:
    manifest = json.loads((published.folder / MANIFEST).read_text()) | {"format": 99}
    other = tmp_path / "other"
    other.mkdir()
    (other / MANIFEST).write_text(json.dumps(manifest))
    other = other.rename(tmp_path / version_of((other / MANIFEST).read_bytes()))
    with pytest.raises(CategorySnapshotError, match="a snapshot of format 99, where this version reads 2"):
        CategorySnapshot.open(other)


def test_lookup_takes_hosts_as_they_are_canonicalised(snapshot: CategorySnapshot) -> None:
    assert snapshot.lookup(canonical_host("0xC0.0.2.7")) == (_gambling("192.0.2.7"),)
