"""`towngate explain`: the decision, and every step on the way to it."""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from admin.command import cli
from policy.state import Exemption
from policy.visit import Client
from tests.admin.counted_use import write_use
from tests.published_town import PublishedTown, policy_of
from tests.towns import DOCUMENT

MONDAY_TEN = ("--at", "2026-03-02 10:00")


@pytest.fixture
def town(tmp_path: Path) -> PublishedTown:
    return PublishedTown(tmp_path / "state")


@pytest.fixture
def explain(town: PublishedTown) -> Callable[..., Result]:
    def call(*arguments: str) -> Result:
        return CliRunner().invoke(cli, ["explain", *arguments, "--state", str(town.state.root)])

    return call


def test_each_step_is_shown_with_the_rule_that_decided(explain: Callable[..., Result]) -> None:
    result = explain("https://www.cardroom.example/", "--as", "clerk", *MONDAY_TEN)
    assert result.exit_code == 0
    lines = [line.rstrip() for line in result.output.replace("\u00a0", " ").splitlines()]
    assert lines[:2] == [
        "https://www.cardroom.example port 443, for clerk, FIN-PC-15, finance, on Mon, March 2, 10 AM",
        "cardroom.example is listed as gambling by test",
    ]
    assert "    rule lunch-time         the site is in none of its categories" in lines
    assert "->  rule not-town-business  cardroom.example is listed as gambling by test:" in lines
    assert "    default                 not reached" in lines
    assert lines[-4:-1] == [
        "Blocked by rule not-town-business",
        "because: Acceptable Use Policy, Prohibited Uses 5 and 18",
        "may be allowed by: department_head",
    ]


@pytest.mark.parametrize(
    ("arguments", "last"),
    [
        (("shop.example", "--as", "clerk", "--at", "2026-03-02 12:30"), "Allowed by rule lunch-time"),
        (("shop.example", "--as", "10.10.40.7", *MONDAY_TEN), "Blocked by rule not-town-business"),
        (("library.example", "--as", "192.0.2.1", *MONDAY_TEN), "Blocked by unknown client"),
        (("http://phish.example/x", "--as", "it", *MONDAY_TEN), "Blocked by rule security-risk"),
        (("https://library.example:8443", "--as", "clerk", *MONDAY_TEN), "Blocked by port"),
        (("library.example", "--as", "clerk"), "Allowed by default"),
    ],
)
def test_answer_is_the_decision_of_the_policy(
    explain: Callable[..., Result], arguments: tuple[str, ...], last: str
) -> None:
    result = explain(*arguments)
    assert result.exit_code == 0
    assert last in result.output.splitlines()


def test_site_that_another_one_shows_decides(explain: Callable[..., Result]) -> None:
    answer = explain("https://cardroom-example.translate.goog/", "--as", "clerk", *MONDAY_TEN).output
    assert "It shows cardroom.example:" in answer
    assert "Blocked by rule not-town-business" in answer.splitlines()


def test_exemptions_in_force_count(explain: Callable[..., Result], town: PublishedTown) -> None:
    now = datetime.now(UTC)
    granted = Exemption("EX-7", "cardroom.example", now, now + timedelta(hours=1), person="clerk")
    town.publish_policy(exemptions=[granted])
    assert "Allowed by exemption EX-7" in explain("cardroom.example", "--as", "clerk").output
    assert "Blocked by rule not-town-business" in explain("cardroom.example", "--as", "head").output


def test_rule_of_files_is_named_where_it_has_a_site_looked_into(
    explain: Callable[..., Result], town: PublishedTown
) -> None:
    rule = "rules:\n  - {id: no-programs, categories: [press], file_types: [executable], action: block}\n"
    town.publish_policy(DOCUMENT.replace("rules:\n", rule))
    lines = explain("https://news.example/", "--as", "clerk", *MONDAY_TEN).output.splitlines()
    assert lines[-4:-1] == [
        "Allowed by default",
        "It is looked into, for no-programs",
        "Files are stopped by rule no-programs: executable",
    ]
    assert any("downloads only: executable" in line for line in lines)


