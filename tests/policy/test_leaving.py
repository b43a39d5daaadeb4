from dataclasses import replace
from datetime import date

from policy.decision import Verdict
from policy.identity import Identities
from policy.leaving import without
from policy.town_policy import DatedDelegate, Device, Rule
from tests.admin.small_town import DELEGATE, TOWN
from tests.people import CLERK, HEAD, IT, PARKS_HEAD

POLICY = replace(
    TOWN,
    devices={"10.10.20.15": Device("FIN-PC-15", CLERK, "finance"), "10.10.20.16": Device("FIN-PC-16", HEAD)},
    rules=(Rule("clerk-only", Verdict.ALLOW, people=frozenset({CLERK})),),
)


def test_who_left_is_nobody_at_their_device_and_when_signed_in() -> None:
    identities = Identities(without(POLICY, {CLERK}))
    at_their_device = identities.identify("10.10.20.15")
    assert (at_their_device.person, at_their_device.device) == (None, "FIN-PC-15")
    assert at_their_device.department == "finance"
    signed_in = identities.identify("192.0.2.1", CLERK)
    assert (signed_in.person, signed_in.is_signed_in) == (None, False)
    assert identities.identify("10.10.20.16").person == HEAD


def test_a_department_without_its_head_is_headed_by_its_first_delegate_or_nobody() -> None:
    departments = without(POLICY, {HEAD, PARKS_HEAD}).departments
    assert (departments["finance"].head, departments["finance"].delegates) == (DELEGATE, ())
    assert (departments["parks"].head, departments["parks"].delegates) == ("", ())
    only_delegate = without(POLICY, {DELEGATE}).departments["finance"]
    assert (only_delegate.head, only_delegate.delegates) == (HEAD, ())


def test_who_stands_in_for_some_days_follows_no_head_and_leaves_as_others_do() -> None:
    dated = DatedDelegate(CLERK, date(2026, 3, 2), date(2026, 3, 6))
    parks = replace(TOWN.departments["parks"], dated_delegates=(dated,))
    policy = replace(TOWN, departments={**TOWN.departments, "parks": parks})
    alone = without(policy, {PARKS_HEAD}).departments["parks"]
    assert (alone.head, alone.dated_delegates) == ("", (dated,))
    assert without(policy, {CLERK}).departments["parks"].dated_delegates == ()


def test_roles_end_and_a_rule_for_who_left_is_not_for_everybody() -> None:
    policy = without(POLICY, {IT, CLERK})
    assert policy.roles["it_security"] == ("it-2",)
    assert policy.rules == POLICY.rules
    assert policy.version == POLICY.version


def test_a_policy_that_names_none_of_them_is_the_same() -> None:
    assert without(POLICY, set()) is POLICY
    assert without(POLICY, {"nobody-here"}) is POLICY
