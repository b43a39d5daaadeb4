"""A person accepts the town's notice before anything else."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from msgspec import structs

from categories.taxonomy import taxonomy
from policy.deciding import decide, next_edge_after
from policy.decision import Cause, Verdict
from policy.document import load_document
from policy.problem import PolicyError
from policy.state import State
from policy.town_policy import Notice, Policy, Town
from policy.visit import Client, Visit
from tests.people import CLERK, CLERK_AT_WORK

NOW = datetime(2026, 3, 2, 15, tzinfo=UTC)
HOUR = timedelta(hours=1)
POLICY = Policy(
    version="test",
    town=Town("Town of Exampleton", "America/New_York"),
    essentials=frozenset({"dispatch.example"}),
    notice=Notice("1", "Acceptable use", "Sites visited are recorded."),
)
TOWN = "town: {name: T, timezone: America/New_York}\n"


def visit(host: str = "library.example", client: Client = CLERK_AT_WORK) -> Visit:
    return Visit(client, "https", host, 443, None, NOW)


def cause(state: State, judged: Visit | None = None) -> Cause:
    return decide(judged or visit(), POLICY, state).cause


def test_who_has_not_accepted_is_stopped_once_the_notice_is_asked_for() -> None:
    assert cause(State(receipts={})) is Cause.NOTICE
    assert cause(State(receipts={CLERK: None})) is Cause.DEFAULT
    assert cause(State(receipts=None)) is Cause.DEFAULT


def test_essential_sites_need_no_acceptance() -> None:
    assert cause(State(receipts={}), visit("dispatch.example")) is Cause.ESSENTIAL


def test_nobody_can_accept_for_a_device_that_several_people_use() -> None:
    assert cause(State(receipts={}), visit(client=replace(CLERK_AT_WORK, person=None))) is Cause.DEFAULT


def test_what_was_put_off_is_asked_for_at_the_instant_it_was_put_off_until() -> None:
    state = State(receipts={CLERK: NOW + HOUR})
    assert next_edge_after(NOW, POLICY, state) == NOW + HOUR
    assert cause(state) is Cause.DEFAULT
    assert cause(state, structs.replace(visit(), at=NOW + HOUR)) is Cause.NOTICE


def notice_of(text: str) -> Notice:
    notice = load_document(TOWN + text, taxonomy()).policy.notice
    assert notice is not None
    return notice


def test_document_gives_the_notice_its_paragraphs_and_a_version() -> None:
    notice = notice_of(
        "notice:\n  title: Acceptable use\n  law: Public Records Law\n  required_from: 2026-12-01\n"
        "  text: |\n    Sites visited\n    are recorded.  \n\n    <b>Downloads</b> are counted.\n"
    )
    assert notice.text == "Sites visited\nare recorded.\n\n<b>Downloads</b> are counted."
    assert (notice.title, notice.law) == ("Acceptable use", "Public Records Law")
    assert notice.required_from == date(2026, 12, 1)


def test_version_changes_with_what_is_read_and_with_nothing_else() -> None:
    first = notice_of("notice: {title: A, text: B}")
    assert notice_of("notice: {title: A, text: B, required_from: 2026-12-01}").version == first.version
    assert notice_of("notice: {title: A, text: C}").version != first.version
    assert notice_of("notice: {title: A, text: B, law: C}").version != first.version


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("notice: {title: A}", "notice: 'text' is missing"),
        ("notice:", "notice: 'title' is missing"),
        (f"notice: {{title: A, text: {'b' * 50_001}}}", "notice.text: 50,001 characters; at most 50,000"),
        ('notice: {title: A, text: "a\\eb"}', "notice.text: holds characters that cannot be seen"),
        (
            "notice: {title: A, text: B, required_from: soon}",
            "notice.required_from: 'soon' is not a date; write it like \"2026-12-01\"",
        ),
    ],
)
def test_problem_of_a_notice(text: str, problem: str) -> None:
    with pytest.raises(PolicyError) as caught:
        load_document(TOWN + text, taxonomy())
    assert problem in str(caught.value)


def test_no_notice_asks_nobody() -> None:
    policy = load_document(TOWN, taxonomy()).policy
    assert policy.notice is None
    assert policy.default is Verdict.ALLOW
