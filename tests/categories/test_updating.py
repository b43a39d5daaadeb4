"""Updating: what is good comes into force, what is not changes nothing."""

import fcntl
import gzip
import io
import os
import shutil
import tarfile
from collections.abc import Iterable, Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from categories.publishing import CurrentSnapshot
from categories.snapshot import CategorySnapshot
from categories.sources import KeptSources, Source
from categories.updating import Force, SourceReport, UpdateError, UpdateReport, update
from tests.categories.list_server import Answer, answer, edition, serving
from tests.categories.lists import AT, write_layout
from tests.real_data import TestData


class _Town:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.kept = root / "kept"
        self.published = root / "published"

    def write(self, name: str, *hosts: str) -> Source:
        """Write a plain list and return it as a source of that name."""
        path = self.root / f"{name}.txt"
        path.write_text("".join(f"{host}\n" for host in hosts))
        return Source(name, str(path))

    def update(self, *sources: Source, remove: Iterable[str] = ()) -> UpdateReport:
        return update(sources, self.kept, self.published, AT, tuple(remove))

    def report(self, *sources: Source) -> SourceReport:
        """Update from sources and return what became of the first."""
        return next(r for r in self.update(*sources).sources if r.name == sources[0].name)

    @property
    def snapshot(self) -> CategorySnapshot:
        return CurrentSnapshot(self.published).snapshot

    def lists(self, host: str) -> bool:
        return bool(self.snapshot.lookup(host))


@pytest.fixture
def town(tmp_path: Path) -> _Town:
    return _Town(tmp_path)


def _hosts(count: int, of: str = "site") -> list[str]:
    return [f"{of}{number}.example" for number in range(count)]


def test_update_puts_new_entries_into_force_and_says_what_changed(town: _Town) -> None:
    first = town.report(town.write("gambling", "a.example", "b.example"))
    assert (first.category, first.entries, first.added, first.removed) == ("gambling", 2, 2, 0)
    second = town.report(town.write("gambling", "b.example", "c.example", "d.example"))
    assert (second.entries, second.added, second.removed) == (3, 2, 1)
    assert town.lists("d.example")
    assert not town.lists("a.example")


def test_updating_one_source_keeps_the_others(town: _Town) -> None:
    town.update(town.write("gambling", "a.example"), town.write("games", "b.example"))
    report = town.update(town.write("games", "c.example"))
    by_name = {source.name: source for source in report.sources}
    assert (by_name["gambling"].entries, by_name["gambling"].added) == (1, 0)
    assert [town.lists(f"{name}.example") for name in "abc"] == [True, False, True]


def test_starter_list_is_there_until_it_is_removed(town: _Town) -> None:
    town.update(town.write("gambling", "a.example"))
    assert town.lists("pokerstars.com")
    report = town.update(remove=["starter"])
    assert {source.name: source.entries for source in report.sources} == {"gambling": 1, "starter": 0}
    assert not town.lists("pokerstars.com")
    town.update(town.write("gambling", "a.example"))
    assert not town.lists("pokerstars.com")


def test_update_without_sources_reads_all_that_are_known_again(town: _Town) -> None:
    town.update(Source("corporate", town.write("list", "a.example").location, "malware"))
    town.write("list", "a.example", "b.example")
    report = town.update()
    assert {source.name for source in report.sources} == {"corporate", "starter"}
    assert [match.category for match in town.snapshot.lookup("b.example")] == ["malware"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<html><body>404 Not Found</body></html>", "looks like a web page, not a list"),
        ("", "it is empty: no entries in it"),
        ("# nothing but a comment\n", "it is empty: no entries in it"),
        ("site0.example\n" * 49, "it shrank to under half: 49 entries, 100 before"),
        ("".join(f"site{n}.example\n" for n in range(90)) + "site9", "it is cut"),
        ('{"error": "quota"}\n{"retry": 60}\n', "not a list that can be read here"),
        ("one line that is no name\n" * 60 + "site.example\n" * 51, "not a list that can be read here"),
    ],
)
def test_bad_edition_is_refused_and_the_last_good_one_stays(town: _Town, text: str, message: str) -> None:
    source = town.write("gambling", *_hosts(100))
    before = town.update(source)
    Path(source.location).write_text(text)
    after = town.update(source)
    refused = next(report for report in after.sources if report.refused)
    assert message in str(refused.refused)
    assert (refused.entries, refused.removed) == (100, 0)
    assert after.version == before.version
    assert town.lists("site99.example")


