"""A standing permission: what a department holds for a case opens, and no risk that nobody accepted."""

from dataclasses import replace

import pytest

from policy.deciding import Step, decide
from policy.decision import Cause, Verdict
from policy.state import Exemption, State
from policy.town_policy import Policy
from tests.policy.test_deciding import HOUR, POLICY, TEN, visit

HELD = Exemption(
    "EX-9",
    "",
    TEN,
    TEN + HOUR,
    department="finance",
    categories=frozenset({"gambling", "phishing"}),
    accepted_risks=frozenset({"phishing"}),
    case_number="2026-104",
)


@pytest.mark.parametrize("policy", [POLICY, replace(POLICY, rules=())], ids=["rules", "no rules"])
@pytest.mark.parametrize(
    ("case", "categories", "is_open"),
    [
        ("what is held", ("gambling",), True),
        ("a risk that was accepted", ("phishing",), True),
        ("a risk that nobody accepted", ("gambling", "malware"), False),
        ("a risk that nobody accepted beside one that was", ("phishing", "malware"), False),
    ],
)
def test_it_opens_what_is_held_and_accepted_whatever_the_rules(
    case: str, categories: tuple[str, ...], is_open: bool, policy: Policy
) -> None:
    trace: list[Step] = []
    decision = decide(visit(*categories), policy, State([HELD]), trace)
    assert (decision.verdict is Verdict.ALLOW) is is_open, case
    assert (decision.cause is Cause.EXEMPTION) is is_open, case
    said = next(step.why for step in trace if step.what == "exemption")
    assert ("exemption EX-9 (case 2026-104) of" in said) is is_open


def test_risk_is_not_open_by_acceptance_alone_of_what_is_not_held() -> None:
    held = replace(HELD, categories=frozenset({"gambling"}))
    assert decide(visit("phishing"), POLICY, State([held])).verdict is Verdict.BLOCK


def test_accepted_risk_that_is_not_held_stays_shut_beside_what_is() -> None:
    held = replace(HELD, accepted_risks=frozenset({"phishing", "malware"}))
    policy = replace(POLICY, rules=())
    assert decide(visit("gambling", "phishing"), policy, State([held])).verdict is Verdict.ALLOW
    decision = decide(visit("gambling", "malware"), policy, State([held]))
    assert (decision.verdict, decision.cause) == (Verdict.BLOCK, Cause.SECURITY_RISK)