@pytest.mark.parametrize(
    ("url", "stopped_by"),
    [
        ("https://news.example/files/Setup.EXE?v=2", "no-programs"),
        ("http://news.example/Setup.EXE", "no-programs"),
        ("https://news.example/report.pdf", None),
        ("https://news.example/", None),
        ("https://library.example/Setup.EXE", None),
    ],
)
def test_file_by_the_name_in_the_address_is_said_to_be_stopped(
    explain: Callable[..., Result], town: PublishedTown, url: str, stopped_by: str | None
) -> None:
    rules = (
        "rules:\n"
        "  - {id: no-programs, categories: [press], file_types: [executable, script], action: block}\n"
        "  - {id: no-files, categories: [press], file_types: [executable, video], action: block}\n"
    )
    town.publish_policy(DOCUMENT.replace("rules:\n", rules))
    lines = explain(url, "--as", "clerk", *MONDAY_TEN).output.splitlines()
    is_news = "news.example" in url
    assert ("Files are stopped by rule no-files: video" in lines) is is_news
    said = "A file by the name of Setup.EXE is stopped, by rule no-programs: executable"
    assert (said in lines) is (stopped_by is not None)

    files = json.loads(explain(url, "--as", "clerk", *MONDAY_TEN, "--json").output)["files"]
    assert files["stopped_by"] == stopped_by
    assert files["stopped"] == (
        [
            {"rule": "no-programs", "types": ["executable", "script"]},
            {"rule": "no-files", "types": ["video"]},
        ]
        if is_news
        else []
    )


def test_json_holds_visit_decision_steps_and_versions(explain: Callable[..., Result]) -> None:
    answer = json.loads(explain("http://cardroom.example/a", "--as", "clerk", *MONDAY_TEN, "--json").output)
    assert answer["visit"]["client"]["device"] == "FIN-PC-15"
    assert (answer["visit"]["path"], answer["visit"]["at"]) == ("/a", "2026-03-02T15:00:00+00:00")
    assert answer["decision"]["verdict"] == "block"
    assert answer["decision"]["match"] == {
        "category": "gambling",
        "entry": "cardroom.example",
        "source": "test",
    }
    assert answer["visit"]["matches"] == [answer["decision"]["match"]]
    assert [step["what"] for step in answer["steps"] if step["is_hit"]] == ["rule not-town-business"]
    assert answer["policy"]
    assert answer["categories"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("a.example", "--as", "clark"),
            "'clark' is neither a person of the policy in force (nearest: 'clerk'), which leaves out",
        ),
        (("ftp://a.example", "--as", "clerk"), "'ftp://a.example': the gate judges http and https, not ftp"),
        (
            ("a.example", "--as", "clerk", "--at", "noon"),
            "'noon' is not a date and time; write it like \"2026-03-02 10:00\"",
        ),
    ],
)
def test_what_cannot_be_explained_says_why(
    explain: Callable[..., Result], arguments: tuple[str, ...], message: str
) -> None:
    result = explain(*arguments)
    assert result.exit_code == 2
    assert message in result.output


def test_before_anything_is_published_the_document_alone_explains(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text(DOCUMENT)
    arguments = ["explain", "cardroom.example", "--as", "clerk", *MONDAY_TEN, "--state", str(tmp_path)]
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 0
    assert f"Nothing was published yet; this is by {tmp_path / 'policy.yaml'} alone." in result.stderr
    assert "Blocked by rule not-town-business" in result.stdout
    assert "and the starter list" in result.stdout


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (None, "no policy was published in"),
        ("town: {}\n", "no policy was published, and"),
    ],
)
def test_without_a_policy_nothing_can_be_explained(
    tmp_path: Path, document: str | None, message: str
) -> None:
    if document is not None:
        (tmp_path / "policy.yaml").write_text(document)
    result = CliRunner().invoke(cli, ["explain", "a.example", "--as", "clerk", "--state", str(tmp_path)])
    assert result.exit_code == 2
    assert message in result.output


INSPECTING = DOCUMENT.replace(
    "rules:\n",
    "never_inspect: {sites: [bank.example]}\n"
    "rules:\n  - {id: inner-pages, categories: [hate], action: block, inspect: urls}\n",
    1,
)
URLS = {"hate": [("blog.example", "/hate"), ("bank.example", "/hate")]}


@pytest.mark.parametrize(
    ("address", "lines", "carried", "opened_for", "is_never"),
    [
        (
            "https://blog.example/cats",
            ["It is opened and checked inside, for inner-pages. Inside, blog.example with its path:"],
            "inspect",
            ["inner-pages"],
            False,
        ),
        ("https://blog.example/hate", ["Blocked by rule inner-pages"], None, ["inner-pages"], False),
        ("https://library.example/hate", ["It goes by in a tunnel, unopened."], "tunnel", [], False),
        (
            "https://bank.example/hate",
            ["It goes by in a tunnel, unopened: it is never inspected, whatever a rule says."],
            "tunnel",
            [],
            True,
        ),
        ("http://blog.example/hate", ["Blocked by rule inner-pages"], None, [], False),
    ],
)
def test_it_says_whether_a_visit_is_opened_and_for_which_rules(
    explain: Callable[..., Result],
    town: PublishedTown,
    address: str,
    lines: list[str],
    carried: str | None,
    opened_for: list[str],
    is_never: bool,
) -> None:
    town.publish_policy(INSPECTING)
    town.publish_categories({}, URLS)
    said = explain(address, "--as", "clerk", *MONDAY_TEN).output.splitlines()
    assert set(lines) <= set(said)
    answer = json.loads(explain(address, "--as", "clerk", *MONDAY_TEN, "--json").output)
    assert (answer["carried"], answer["opened_for"]) == (carried, opened_for)
    assert answer["is_never_inspected"] is is_never
    assert (answer["outside"] is not None) is bool(opened_for)