def test_refused_source_does_not_stop_the_others(town: _Town) -> None:
    town.update(town.write("gambling", "a.example"), town.write("games", "b.example"))
    report = town.update(town.write("gambling"), town.write("games", "c.example"))
    assert {source.name: bool(source.refused) for source in report.sources} == {
        "gambling": True,
        "games": False,
        "starter": False,
    }
    assert town.lists("a.example")
    assert town.lists("c.example")


def test_snapshot_is_not_dated_anew_when_every_source_was_refused(town: _Town) -> None:
    town.update(town.write("gambling", "a.example"))
    pointer = (town.published / "current.json").read_bytes()
    update([town.write("gambling")], town.kept, town.published, AT.replace(year=2027))
    assert (town.published / "current.json").read_bytes() == pointer


def test_source_refused_at_the_first_update_leaves_the_starter_list(town: _Town) -> None:
    report = town.update(town.write("gambling"))
    assert [source.name for source in report.sources if source.refused] == ["gambling"]
    assert town.lists("cardroom.example")


def test_list_is_fetched_from_a_server_that_it_names_by_address(town: _Town) -> None:
    with serving({"/list": answer(b"a.example\n")}) as server:
        town.update(Source("gambling", server.url("/list")))
        assert town.lists("a.example")


def test_fetched_list_is_spoken_of_by_its_address(town: _Town) -> None:
    with serving(
        {"/a.txt": answer(b"<html>"), "/b.txt": answer(b"b.example\n?\n"), "/c.gz": answer(b"\x1f\x8b")}
    ) as server:
        page, good, cut = (
            Source(f"s{n}", server.url(path)) for n, path in enumerate(("/a.txt", "/b.txt", "/c.gz"))
        )
        reports = {report.name: report for report in town.update(page, good, cut).sources}
    assert reports["s0"].refused == f"{page.location}: it looks like a web page, not a list"
    assert str(reports["s1"].problems.first[0]).startswith("b.txt:2:1: ")
    assert str(reports["s2"].refused).startswith(f"{cut.location}: cut or damaged")


def test_list_that_cannot_be_fetched_is_refused_with_the_reason(town: _Town) -> None:
    with serving(
        {"/list": answer(b"a.example\n" * 99, Content_Length="5000"), "/no": answer(status=503)}
    ) as server:
        assert "the server answered 503" in str(town.report(Source("games", server.url("/no"))).refused)
        cut = town.report(Source("gambling", server.url("/list"))).refused
    assert "without sending complete message body" in str(cut)
    kept = {path.name for path in town.kept.iterdir() if not path.name.endswith(".check.json")}
    assert kept == {"lock", "starter.entries"}


def test_edition_that_the_server_says_is_still_the_newest_is_not_fetched_and_counts_as_fresh(
    town: _Town,
) -> None:
    with serving({"/list": edition(b"a.example\n", etag='"one"')}) as server:
        source = Source("gambling", server.url("/list"))
        first = town.update(source)
        later = update((), town.kept, town.published, AT + timedelta(days=3))
        (report,) = (report for report in later.sources if report.name == "gambling")
        assert (report.is_unchanged, report.refused, report.entries) == (True, None, 1)
        assert later.version == first.version
        check = KeptSources(town.kept).check("gambling")
        assert check is not None
        assert check.good_at == AT + timedelta(days=3)
        server.answers = {"/list": edition(b"b.example\n", etag='"two"')}
        town.update()
        assert town.lists("b.example")
        assert server.conditions == [(None, None), ('"one"', None), ('"one"', None)]


def test_refused_edition_is_asked_for_again_in_whole(town: _Town) -> None:
    with serving({"/list": edition(b"a.example\n", etag='"good"')}) as server:
        source = Source("gambling", server.url("/list"))
        town.update(source)
        server.answers = {"/list": edition(b"<html>", etag='"bad"')}
        assert town.report(source).refused
        assert town.report(source).refused
        assert server.conditions[1:] == [('"good"', None)] * 2


def test_age_of_a_source_counts_from_its_last_good_update(town: _Town) -> None:
    source = town.write("gambling", "a.example")
    town.update(source)
    Path(source.location).write_text("")
    for days in (1, 2):
        update([source], town.kept, town.published, AT + timedelta(days=days))
    check = KeptSources(town.kept).check("gambling")
    assert check is not None
    assert (check.good_at, check.tried_at) == (AT, AT + timedelta(days=2))
    assert (check.failures, check.refused) == (2, f"{source.location}: it is empty: no entries in it")
    town.write("gambling", "b.example")
    town.update(source)
    check = KeptSources(town.kept).check("gambling")
    assert check is not None
    assert (check.good_at, check.failures, check.refused) == (AT, 0, None)


