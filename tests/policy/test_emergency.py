"""What is decided while IT has limited the web, taken a device off it, or switched the filter off."""

from datetime import UTC, datetime, timedelta

import pytest
from msgspec import structs

from categories.match import CategoryMatch
from policy.deciding import Step, decide, next_edge_after
from policy.decision import Cause, Verdict
from policy.state import DeviceOff, Exemption, FilterOff, Lockdown, State
from policy.town_policy import Policy, Rule, Town
from policy.visit import Client, Visit
from tests.people import CLERK, CLERK_AT_WORK, SOMEONE_IN_PARKS, STRANGER

NOW = datetime(2026, 3, 2, 15, tzinfo=UTC)
HOUR = timedelta(hours=1)
POLICY = Policy(
    version="test",
    town=Town("Town of Exampleton", "America/New_York"),
    essentials=frozenset({"dispatch.example"}),
    works_in_lockdown=frozenset({"vendor.example", "cardroom.example"}),
    security_categories=frozenset({"malware"}),
    rules=(Rule("not-town-business", Verdict.BLOCK, frozenset({"gambling"})),),
)
EVERYONE = Lockdown("A worm is going round.", NOW)
PARKS = Lockdown("Parks is being cleaned.", NOW, department="parks")
OFF = DeviceOff(CLERK_AT_WORK.address, "It sends mail by itself.", NOW)
FILTER_OFF = FilterOff("The lists are bad.", NOW, NOW + HOUR)


def visit(host: str, *categories: str, client: Client = CLERK_AT_WORK, at: datetime = NOW) -> Visit:
    matches = tuple(CategoryMatch(category, host, "test") for category in categories)
    return Visit(client, "https", host, 443, None, at, matches)


@pytest.mark.parametrize(
    ("case", "judged", "state", "cause", "is_allowed"),
    [
        ("any site", visit("library.example"), State(lockdowns=[EVERYONE]), Cause.LOCKDOWN, False),
        ("essential", visit("dispatch.example"), State(lockdowns=[EVERYONE]), Cause.ESSENTIAL, True),
        ("still works", visit("www.vendor.example"), State(lockdowns=[EVERYONE]), Cause.DEFAULT, True),
        (
            "still works, but by the rules",
            visit("cardroom.example", "gambling"),
            State(lockdowns=[EVERYONE]),
            Cause.RULE,
            False,
        ),
        ("another department", visit("library.example"), State(lockdowns=[PARKS]), Cause.DEFAULT, True),
        (
            "its own department",
            visit("library.example", client=SOMEONE_IN_PARKS),
            State(lockdowns=[PARKS]),
            Cause.LOCKDOWN,
            False,
        ),
        ("a device off", visit("library.example"), State(devices_off=[OFF]), Cause.DEVICE_OFF, False),
        ("and essential", visit("dispatch.example"), State(devices_off=[OFF]), Cause.DEVICE_OFF, False),
        (
            "another device",
            visit("library.example", client=SOMEONE_IN_PARKS),
            State(devices_off=[OFF]),
            Cause.DEFAULT,
            True,
        ),
        (
            "filter off",
            visit("cardroom.example", "gambling"),
            State(filter_off=FILTER_OFF),
            Cause.FILTER_OFF,
            True,
        ),
        (
            "filter off, in a lockdown",
            visit("library.example"),
            State(filter_off=FILTER_OFF, lockdowns=[EVERYONE]),
            Cause.LOCKDOWN,
            False,
        ),
        (
            "filter off, a stranger",
            visit("library.example", client=STRANGER),
            State(filter_off=FILTER_OFF),
            Cause.UNKNOWN_CLIENT,
            False,
        ),
        (
            "filter off, a private address",
            visit("10.9.9.9"),
            State(filter_off=FILTER_OFF),
            Cause.PRIVATE_ADDRESS,
            False,
        ),
    ],
)
def test_decision(case: str, judged: Visit, state: State, cause: Cause, is_allowed: bool) -> None:
    decision = decide(judged, POLICY, state)
    assert (decision.cause, decision.is_allowed) == (cause, is_allowed), case


def test_admin_site_stays_open_to_a_device_that_was_taken_off() -> None:
    state = State(admin_site=("gate.example", 443), devices_off=[OFF], lockdowns=[EVERYONE])
    assert decide(visit("gate.example"), POLICY, state).cause is Cause.ADMIN_SITE


def test_no_exemption_opens_a_site_in_a_lockdown() -> None:
    granted = Exemption("EX-1", "library.example", NOW - HOUR, NOW + HOUR, person=CLERK)
    state = State([granted], lockdowns=[EVERYONE])
    assert decide(visit("library.example"), POLICY, state).cause is Cause.LOCKDOWN


@pytest.mark.parametrize(
    ("after", "is_allowed"), [(timedelta(0), True), (HOUR - timedelta(microseconds=1), True), (HOUR, False)]
)
def test_filter_is_on_again_at_the_instant_that_was_said(after: timedelta, is_allowed: bool) -> None:
    judged = structs.replace(visit("cardroom.example", "gambling"), at=NOW + after)
    assert decide(judged, POLICY, State(filter_off=FILTER_OFF)).is_allowed is is_allowed


def test_open_tunnels_are_judged_again_when_the_filter_is_on_again() -> None:
    assert next_edge_after(NOW, POLICY, State(filter_off=FILTER_OFF)) == NOW + HOUR


def test_lockdown_of_everyone_is_named_before_the_departments_own() -> None:
    state = State(lockdowns=[PARKS, EVERYONE])
    assert state.lockdown_for("parks") is EVERYONE
    assert state.lockdown_for("finance") is EVERYONE


@pytest.mark.parametrize(
    ("state", "step"),
    [
        (
            State(lockdowns=[EVERYONE]),
            Step("lockdown", True, "a lockdown of everyone: A worm is going round."),
        ),
        (
            State(devices_off=[OFF]),
            Step("device off", True, "IT took this device off: It sends mail by itself."),
        ),
        (
            State(filter_off=FILTER_OFF),
            Step(
                "filter off",
                True,
                "IT switched the filter off until 2026-03-02 11:00: The lists are bad.",
            ),
        ),
    ],
)
def test_trace_says_what_it_did(state: State, step: Step) -> None:
    trace: list[Step] = []
    decide(visit("library.example"), POLICY, state, trace)
    assert step in trace


def test_trace_says_what_still_works() -> None:
    trace: list[Step] = []
    decide(visit("vendor.example"), POLICY, State(lockdowns=[EVERYONE]), trace)
    assert Step("lockdown", False, "vendor.example still works in a lockdown") in trace
