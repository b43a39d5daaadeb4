"""`towngate categories`: what IT reads in a terminal, and what a script gets."""

import asyncio
import json
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from admin.command import cli
from admin.database import Database
from admin.state_folder import StateFolder

type Towngate = Callable[..., Result]


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def towngate(state: Path) -> Towngate:
    def call(*arguments: str, text: str | None = None) -> Result:
        return CliRunner().invoke(cli, ["categories", *arguments, "--state", str(state)], input=text)

    return call


def _list(path: Path, *names: str) -> str:
    path.write_text("".join(f"{name}\n" for name in names))
    return str(path)


def test_lookup_says_what_a_name_is_listed_as(towngate: Towngate) -> None:
    result = towngate("lookup", "www.pokerstars.com", "nobody.example", "http://linkedin.com/jobs/7?x")
    assert result.exit_code == 0
    assert result.output.splitlines() == [
        "www.pokerstars.com: Gambling (gambling), by pokerstars.com in starter",
        "nobody.example: not listed",
        "http://linkedin.com/jobs/7?x: Jobs (job_search), by linkedin.com/jobs in starter; "
        "Social networks (social_networks), by linkedin.com in starter",
    ]


def test_lookup_gives_a_script_one_object_a_line(towngate: Towngate, tmp_path: Path) -> None:
    towngate("update", "--source", f"town:adult={_list(tmp_path / 'list.txt', 'bets.cardroom.example')}")
    result = towngate("lookup", "--json", "-", text="a.bets.cardroom.example\n\n  Nobody.Example.\n")
    assert result.exit_code == 0
    first, second = map(json.loads, result.output.splitlines())
    assert first == {
        "name": "a.bets.cardroom.example",
        "categories": [
            {"id": "adult", "entry": "bets.cardroom.example", "source": "town"},
            {"id": "gambling", "entry": "cardroom.example", "source": "starter"},
        ],
        "snapshot": first["snapshot"],
    }
    assert second == {"name": "Nobody.Example.", "categories": [], "snapshot": first["snapshot"]}


def test_lookup_of_what_is_no_name_says_so_and_goes_on(towngate: Towngate) -> None:
    result = towngate("lookup", "--json", "card room", "cardroom.example")
    assert result.exit_code == 1
    first, second = map(json.loads, result.output.splitlines())
    assert first["error"] == "'card room' is not a host name: it holds ' '"
    assert first["categories"] == []
    assert second["categories"][0]["id"] == "gambling"
    assert (
        towngate("lookup", "card room").output == "card room: 'card room' is not a host name: it holds ' '\n"
    )


def test_a_hundred_thousand_names_are_looked_up_in_seconds(towngate: Towngate) -> None:
    names = "".join(f"host{number}.pokerstars.com\n" for number in range(100_000))
    started_at = time.process_time()
    result = towngate("lookup", "--json", "-", text=names)
    assert result.output.count("gambling") == 100_000
    assert time.process_time() - started_at < 30


def test_update_prints_what_it_did(towngate: Towngate, tmp_path: Path) -> None:
    source = f"gambling={_list(tmp_path / 'list.txt', 'a.example', 'b.example', 'no name')}"
    result = towngate("update", "--source", source)
    assert result.exit_code == 0
    lines = [" ".join(line.split()) for line in result.output.splitlines()]
    assert lines[0] == "Source Entries Added Removed"
    assert "gambling 2 2 0" in lines
    assert "gambling: 1 lines were not understood and are not used, like" in lines
    assert "list.txt:3:1: 'no name' is not a host name: it holds ' '" in lines
    assert lines[-1].endswith("is in force.")
    assert towngate("update").output.splitlines()[-1].endswith(", as before.")


