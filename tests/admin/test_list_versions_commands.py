"""`towngate categories diff` and `rollback`: what an update would change, and the way back."""

import asyncio
import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from admin.clock import utc_now
from admin.command import cli
from admin.database import Database
from admin.ingest import Ingest
from admin.state_folder import StateFolder
from categories.publishing import CurrentSnapshot, is_held
from policy.correction import Correction
from policy.decision import Cause, Lane, Verdict
from tests.admin.small_town import visit_record
from tests.categories.lists import write_layout
from tests.published_town import PublishedTown
from tests.towns import DOCUMENT

type Towngate = Callable[..., Result]

BECAUSE = ("--because", "A drill")


@pytest.fixture
def town(tmp_path: Path) -> PublishedTown:
    """Return a town whose only lists are the starter's, that ran once."""
    town = PublishedTown(tmp_path / "state")
    shutil.rmtree(town.state.categories)
    town.state.create()
    _visited(town.state)
    return town


@pytest.fixture
def towngate(town: PublishedTown) -> Towngate:
    def call(*arguments: str) -> Result:
        return CliRunner().invoke(cli, ["categories", *arguments, "--state", str(town.state.root)])

    return call


def _visited(state: StateFolder, *visits: dict[str, Any]) -> None:
    """Fill the visit log."""
    at = utc_now() - timedelta(days=1)
    fine = {"verdict": Verdict.ALLOW, "lane": Lane.TUNNEL, "cause": Cause.DEFAULT, "rule": None}
    lines = [
        visit_record(**{"started_at": at, "ended_at": at, "category": None, "entry": None, **fine, **each})
        for each in visits
    ]
    (state.spool / "1.visits").write_bytes(b"".join(line.to_line() for line in lines))

    async def take_in() -> None:
        async with Database.open(state.database) as db:
            await Ingest(db, state.spool, utc_now).take_in()

    asyncio.run(take_in())


def _source(path: Path, *names: str) -> tuple[str, str]:
    path.write_text("".join(f"{name}\n" for name in names))
    return "--source", f"{path.stem}={path}"


def _files(folder: Path) -> dict[Path, tuple[int, int]]:
    return {
        path: (path.stat().st_ino, path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file() and path.name != "lock"
    }


def _events(state: StateFolder, kind: str) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(state.database)) as db:
        return [
            {"subject": subject, **json.loads(details)}
            for subject, details in db.execute("SELECT subject, details FROM event WHERE kind = ?", [kind])
        ]


def test_diff_says_what_comes_and_goes_and_whose_visits_would_change(
    towngate: Towngate, town: PublishedTown, tmp_path: Path
) -> None:
    assert towngate("update", *_source(tmp_path / "gambling.txt", "a.example", "gone.example")).exit_code == 0
    parks = {"person": "parks-head", "device": None, "department": "parks", "address": "10.10.40.7"}
    _visited(
        town.state,
        {"host": "www.new.example"},
        {"host": "www.new.example"},
        {"host": "www.new.example"} | parks,
        {"host": "gone.example", "verdict": Verdict.BLOCK},
        {"host": "a.example"},
        {"host": "old.new.example", "started_at": utc_now() - timedelta(days=31)},
    )
    kept = _files(town.state.category_sources)
    published = _files(town.state.categories)
    sources = _source(tmp_path / "gambling.txt", "a.example", "new.example")

    result = towngate("diff", *sources)
    assert result.exit_code == 0
    lines = [" ".join(line.split()) for line in result.output.splitlines()]
    assert "gambling gambling 1 1" in lines
    assert "1 names more, 1 fewer. 2 sites visited in 30 days would change." in lines
    assert "www.new.example: allow -> block for finance, parks (3 visits); not listed -> Gambling" in lines
    assert "gone.example: block -> allow for finance (1 visits); Gambling -> not listed" in lines
    assert "clerk" not in result.output

    answer = json.loads(towngate("diff", "--json", *sources).output)
    assert answer["changes"] == [{"category": "gambling", "source": "gambling", "added": 1, "removed": 1}]
    assert [(one["host"], one["departments"], one["visits"]) for one in answer["visited"]] == [
        ("www.new.example", ["finance", "parks"], 3),
        ("gone.example", ["finance"], 1),
    ]
    assert (_files(town.state.category_sources), _files(town.state.categories)) == (kept, published)


def test_diff_says_which_sites_would_be_opened(
    towngate: Towngate, town: PublishedTown, tmp_path: Path
) -> None:
    document = DOCUMENT.replace("action: block\n", "action: block\n    inspect: urls\n", 1)
    town.publish_policy(document)
    assert towngate("update", *_source(tmp_path / "gambling.txt", "a.example")).exit_code == 0
    _visited(town.state, {"host": "blog.example"}, {"host": "a.example"})
    pages = write_layout(tmp_path / "pages", {"gambling/urls": "blog.example/casino\n"})
    result = towngate("diff", "--source", f"pages={pages}")
    assert result.exit_code == 0, result.output
    lines = [" ".join(line.split()) for line in result.output.splitlines()]
    assert "blog.example: allow -> allow, checked inside for finance (1 visits); Blogs -> Blogs" in lines
    answer = json.loads(towngate("diff", "--source", f"pages={pages}", "--json").output)
    (one,) = answer["visited"]
    assert (one["is_opened_before"], one["is_opened_after"]) == (False, True)


