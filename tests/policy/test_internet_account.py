"""Who needs an internet account reaches nothing without one but essentials and Towngate's own site."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from categories.taxonomy import taxonomy
from policy.deciding import Step, decide, next_edge_after
from policy.decision import Cause
from policy.document import load_document
from policy.people_list import as_csv, read_people_csv
from policy.problem import PolicyError
from policy.snapshot import PolicySnapshot
from policy.state import FilterOff, State
from policy.touched import Touched, touched_by_change, touched_by_time
from policy.town_policy import AccountTerms, Approver, Asking, Person, PersonKind, Policy, Town
from policy.visit import Client, Visit
from tests.people import CLERK, CLERK_AT_WORK

NOW = datetime(2026, 3, 2, 15, tzinfo=UTC)
HOUR = timedelta(hours=1)
TERMS = AccountTerms(frozenset({PersonKind.CONTRACTOR}))
POLICY = Policy(
    version="test",
    town=Town("Town of Exampleton", "America/New_York"),
    people={CLERK: Person("Clerk", kind=PersonKind.CONTRACTOR), "ann": Person("Ann")},
    essentials=frozenset({"dispatch.example"}),
    asking=Asking(internet_account=TERMS),
)
TOWN = "town: {name: T, timezone: America/New_York}\n"
NONE = State(accounts={})


def cause(state: State, policy: Policy = POLICY, at: datetime = NOW, **changed: object) -> Cause:
    values: dict[str, object] = {"client": CLERK_AT_WORK, "host": "library.example", **changed}
    visit = Visit(scheme="https", port=443, path=None, at=at, **values)  # type: ignore[arg-type]
    return decide(visit, policy, state).cause


def test_who_needs_an_account_is_stopped_until_there_is_one_and_from_its_end_on() -> None:
    state = State(accounts={CLERK: NOW + HOUR})
    assert cause(NONE) is Cause.NO_ACCOUNT
    assert cause(state) is Cause.DEFAULT
    assert cause(state, at=NOW + HOUR - timedelta(microseconds=1)) is Cause.DEFAULT
    assert cause(state, at=NOW + HOUR) is Cause.NO_ACCOUNT
    assert next_edge_after(NOW, POLICY, state) == NOW + HOUR


def test_essential_sites_and_towngates_own_need_none() -> None:
    state = State(admin_site=("admin.example", 443), accounts={})
    assert cause(state, host="dispatch.example") is Cause.ESSENTIAL
    assert cause(state, host="admin.example") is Cause.ADMIN_SITE


def test_it_comes_before_a_filter_that_is_off() -> None:
    off = FilterOff("Lists are bad.", NOW - HOUR, NOW + HOUR)
    assert cause(State(accounts={}, filter_off=off)) is Cause.NO_ACCOUNT


def test_others_and_devices_that_several_use_need_none() -> None:
    assert cause(NONE, client=Client("127.0.0.1", person="ann")) is Cause.DEFAULT
    assert cause(NONE, client=replace(CLERK_AT_WORK, person=None)) is Cause.DEFAULT


def test_a_policys_tests_ask_for_none() -> None:
    assert cause(State()) is Cause.DEFAULT


def test_nobody_is_stopped_before_the_day_from_which_it_is_required() -> None:
    terms = replace(TERMS, required_from=date(2026, 3, 3))
    policy = replace(POLICY, asking=Asking(internet_account=terms))
    begins_at = datetime(2026, 3, 3, 5, tzinfo=UTC)
    assert cause(NONE, policy) is Cause.DEFAULT
    assert cause(NONE, policy, begins_at - timedelta(seconds=1)) is Cause.DEFAULT
    assert cause(NONE, policy, begins_at) is Cause.NO_ACCOUNT
    assert next_edge_after(NOW, policy, NONE) == begins_at
    assert next_edge_after(begins_at, policy, NONE) is None


@pytest.mark.parametrize(
    ("state", "why"),
    [
        (NONE, "contractors need an internet account"),
        (State(accounts={CLERK: NOW + HOUR}), "the person has an internet account"),
    ],
)
def test_trace_says_why(state: State, why: str) -> None:
    steps: list[Step] = []
    decide(Visit(CLERK_AT_WORK, "https", "library.example", 443, None, NOW), POLICY, state, steps)
    assert [step.why for step in steps if step.what == "account"] == [why]


def test_only_the_person_whose_account_changed_or_ended_is_judged_again() -> None:
    before = PolicySnapshot(1, NOW, POLICY, "https://admin.example:443")
    after = replace(before, sequence=2, accounts={CLERK: NOW + HOUR})
    assert touched_by_change(before, after) == Touched(people=frozenset({CLERK}))
    assert touched_by_time(after, NOW, NOW + HOUR) == Touched(people=frozenset({CLERK}))
    assert not touched_by_time(after, NOW, NOW + HOUR / 2)
    assert PolicySnapshot.from_bytes(after.to_bytes()) == after


def accounts_of(text: str) -> AccountTerms | None:
    document = load_document(f"{TOWN}asking: {{internet_account: {text}}}", taxonomy())
    return document.policy.asking.internet_account


def test_document_says_who_needs_one() -> None:
    both = frozenset({PersonKind.CONTRACTOR, PersonKind.VOLUNTEER})
    assert accounts_of("{required_for: [contractors, volunteers]}") == AccountTerms(
        both, (Approver.DEPARTMENT_HEAD, Approver.IT_SECURITY), timedelta(days=365), None
    )
    assert accounts_of(
        "{required_for: everyone, approval: [it_security], longest: 90d, required_from: 2026-12-01}"
    ) == AccountTerms(frozenset(PersonKind), (Approver.IT_SECURITY,), timedelta(days=90), date(2026, 12, 1))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{}", "asking.internet_account: 'required_for' is missing"),
        (
            "{required_for: [contractor]}",
            "asking.internet_account.required_for[0]: 'contractor' is not a kind of people"
            " (nearest: 'contractors')",
        ),
        (
            "{required_for: everyone, approval: [department_head]}",
            "asking.internet_account.approval: a head can propose it: name who agrees beside the head",
        ),
    ],
)
def test_problem_says_where_and_what_would_be_right(text: str, problem: str) -> None:
    with pytest.raises(PolicyError) as refused:
        accounts_of(text)
    assert problem in [str(found).partition(": ")[2] for found in refused.value.problems]


def test_person_is_an_employee_unless_the_document_or_the_table_says_otherwise() -> None:
    people = "people:\n  ann: {name: Ann}\n  bob: {name: Bob, kind: contractor}\n"
    table = read_people_csv("id,name,kind\ncas,Cas,volunteer\ndee,Dee,\n")
    read = load_document(TOWN + people, taxonomy(), table).policy.people
    assert {id_: person.kind.value for id_, person in read.items()} == {
        "ann": "employee",
        "bob": "contractor",
        "cas": "volunteer",
        "dee": "employee",
    }
    again = load_document(TOWN, taxonomy(), read_people_csv(as_csv(read))).policy.people
    assert again == read
    with pytest.raises(PolicyError, match="'contracter' is not a kind of person"):
        load_document(TOWN + people.replace("contractor", "contracter"), taxonomy())