def test_update_that_refuses_a_source_says_why_and_exits_with_1(towngate: Towngate, tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    towngate("update", "--source", f"gambling={_list(path, 'a.example')}")
    path.write_text("<!doctype html><title>Sign in</title>")
    other = _list(tmp_path / "other.txt", "b.example")
    result = towngate("update", "--source", f"gambling={path}", "--source", f"games={other}")
    assert result.exit_code == 1
    assert f"gambling refused: {path}: it looks like a web page, not a list; " in result.output
    assert "its 1 entry of before stays in force." in result.output
    assert "b.example" in towngate("lookup", "b.example").output


def test_update_gives_a_script_one_object(towngate: Towngate, tmp_path: Path) -> None:
    folder = tmp_path / "ut1" / "child"
    folder.mkdir(parents=True)
    _list(folder / "domains", "kids.example", "?")
    empty = _list(tmp_path / "empty.txt")
    result = towngate("update", "--json", "--source", f"ut1={folder.parent}", "--source", f"x={empty}")
    assert result.exit_code == 1
    report = json.loads(result.output)
    assert report["former_snapshot"] is None
    starter, ut1, x = report["sources"]
    assert starter["entries"] == starter["added"] > 1000
    assert ut1 | {"first_not_understood": None} == {
        "name": "ut1",
        "category": None,
        "entries": 0,
        "added": 0,
        "removed": 0,
        "refused": None,
        "doubts": [],
        "unchanged": False,
        "not_understood": 1,
        "first_not_understood": None,
        "unusable": 0,
        "first_unusable": [],
        "unused_categories": {
            "child": "a list to allow, for small children; says nothing about what a site is"
        },
    }
    assert ut1["first_not_understood"][0]["line"] == 2
    assert x["refused"] == f"{empty}: it is empty: no entries in it"


def test_lines_that_say_nothing_of_a_whole_site_are_shown_apart(towngate: Towngate, tmp_path: Path) -> None:
    path = _list(tmp_path / "rules.txt", "||ads.example^", "shop.example##.ad")
    lines = towngate("update", "--source", f"advertising={path}").output.splitlines()
    assert "advertising: 1 lines say nothing of a whole site, like" in lines
    assert "  rules.txt:2:1: is about parts of a page" in lines


def test_plain_list_without_a_category_says_where_it_went(towngate: Towngate, tmp_path: Path) -> None:
    path = _list(tmp_path / "list.txt", "a.example")
    said = "corporate: a plain list, and its name is no category, so what is in it is in town_list"
    assert said in towngate("update", "--source", f"corporate={path}").output
    assert "town_list" in towngate("lookup", "a.example").output
    assert said not in towngate("update", "--source", f"corporate:malware={path}").output


def test_removed_source_is_gone(towngate: Towngate, tmp_path: Path) -> None:
    towngate("update", "--source", f"games={_list(tmp_path / 'list.txt', 'a.example')}")
    result = towngate("update", "--remove", "games")
    assert result.exit_code == 0
    assert "games 0 0 1" in [" ".join(line.split()) for line in result.output.splitlines()]
    assert towngate("lookup", "a.example").output == "a.example: not listed\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--source", "ut1"], "'ut1': write NAME=PATH_OR_URL, like ut1=https://lists.example/ut1.tar.gz"),
        (["--source", "UT 1=x"], "'UT 1' is not a name for a source: use a to z, 0 to 9, '-' and '_'"),
        (["--source", "starter=x"], "'starter' is the list that ships with Towngate; choose another name"),
        (["--source", "x:gambing=y"], "'gambing' is not a category (nearest: 'gambling')"),
        (["--source", "x:qqqq=y"], "'qqqq' is not a category"),
        (["--remove", "games"], "there is no source 'games' to remove; nothing was changed"),
    ],
)
def test_update_that_makes_no_sense_is_an_error(
    towngate: Towngate, arguments: list[str], message: str
) -> None:
    result = towngate("update", *arguments)
    assert result.exit_code == 2
    assert message in result.output


def test_state_folder_that_cannot_be_made_is_an_error(towngate: Towngate, state: Path) -> None:
    state.write_text("in the way")
    result = towngate("update")
    assert result.exit_code == 2
    assert "File exists" in result.output


@pytest.mark.parametrize("command", ["update", "lookup", "correct"])
def test_help_has_an_example(towngate: Towngate, command: str) -> None:
    assert f"Example: towngate categories {command} " in " ".join(towngate(command, "--help").output.split())


def _make_database(state: Path) -> StateFolder:
    folder = StateFolder(state)
    folder.create()

    async def make() -> None:
        async with Database.open(folder.database):
            pass

    asyncio.run(make())
    return folder


def test_list_that_is_in_doubt_is_forced_with_a_reason_that_is_put_on_record(
    towngate: Towngate, tmp_path: Path, state: Path
) -> None:
    folder = _make_database(state)
    path = _list(tmp_path / "list.txt", "a.example", "google.com")
    source = f"bad:phishing={path}"
    refused = towngate("update", "--source", source)
    assert refused.exit_code == 1
    assert f"bad refused: {path}: it lists google.com as phishing; it has no entries" in refused.output
    assert "--force bad --because TEXT" in refused.output
    assert towngate("update", "--source", source, "--force", "bad").exit_code == 2
    assert (
        towngate("lookup", "google.com").output == "google.com: Search (search), by google.com in starter\n"
    )

    forced = towngate("update", "--source", source, "--force", "bad", "--because", "A drill of ours")
    assert forced.exit_code == 0
    assert "bad was forced, in spite of: it lists google.com as phishing." in forced.output
    assert "Phishing (phishing), by google.com in bad" in towngate("lookup", "google.com").output

    with closing(sqlite3.connect(folder.database)) as db:
        [(actor, subject, details)] = db.execute(
            "SELECT actor, subject, details FROM event WHERE kind = 'lists.forced'"
        )
    assert actor.endswith("at the command line")
    assert subject == "bad"
    assert json.loads(details) == {"doubts": ["it lists google.com as phishing"], "why": "A drill of ours"}


def test_lists_are_held_to_what_the_settings_say(towngate: Towngate, tmp_path: Path, state: Path) -> None:
    folder = _make_database(state)
    folder.settings_document.write_text(
        "lists: {never_listed: [town.example], canaries: {gambling: [casino.example]}}"
    )
    source = f"gambling={_list(tmp_path / 'list.txt', 'casino.example', 'b.example')}"
    assert towngate("update", "--source", source).exit_code == 0
    _list(tmp_path / "list.txt", "c.example", "d.example")
    assert "it no longer lists casino.example as gambling" in towngate("update", "--source", source).output
    vpn = f"vpn={_list(tmp_path / 'vpn.txt', 'town.example')}"
    assert "it lists town.example as vpn" in towngate("update", "--source", vpn).output