def test_update_and_diff_say_how_many_hosts_with_listed_urls_would_be_opened(
    towngate: Towngate, town: PublishedTown, tmp_path: Path
) -> None:
    never = "never_inspect: {sites: [bank.example]}\nrules:\n"
    document = DOCUMENT.replace("action: block\n", "action: block\n    inspect: urls\n", 1)
    town.publish_policy(document.replace("rules:\n", never, 1))
    urls = "a1.example/casino\na2.example/x\na2.example/y\nbank.example/casino\n"
    source = ("--source", f"pages={write_layout(tmp_path / 'pages', {'gambling/urls': urls})}")
    # The starter list has games on one more host.
    for verb in ("diff", "update"):
        lines = towngate(verb, *source).output.splitlines()
        assert "Of 4 hosts with URLs that the policy looks for it would open 3." in lines
        assert "  not-town-business: 3, like a1.example, a2.example, facebook.com" in lines
        answer = json.loads(towngate(verb, *source, "--json").output)
        assert answer["url_entries"] == {
            "hosts": 4,
            "allowed_before": [],
            "would_open": [
                {
                    "rule": "not-town-business",
                    "count": 3,
                    "first": ["a1.example", "a2.example", "facebook.com"],
                }
            ],
        }
    town.publish_policy(DOCUMENT)
    assert json.loads(towngate("update", "--json").output)["url_entries"] is None


def test_what_the_town_corrected_does_not_change(
    towngate: Towngate, town: PublishedTown, tmp_path: Path
) -> None:
    towngate("update", *_source(tmp_path / "gambling.txt", "a.example"))
    town.publish_policy(corrections=[Correction("new.example", ("reference",))])
    _visited(town.state, {"host": "new.example"})
    answer = towngate("diff", *_source(tmp_path / "gambling.txt", "new.example"), "--json")
    assert json.loads(answer.output)["visited"] == []


def test_diff_of_a_list_that_would_be_refused_exits_with_1(towngate: Towngate, tmp_path: Path) -> None:
    towngate("update", *_source(tmp_path / "gambling.txt", "a.example"))
    result = towngate("diff", *_source(tmp_path / "gambling.txt"))
    assert result.exit_code == 1
    assert "it is empty: no entries in it" in result.output
    assert "Nothing would change." in result.output


def test_diff_that_was_killed_is_cleaned_up_by_the_next_one(
    towngate: Towngate, town: PublishedTown, tmp_path: Path
) -> None:
    towngate("update", *_source(tmp_path / "gambling.txt", "a.example"))
    left_behind = town.state.category_sources / "trial-1"
    (left_behind / "kept").mkdir(parents=True)
    assert towngate("diff").exit_code == 0
    assert not left_behind.exists()


def test_rollback_puts_the_lists_of_before_into_force_until_it_is_ended(
    towngate: Towngate, town: PublishedTown, tmp_path: Path
) -> None:
    towngate("update", *_source(tmp_path / "gambling.txt", "a.example"))
    reader = CurrentSnapshot(town.state.categories)
    good = reader.snapshot.version
    towngate("update", *_source(tmp_path / "gambling.txt", "b.example"))
    bad = CurrentSnapshot(town.state.categories).snapshot.version
    assert towngate("rollback").exit_code == 2

    result = towngate("rollback", *BECAUSE)
    assert result.exit_code == 0
    assert result.output.startswith(f"Snapshot {good} of ")
    assert f"kept: {bad}" in result.output
    assert reader.changed()
    assert reader.load()
    assert reader.snapshot.version == good
    assert _events(town.state, "lists.rolled_back") == [{"subject": good, "former": bad, "why": "A drill"}]

    # Updates fetch, and publish nothing.
    held = towngate("update", *_source(tmp_path / "gambling.txt", "c.example"))
    assert held.exit_code == 0
    assert "It was gone back to" in held.output
    assert CurrentSnapshot(town.state.categories).snapshot.version == good
    diff = json.loads(towngate("diff", "--json").output)
    assert [(one["added"], one["removed"]) for one in diff["changes"]] == [(1, 1)]

    assert towngate("rollback", "--end", *BECAUSE).exit_code == 0
    assert _events(town.state, "lists.released") == [{"subject": good, "why": "A drill"}]
    assert not is_held(town.state.categories)
    towngate("update")
    assert CurrentSnapshot(town.state.categories).snapshot.lookup("c.example")