@pytest.mark.parametrize("changed", ["location", "category", "entries"])
def test_whole_list_is_fetched_when_what_is_here_is_not_what_the_server_means(
    town: _Town, changed: str
) -> None:
    page = edition(b"a.example\n", etag='"one"')
    with serving({"/list": page, "/other": page}) as server:
        town.update(Source("list", server.url("/list"), "gambling"))
        match changed:
            case "location":
                town.update(Source("list", server.url("/other"), "gambling"))
            case "category":
                town.update(Source("list", server.url("/list"), "games"))
            case "entries":
                (town.kept / "list.entries").write_bytes(b"damaged")
                town.update(Source("list", server.url("/list"), "gambling"))
        assert server.conditions == [(None, None)] * 2
        assert town.lists("a.example")


def test_configured_sources_are_fetched_beside_those_that_are_known(town: _Town) -> None:
    town.update(town.write("games", "a.example"), town.write("gambling", "b.example"))
    moved = Source("gambling", town.write("moved", "c.example").location)
    report = update((), town.kept, town.published, AT, configured=[moved])
    assert {source.name for source in report.sources} == {"games", "gambling", "starter"}
    assert [town.lists(f"{name}.example") for name in "abc"] == [True, False, True]


def test_source_that_never_succeeded_can_be_removed(town: _Town) -> None:
    town.update(town.write("gambling"))
    town.update(remove=["gambling"])
    assert KeptSources(town.kept).tried() == ["starter"]


def test_update_that_brings_nothing_new_compiles_nothing(town: _Town) -> None:
    said: list[str] = []
    source = town.write("gambling", "a.example")
    town.update(source)
    folder = town.published / town.snapshot.version
    made = {path: path.stat().st_ino for path in folder.iterdir()}
    later = AT + timedelta(days=1)
    update([source], town.kept, town.published, later, watch=lambda *now: said.append(now[0]))
    assert {path: path.stat().st_ino for path in folder.iterdir()} == made
    assert town.snapshot.built_at == later
    assert said == ["gambling: reading", "compiling"]


_HUNDRED = "".join(f"site{number}.example\n" for number in range(100)).encode()


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (
            answer(_HUNDRED, Content_Length=str(len(_HUNDRED) - 20)),
            "it is cut: it ends in the middle of a line",
        ),
        (answer(_HUNDRED, Content_Length=str(len(_HUNDRED) + 5)), "without sending complete message body"),
        (answer(gzip.compress(b"a.example\n" * 3_000_000)), "unpacks to more than a list can be"),
        (answer(status=304), "the server answered 304"),
        (answer(status=302, Location="/list"), "over 5 redirects; not followed further"),
    ],
    ids=["shorter", "longer", "bomb", "not modified", "redirect loop"],
)
def test_hostile_server_changes_nothing(town: _Town, reply: Answer, message: str) -> None:
    with serving({"/list": answer(_HUNDRED)}) as server:
        source = Source("gambling", server.url("/list"))
        town.update(source)
        server.answers = {"/list": reply}
        assert message in str(town.report(source).refused)
    assert town.lists("site99.example")
    assert not list(town.kept.glob("*.unfinished"))


