"""One edition of a list: its format found out, its categories named, its entries written down."""

from pathlib import Path

import pytest

from categories.entry_key import host_key
from categories.reading import read_edition
from categories.sources import Source, SourceError, starter_source
from categories.taxonomy import taxonomy
from tests.categories.lists import AT, kept, write_layout
from tests.real_data import TestData


def _sections(source: Source, scratch: Path) -> dict[tuple[str, str], list[str]]:
    with kept(source, scratch) as entries:
        return {(s.category, s.kind): list(entries.keys(s)) for s in entries.source.sections}


@pytest.mark.parametrize(
    ("folders", "names"),
    [
        (["blacklists/gambling", "blacklists/adult"], ["gambling", "adult"]),
        (["BL/hobby/games", "BL/porn"], ["hobby/games", "porn"]),
        (["gambling", "adult"], ["gambling", "adult"]),
        (["lists/ut1/gambling"], ["gambling"]),
        (["."], ["town"]),
    ],
)
def test_categories_are_named_by_their_folders_below_the_one_they_share(
    tmp_path: Path, folders: list[str], names: list[str]
) -> None:
    files = {f"{folder}/domains": f"site{number}.example\n" for number, folder in enumerate(folders)}
    source = Source("town", str(write_layout(tmp_path / "list", files)))
    assert _sections(source, tmp_path) == {
        (name, "names"): [host_key(f"site{number}.example")] for number, name in enumerate(names)
    }


def test_domains_and_urls_of_a_category_are_read(tmp_path: Path) -> None:
    files = {"gambling/domains": "b.example\na.example\n", "gambling/urls": "c.example/casino\n"}
    source = Source("ut1", str(write_layout(tmp_path / "list", files)))
    assert _sections(source, tmp_path) == {
        ("gambling", "names"): ["elpmaxe.a.", "elpmaxe.b."],
        ("gambling", "urls"): ["elpmaxe.c./casino/"],
    }


@pytest.mark.parametrize(
    ("name", "category", "expected"),
    [
        ("gambling", None, "gambling"),
        ("publicite", None, "advertising"),
        ("corporate", None, "town_list"),
        ("corporate", "malware", "malware"),
    ],
)
def test_plain_list_is_in_the_category_given_or_that_its_name_says(
    tmp_path: Path, name: str, category: str | None, expected: str
) -> None:
    path = tmp_path / "list.txt"
    path.write_text("a.example\n")
    with kept(Source(name, str(path), category), tmp_path) as entries:
        assert entries.source.category == expected
        assert entries.source.list_format == "plain"
        assert entries.source.fetched_at == AT


def test_hosts_file_is_recognised(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    path.write_text("127.0.0.1 localhost\n0.0.0.0 ads.example track.example\n")
    sections = _sections(Source("advertising", str(path)), tmp_path)
    assert list(sections.values()) == [["elpmaxe.kcart.", "elpmaxe.sda."]]


@pytest.mark.parametrize(
    "page",
    [
        "<!DOCTYPE html>\n<title>404</title>\n",
        "\n  <html lang=en>\n",
        "<!-- proxy error --><HEAD>\n",
        '<?xml version="1.0"?>\n<error/>\n',
    ],
)
def test_web_page_is_no_list(tmp_path: Path, page: str) -> None:
    path = tmp_path / "list.txt"
    path.write_text(page)
    with pytest.raises(SourceError, match=r"list\.txt: it looks like a web page, not a list"):
        read_edition(Source("town", str(path)), tmp_path / "entries", taxonomy(), AT)


def test_web_page_in_a_folder_is_no_list(tmp_path: Path) -> None:
    folder = write_layout(tmp_path / "list", {"adult/domains": "a.example\n", "games/domains": "<html>\n"})
    with pytest.raises(SourceError, match="games/domains in it looks like a web page"):
        read_edition(Source("town", str(folder)), tmp_path / "entries", taxonomy(), AT)


def test_what_is_not_used_is_reported_with_the_reason(tmp_path: Path) -> None:
    files = {
        "gambling/domains": "cardroom.example\n",
        "gambling/expressions": "(poker)\n",
        "liste_bu/domains": "library.example\n",
        "hobby/cooking/domains": "pie.example\n",
    }
    folder = write_layout(tmp_path / "list", files)
    edition = read_edition(Source("ut1", str(folder)), tmp_path / "entries", taxonomy(), AT)
    assert edition.unused == {
        "liste_bu": "a list to allow, for French university libraries",
        "hobby/cooking": "no category of the town's",
    }
    assert edition.problems.count == 0


def test_category_given_for_a_whole_layout_makes_all_of_it_used(tmp_path: Path) -> None:
    folder = write_layout(tmp_path / "list", {"odd/domains": "a.example\n"})
    edition = read_edition(Source("x", str(folder), "malware"), tmp_path / "entries", taxonomy(), AT)
    assert edition.unused == {}
    assert edition.source.category == "malware"


def test_starter_list_is_understood_whole(tmp_path: Path) -> None:
    edition = read_edition(starter_source(), tmp_path / "entries", taxonomy(), AT)
    assert edition.problems.first == []
    assert edition.unused == {}
    assert edition.source.count > 1000


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("easylist.hosts.txt", 86_674),
        ("easylist.domains.txt", 86_674),
        ("someonewhocares.wildcard.txt", 7_937),
        ("urlhaus-filter-hosts.txt", 2_689),
        ("urlhaus-filter-dnscrypt-blocked-ips.txt", 23_079),
        ("disposable_email_blocklist.conf", 8_335),
    ],
)
def test_lists_of_others_are_understood_to_the_last_line(
    tmp_path: Path, test_data: TestData, name: str, count: int
) -> None:
    source = Source("town", str(test_data("formats") / name))
    edition = read_edition(source, tmp_path / "entries", taxonomy(), AT)
    assert (edition.source.count, edition.problems.count) == (count, 0)
