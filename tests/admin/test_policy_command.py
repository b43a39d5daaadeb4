"""`towngate policy`: what IT reads in a terminal, and what a script gets."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from admin.command import cli
from categories.known_sites import known_sites
from tests.categories.lists import publish_lists, write_layout
from tests.published_town import PublishedTown
from tests.towns import DOCUMENT

WRONG = DOCUMENT.replace("[adult, gambling,", "[adult, gambing,").replace(
    "head: parks-head", "head: parkshead"
)
FAILING = DOCUMENT.replace("rule: not-town-business", "rule: lunch-time")


@pytest.fixture
def town(tmp_path: Path) -> PublishedTown:
    return PublishedTown(tmp_path / "state")


@pytest.fixture
def towngate(town: PublishedTown) -> Callable[..., Result]:
    def call(*arguments: str, text: str | None = None) -> Result:
        return CliRunner().invoke(cli, ["policy", *arguments, "--state", str(town.state.root)], input=text)

    return call


def test_check_of_a_good_policy_says_that_its_tests_passed(towngate: Callable[..., Result]) -> None:
    result = towngate("check", "-", text=DOCUMENT)
    assert result.exit_code == 0
    assert result.output.startswith("No problems; 2 tests passed with lists ")


def test_check_lists_every_problem_with_its_line(towngate: Callable[..., Result], tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(WRONG)
    result = towngate("check", str(path))
    assert result.exit_code == 1
    assert result.output.splitlines() == [
        f"{path}: line 9: departments.parks.head: 'parkshead' is not a person (nearest: 'parks-head')",
        f"{path}: line 28: rules[2].categories[1]: 'gambing' is not a category (nearest: 'gambling')",
        "2 problems.",
    ]


def test_check_runs_the_tests_of_the_policy(towngate: Callable[..., Result]) -> None:
    result = towngate("check", "-", text=FAILING)
    assert result.exit_code == 1
    assert (
        "tests[0]: the test fails for cardroom.example: expected block by rule 'lunch-time'" in result.output
    )
    assert result.output.endswith("\n1 problem.\n")


def test_check_uses_the_starter_list_where_nothing_was_published(tmp_path: Path) -> None:
    arguments = ["policy", "check", "-", "--state", str(tmp_path / "none")]
    result = CliRunner().invoke(cli, arguments, input=DOCUMENT)
    assert (result.exit_code, result.output) == (0, "No problems; 2 tests passed with the starter list.\n")
    assert not (tmp_path / "none").exists()


def test_check_says_that_there_are_no_tests(towngate: Callable[..., Result]) -> None:
    result = towngate("check", "-", text=DOCUMENT.partition("tests:")[0])
    assert (result.exit_code, result.output) == (0, "No problems; the policy has no tests.\n")


def test_check_warns_and_does_not_refuse(towngate: Callable[..., Result]) -> None:
    dead = "  - {id: dead, categories: [adult], action: allow}\ndefault:"
    result = towngate("check", "-", text=DOCUMENT.replace("default:", dead))
    assert result.exit_code == 0
    assert "warning: line 32: rules[3]: rule 'dead' is never reached" in result.output


def test_check_warns_of_listed_pages_that_an_earlier_rule_allows(
    towngate: Callable[..., Result], town: PublishedTown, tmp_path: Path
) -> None:
    urls = {"hate/urls": "news.example/hate\nblog.example/hate\n", "press/domains": "news.example\n"}
    publish_lists(town.state.categories, {"ut1": write_layout(tmp_path / "ut1", urls)}, tmp_path / "scratch")
    sites = tmp_path / "sites"
    sites.write_text("news.example\nblog.example\n")
    rules = (
        "rules:\n  - {id: press, categories: [press], action: allow}\n"
        "  - {id: hate-pages, categories: [hate], action: block, inspect: urls}\n"
    )
    text = DOCUMENT.replace("rules:\n", rules, 1).partition("tests:")[0]
    said = (
        "  warning: hate-pages cannot act on the pages listed of 1 of them, like news.example: press stands"
        " before it and allows them"
    )
    lines = towngate("check", "-", "--sites", str(sites), text=text).output.splitlines()
    assert lines[-3] == f"Of 2 sites of {sites} it would open 1."
    assert lines[-2:] == ["  hate-pages: 1, like blog.example", said]
    answer = json.loads(towngate("check", "-", "--sites", str(sites), "--json", text=text).output)
    assert answer["allowed_before"] == [
        {"rule": "hate-pages", "by": "press", "count": 1, "first": ["news.example"]}
    ]


def test_check_of_one_site_speaks_of_one(towngate: Callable[..., Result], tmp_path: Path) -> None:
    sites = tmp_path / "sites"
    sites.write_text("social.example\n")
    rule = "rules:\n  - {id: read, categories: [social_networks], action: view_only}\n"
    output = towngate("check", "-", "--sites", str(sites), text=DOCUMENT.replace("rules:\n", rule, 1)).output
    assert f"Of 1 site of {sites} it would open 0." in output.splitlines()


def test_check_notes_that_nothing_is_newly_seen_in_a_new_town(towngate: Callable[..., Result]) -> None:
    rule = "rules:\n  - {id: new-sites, categories: [newly_seen], action: block}\n"
    text = "newly_seen: {days: 14}\n" + DOCUMENT.replace("rules:\n", rule, 1)
    result = towngate("check", "-", text=text)
    assert result.exit_code == 0
    said = "<stdin>: note: nothing is newly seen before the town's own first visit is 14 days old, nor in the"
    assert said in result.output
    assert "note" not in towngate("check", "-", text=DOCUMENT).output


def test_check_notes_what_addresses_are_kept(towngate: Callable[..., Result]) -> None:
    result = towngate("check", "-", text=f"{DOCUMENT}addresses: {{categories: [gambling]}}\n")
    assert result.exit_code == 0
    said = "note: the full address of each page that somebody goes to at sites listed as gambling is kept,"
    assert f"<stdin>: {said}" in result.output


@pytest.mark.parametrize("days", ["0", "366", "a week", "-1"])
def test_newly_seen_days_that_are_none_are_a_problem(towngate: Callable[..., Result], days: str) -> None:
    result = towngate("check", "-", text=f"newly_seen: {{days: {days}}}\n{DOCUMENT}")
    assert result.exit_code == 1
    assert "newly_seen.days" in result.output
    assert f"{days!r} is no number of days from 1 to 365" in result.output


def test_check_prints_json_for_scripts(towngate: Callable[..., Result]) -> None:
    result = towngate("check", "-", "--json", text=WRONG)
    assert result.exit_code == 1
    answer = json.loads(result.output)
    assert answer["version"] is None
    assert [(problem["line"], problem["place"]) for problem in answer["problems"]] == [
        (9, "departments.parks.head"),
        (28, "rules[2].categories[1]"),
    ]
    good = json.loads(towngate("check", "-", "--json", text=DOCUMENT).output)
    assert (good["problems"], good["warnings"], good["tests"]) == ([], [], 2)


def test_check_of_a_file_that_is_not_there_cannot_be_done(towngate: Callable[..., Result]) -> None:
    result = towngate("check", "nowhere.yaml")
    assert result.exit_code == 2
    assert "'nowhere.yaml': No such file or directory" in result.output


def test_file_in_another_encoding_is_a_problem_with_its_line(
    towngate: Callable[..., Result], tmp_path: Path
) -> None:
    path = tmp_path / "policy.yaml"
    path.write_bytes(DOCUMENT.replace("Head of Finance", "Jos\xe9").encode("latin-1"))
    result = towngate("check", str(path))
    assert result.exit_code == 1
    assert "line 12: this is not UTF-8 text; save the file as UTF-8" in result.output


@contextmanager
def admin_that_takes_up(town: PublishedTown) -> Iterator[None]:
    """Publish the document when it changes, as the admin process does."""
    stopped = threading.Event()

    def follow() -> None:
        while not stopped.wait(0.05):
            if town.state.policy_document.exists():
                town.publish_policy(town.state.policy_document.read_text())

    thread = threading.Thread(target=follow)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


def test_publish_puts_a_good_policy_in_force(towngate: Callable[..., Result], town: PublishedTown) -> None:
    changed = DOCUMENT + "# changed\n"
    with admin_that_takes_up(town):
        result = towngate("publish", "-", text=changed)
    assert result.exit_code == 0
    assert town.state.policy_document.read_text() == changed
    shown = json.loads(towngate("show", "--json").output)
    assert result.output.splitlines()[-2:] == [
        f"Written to {town.state.policy_document}, policy {shown['version']}.",
        f"In force: policy {shown['version']}.",
    ]


def test_publish_says_when_nobody_takes_the_policy_up(
    towngate: Callable[..., Result], town: PublishedTown, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("admin.commands.policy._PATIENCE_SECONDS", 0.2)
    result = towngate("publish", "-", text=DOCUMENT + "# changed\n")
    assert result.exit_code == 0
    assert f"Written to {town.state.policy_document}, policy " in result.output
    assert "It is not in force yet: the admin process takes it up when it runs." in result.output


@pytest.mark.parametrize("text", [WRONG, FAILING])
def test_publish_of_a_bad_policy_changes_nothing(
    towngate: Callable[..., Result], town: PublishedTown, text: str
) -> None:
    town.state.policy_document.write_text(DOCUMENT)
    result = towngate("publish", "-", text=text)
    assert result.exit_code == 1
    assert result.output.endswith("Not published. The policy in force stays.\n")
    assert town.state.policy_document.read_text() == DOCUMENT


def test_publish_into_a_folder_that_is_not_there_cannot_be_done(tmp_path: Path) -> None:
    arguments = ["policy", "publish", "-", "--state", str(tmp_path / "none")]
    result = CliRunner().invoke(cli, arguments, input=DOCUMENT)
    assert result.exit_code == 2
    assert f"{tmp_path / 'none'}: no such state folder; name it with --state" in result.output


def test_show_tells_the_policy_in_force(towngate: Callable[..., Result]) -> None:
    output = towngate("show").output
    assert output.startswith("Town of Exampleton: policy ")
    assert "2 departments, 6 people, 1 devices, 0 exemptions" in output
    assert "security-risk      block  group security_risk; may be allowed by it_security" in output
    assert "lunch-time         allow  press, shopping, sports; in lunch" in output
    assert "default            allow  whatever no rule matches" in output


def test_show_tells_no_password_hash(towngate: Callable[..., Result], town: PublishedTown) -> None:
    town.publish_policy(proxy_passwords={"clerk": "$argon2id$secret"})
    assert "argon2" not in towngate("show").output + towngate("show", "--json").output


def test_show_without_a_published_policy_cannot_be_done(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["policy", "show", "--state", str(tmp_path)])
    assert result.exit_code == 2
    assert f"no policy was published in {tmp_path}; start `towngate run`" in result.output


def test_damaged_snapshot_is_said_to_be_damaged(towngate: Callable[..., Result], town: PublishedTown) -> None:
    town.state.policy_snapshot.write_bytes(town.state.policy_snapshot.read_bytes()[:-1])
    result = towngate("show")
    assert result.exit_code == 2
    assert (
        "policy.snapshot: the policy snapshot is cut or altered: its digest does not match" in result.output
    )


OPENING = DOCUMENT.replace(
    "rules:\n",
    "never_inspect: {sites: [credit-union.example]}\n"
    "rules:\n"
    "  - {id: social-read, categories: [social_networks], action: view_only}\n"
    "  - {id: inner-pages, categories: [hate], action: block, inspect: urls}\n",
    1,
)


def test_check_says_how_many_of_the_towns_own_sites_would_be_opened(
    towngate: Callable[..., Result], town: PublishedTown, tmp_path: Path
) -> None:
    social = [f"s{n}.example" for n in range(7)]
    urls = [("blog.example", "/hate"), ("credit-union.example", "/hate")]
    town.publish_categories({"gambling": ["cardroom.example"], "social_networks": social}, {"hate": urls})
    sites = tmp_path / "sites.txt"
    sites.write_text("# ours\n\n" + "\n".join([*social, "Blog.Example", "credit-union.example", "x.example"]))
    result = towngate("check", "-", "--sites", str(sites), text=OPENING)
    assert result.exit_code == 0, result.output
    assert result.output.splitlines()[1:] == [
        f"Of 10 sites of {sites} it would open 8.",
        "  social-read: 7, like s0.example, s1.example, s2.example, s3.example, s4.example, ...",
        "  inner-pages: 1, like blog.example",
    ]
    answer = json.loads(towngate("check", "-", "--sites", str(sites), "--json", text=OPENING).output)
    assert answer["sites"] == 10
    assert [(one["rule"], one["count"]) for one in answer["would_open"]] == [
        ("social-read", 7),
        ("inner-pages", 1),
    ]
    assert answer["would_open"][1]["first"] == ["blog.example"]


def test_check_counts_over_the_well_known_sites_that_ship(
    towngate: Callable[..., Result], town: PublishedTown
) -> None:
    town.publish_categories({"gambling": ["cardroom.example"], "social_networks": [known_sites().hosts[0]]})
    said = towngate("check", "-", text=OPENING).output.splitlines()
    assert f"Of {len(known_sites().hosts)} well-known sites it would open 1." in said
    assert "  inner-pages: 0" in said
    assert "it would open" not in towngate("check", "-", text=DOCUMENT).output


def test_file_of_sites_that_holds_none_says_the_line(towngate: Callable[..., Result], tmp_path: Path) -> None:
    sites = tmp_path / "sites.txt"
    sites.write_text("a.example\na..example\n")
    result = towngate("check", "-", "--sites", str(sites), text=OPENING)
    assert result.exit_code == 2
    assert f"{sites}: line 2: 'a..example' is not a host name" in result.output