def test_rollback_to_a_version_and_further_back(
    towngate: Towngate, town: PublishedTown, tmp_path: Path
) -> None:
    made = []
    for name in "abcde":
        towngate("update", *_source(tmp_path / "gambling.txt", f"{name}.example"))
        made.append(CurrentSnapshot(town.state.categories).snapshot.version)
    listed = json.loads(towngate("rollback", "--list", "--json").output)
    assert (listed["snapshot"], listed["is_held"]) == (made[4], False)
    assert [one["snapshot"] for one in listed["former"]] == [made[3], made[2], made[1]]
    assert {path.name for path in town.state.categories.iterdir() if path.is_dir()} == set(made[1:])

    for version, expected in ((None, made[3]), (None, made[2]), (made[4], made[4]), (made[1], made[1])):
        arguments = () if version is None else (version,)
        result = json.loads(towngate("rollback", *arguments, *BECAUSE, "--json").output)
        assert (result["snapshot"], result["is_held"]) == (expected, True)
        assert {one["snapshot"] for one in result["former"]} == set(made[1:]) - {expected}
    assert towngate("rollback", *BECAUSE).output == (
        "Error: no lists of before the ones in force are kept; nothing was changed\n"
    )
    refused = towngate("rollback", made[0], *BECAUSE)
    assert refused.exit_code == 2
    assert f"'{made[0]}' is not kept, or in force already; kept: " in refused.output


def test_rollback_to_lists_that_were_altered_is_refused_and_not_recorded(
    towngate: Towngate, town: PublishedTown, tmp_path: Path
) -> None:
    towngate("update", *_source(tmp_path / "gambling.txt", "a.example"))
    good = CurrentSnapshot(town.state.categories).snapshot.folder
    towngate("update", *_source(tmp_path / "gambling.txt", "b.example"))
    current = CurrentSnapshot(town.state.categories).snapshot.version
    trie = good / "names.trie"
    trie.write_bytes(trie.read_bytes()[:-1])
    result = towngate("rollback", *BECAUSE)
    assert result.exit_code == 2
    assert "cut or altered" in result.output
    assert CurrentSnapshot(town.state.categories).snapshot.version == current
    assert _events(town.state, "lists.rolled_back") == []
    assert towngate("rollback", "--end", *BECAUSE).exit_code == 2


def test_unlisted_sites_are_shown_by_use_with_the_other_names_of_theirs(
    towngate: Towngate, town: PublishedTown, tmp_path: Path
) -> None:
    towngate("update", *_source(tmp_path / "gambling.txt", "play.new.example", "a.example"))
    town.publish_policy()
    day = utc_now() - timedelta(days=3)
    _visited(
        town.state,
        {"host": "cdn.new.example"},
        *({"host": "www.new.example", "person": f"clerk-{n}"} for n in range(3)),
        {"host": "www.new.example", "started_at": utc_now() - timedelta(days=40)},
        {"host": "play.new.example"},
        {"host": "a.example"},
        {"host": "192.0.2.7", "started_at": day, "ended_at": day},
        {"host": "old.example", "started_at": utc_now() - timedelta(days=40)},
    )
    first, second = map(json.loads, towngate("unlisted", "--json").output.splitlines())
    assert first | {"first_seen_at": None} == {
        "site": "new.example",
        "hosts": ["www.new.example", "cdn.new.example"],
        "listed_hosts": ["play.new.example"],
        "visits": 4,
        "people": 3,
        "first_seen_at": None,
        "looks_like": None,
    }
    assert first["first_seen_at"] < (utc_now() - timedelta(days=39)).isoformat()
    assert (second["site"], second["people"]) == ("192.0.2.7", "under 3")
    (line,) = towngate("unlisted", "--limit", "1").output.splitlines()
    assert line.startswith("new.example: 4 visits, 3 people, first seen ")
    assert line.endswith("; www.new.example, cdn.new.example; listed: play.new.example")
    told = towngate("unlisted").output
    assert "192.0.2.7: 1 visit, under 3 people" in told and "clerk-1" not in told


def test_unlisted_site_that_looks_like_a_well_known_one_is_said_to(
    towngate: Towngate, town: PublishedTown, tmp_path: Path
) -> None:
    towngate("update", *_source(tmp_path / "gambling.txt", "a.example"))
    town.publish_policy()
    _visited(town.state, {"host": "www.paypa1.example"}, {"host": "townbenk.example"})
    assert "; looks like paypal.com\n" in towngate("unlisted").output
    assert "townbank" not in towngate("unlisted").output
    ranked = tmp_path / "top.csv"
    ranked.write_text("1,www.townbank.example\n")
    answers = map(json.loads, towngate("unlisted", "--json", "--well-known", str(ranked)).output.splitlines())
    assert {each["site"]: each["looks_like"] for each in answers} == {
        "paypa1.example": "paypal.com",
        "townbenk.example": "townbank.example",
    }