def test_archive_cut_on_its_way_never_replaces_the_last_good_one(town: _Town) -> None:
    folder = write_layout(town.root / "ut1", {"blacklists/gambling/domains": "\n".join(_hosts(5000)) + "\n"})
    path = town.root / "ut1.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        archive.add(folder / "blacklists", "blacklists")
    source = Source("ut1", str(path))
    assert town.report(source).entries == 5000
    os.truncate(path, path.stat().st_size // 2)
    assert "cut or damaged" in str(town.report(source).refused)
    assert town.lists("site4999.example")


def test_two_updates_at_once_are_refused(town: _Town) -> None:
    town.update(town.write("gambling", "a.example"))
    with (town.kept / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(UpdateError, match="another update is running; try again when it has ended"):
            town.update(town.write("gambling", "b.example"))
    assert town.lists("a.example")


def test_what_makes_no_sense_is_said_and_changes_nothing(town: _Town) -> None:
    source = town.write("gambling", "a.example")
    town.update(source)
    with pytest.raises(UpdateError, match="source 'gambling' is named twice; nothing was changed"):
        town.update(source, source)
    with pytest.raises(UpdateError, match="there is no source 'gamblin' to remove; nothing was changed"):
        town.update(remove=["gamblin"])
    assert town.lists("a.example")


def test_damaged_kept_entries_are_said_and_can_be_fetched_again(town: _Town) -> None:
    source = town.write("gambling", "a.example")
    town.update(source)
    os.truncate(town.kept / "gambling.entries", 10)
    with pytest.raises(
        UpdateError, match=r"gambling\.entries: not a file of entries; fetch the source again"
    ):
        town.update(town.write("games", "b.example"))
    town.update(source)
    assert town.lists("a.example")


def test_folder_that_cannot_be_written_to_is_said(town: _Town) -> None:
    town.kept.write_text("in the way")
    with pytest.raises(UpdateError, match="kept: File exists; what was published before stays in force"):
        town.update(town.write("gambling", "a.example"))


def test_published_snapshot_that_is_damaged_is_replaced(town: _Town) -> None:
    town.update(town.write("gambling", "a.example"))
    (town.published / "current.json").write_text("{")
    report = town.update(town.write("gambling", "b.example"))
    assert report.former is None
    assert town.lists("b.example")


def test_ut1_is_understood_and_its_smaller_categories_are_found(town: _Town, test_data: TestData) -> None:
    folder = town.root / "ut1"
    largest = shutil.ignore_patterns("adult", "s*_redirector")
    shutil.copytree(test_data("ut1") / "blacklists", folder, ignore=largest)
    report = town.report(Source("ut1", str(folder)))
    assert report.refused is None
    assert report.entries > 400_000
    assert {problem.reason for problem in report.problems.first} == {
        "names a query, which is never looked at"
    }
    for host, category in {
        "www.pokerstars.com": "gambling",
        "secure.chase.com": "banks",
        "lemonde.fr": "press",
        "m.tinder.com": "dating",
    }.items():
        assert category in {match.category for match in town.snapshot.lookup(host) if match.source == "ut1"}


def test_ut1_is_fetched_as_an_archive_and_then_asked_for_only_another_edition(
    town: _Town, test_data: TestData
) -> None:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as archive:
        for category in ("gambling", "malware", "phishing"):
            archive.add(test_data("ut1") / "blacklists" / category, f"blacklists/{category}")
    with serving({"/blacklists.tar.gz": edition(data.getvalue(), etag='"d1"')}) as server:
        source = Source("ut1", server.url("/blacklists.tar.gz"))
        assert town.report(source).entries > 200_000
        assert town.snapshot.lookup("www.pokerstars.com")[0].category == "gambling"
        before = town.snapshot.version
        assert town.report(source).is_unchanged
        assert town.snapshot.version == before
        assert server.conditions == [(None, None), ('"d1"', None)]


def test_list_that_calls_a_known_site_harmful_is_refused_until_it_is_forced(town: _Town) -> None:
    town.update(town.write("phishing", "a.example"))
    bad = town.write("phishing", "a.example", "qualys.com")
    refused = town.report(bad)
    assert refused.refused == f"{bad.location}: it lists qualys.com as phishing"
    assert refused.doubts == ("it lists qualys.com as phishing",)
    assert not town.lists("qualys.com")

    told: list[tuple[str, tuple[str, ...]]] = []
    force = Force(["phishing"], lambda name, doubts: told.append((name, tuple(doubts))))
    report = update([bad], town.kept, town.published, AT, force=force)
    forced = next(source for source in report.sources if source.name == "phishing")
    assert (forced.refused, forced.entries, forced.doubts) == (None, 2, refused.doubts)
    assert told == [("phishing", refused.doubts)]
    assert town.lists("qualys.com")
    # What somebody accepted is no reason to refuse the next edition.
    assert town.report(town.write("phishing", "qualys.com", "b.example", "c.example")).refused is None


def test_what_cannot_be_put_on_record_is_not_forced(town: _Town) -> None:
    town.update(town.write("phishing", "a.example"))

    def full(_name: str, _doubts: Sequence[str]) -> None:
        raise OSError(28, "No space left on device")

    bad = town.write("phishing", "qualys.com")
    with pytest.raises(UpdateError, match="No space left on device; what was published before stays"):
        update([bad], town.kept, town.published, AT, force=Force(["phishing"], full))
    assert not town.lists("qualys.com")
    town.update(town.write("games", "b.example"))
    assert not town.lists("qualys.com")


@pytest.mark.parametrize("text", ["", "<html><body>404 Not Found</body></html>", "no name\n" * 9])
def test_what_is_no_list_cannot_be_forced(town: _Town, text: str) -> None:
    source = town.write("gambling", "a.example")
    town.update(source)
    Path(source.location).write_text(text)
    report = update([source], town.kept, town.published, AT, force=Force(["gambling"]))
    assert [source.name for source in report.sources if source.refused] == ["gambling"]
    assert town.lists("a.example")


def test_source_that_is_not_updated_cannot_be_forced(town: _Town) -> None:
    source = town.write("gambling", "a.example")
    with pytest.raises(UpdateError, match="'games' is not updated, so it cannot be forced"):
        update([source], town.kept, town.published, AT, force=Force(["games"]))
    assert not town.published.joinpath("current.json").exists()