NEW_SITES = DOCUMENT.replace(
    "rules:\n", "rules:\n  - {id: new-sites, categories: [newly_seen], action: block}\n", 1
)


def test_newly_seen_site_is_explained_by_the_first_visits_in_force(
    explain: Callable[..., Result], town: PublishedTown
) -> None:
    now = datetime.now(UTC)
    town.publish_policy(NEW_SITES)
    assert "Allowed by default" in explain("library.example", "--as", "clerk").output

    town.publish_first_visits({"library.example": now - timedelta(days=8)})
    assert "Allowed by default" in explain("library.example", "--as", "clerk").output
    output = explain("www.other.example", "--as", "clerk").output
    why = "www.other.example is newly_seen: first visited here less than 7 days ago: block"
    assert why in " ".join(output.split())
    assert "Blocked by rule new-sites" in output


def test_damaged_first_visits_are_said_to_be_damaged(
    explain: Callable[..., Result], town: PublishedTown
) -> None:
    town.state.first_visits.write_bytes(b"nothing")
    result = explain("library.example", "--as", "clerk")
    assert result.exit_code != 0
    assert "no first visits of this version" in result.output


def test_limits_that_hold_for_an_allowed_visit_are_named(
    town: PublishedTown, explain: Callable[..., Result]
) -> None:
    limits = "limits: [{id: big, larger_than: 500MB, action: warn}]\n"
    town.publish_policy(DOCUMENT.replace("default:", f"{limits}default:"))
    result = explain("https://library.example/", "--as", "clerk", *MONDAY_TEN)
    said = result.output.replace("\u00a0", " ")
    assert "Limit big holds: a download of more than 500 MB gets a warning first" in said
    blocked = explain("https://cardroom.example/", "--as", "clerk", *MONDAY_TEN).output
    assert "Limit big" not in blocked
    assert "Limits: None is part of this: limits hold only for what is allowed." in blocked.splitlines()


def test_that_no_limit_is_part_of_the_answer_is_said_where_the_policy_has_any(
    town: PublishedTown, explain: Callable[..., Result]
) -> None:
    visit = ("https://library.example/", "--as", "clerk", *MONDAY_TEN)
    assert "Limit" not in explain(*visit).output
    limits = "limits: [{id: big, larger_than: 500MB, hosts: [files.example], action: warn}]\n"
    town.publish_policy(DOCUMENT.replace("default:", f"{limits}default:"))
    assert "Limits: None holds for this visit." in explain(*visit).output.splitlines()
    told = json.loads(explain(*visit, "--json").output)
    assert (told["limits"], told["no_limits"]) == ([], "None holds for this visit.")


def test_what_is_left_of_a_quota_is_said_and_that_it_is_used_up(
    town: PublishedTown, explain: Callable[..., Result]
) -> None:
    document = DOCUMENT.replace(
        "default:", "limits: [{id: a-day, quota: 500MB/day, action: block}]\ndefault:"
    )
    town.publish_policy(document)
    (limit,) = policy_of(document).limits
    visit = ("https://library.example/", "--as", "clerk", *MONDAY_TEN)
    assert "Left of it on that day: 500 MB of 500 MB" in explain(*visit).output.replace("\u00a0", " ")
    clerk, day = Client("", person="clerk", department="finance"), date(2026, 3, 2)
    write_use(town.state.spool, day, "0", clerk, (limit, 500_000_000, ()))
    lines = explain(*visit).output.replace("\u00a0", " ").splitlines()
    assert "Left of it on that day: nothing of 500 MB" in lines
    assert "It stops this visit." in lines
    told = json.loads(explain(*visit, "--json").output)["limits"]
    quota = {"left_bytes": 0, "left_seconds": 0, "is_used_up": True}
    says = "more than 500 MB a day for each person is stopped"
    assert told == [{"id": "a-day", "says": says, "stops": True, "quota": quota}]
