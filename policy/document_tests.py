"""The tests inside a policy document: a document whose tests fail is never published."""

from dataclasses import dataclass

from policy.correction import Corrections
from policy.decision import Decision
from policy.document import PolicyDocument, PolicyTest
from policy.judging import Lists, SiteListing, judge
from policy.limiting import judge_download
from policy.problem import Problem
from policy.state import State


@dataclass(frozen=True, slots=True)
class PolicyTestResult:
    """What came of one test. `problem` is None when it passed."""

    test: PolicyTest
    decision: Decision
    problem: Problem | None


def run_tests(document: PolicyDocument, lists: Lists) -> tuple[PolicyTestResult, ...]:
    """Run the document's tests, in order, by the lists alone.

    No exemption or correction is in force, nobody continued after a warning, and no quota was used yet.
    """
    listing = SiteListing(lists, Corrections(), document.policy)
    return tuple(_result(test, document, listing) for test in document.tests)


def _result(test: PolicyTest, document: PolicyDocument, listing: SiteListing) -> PolicyTestResult:
    policy = document.policy
    judged = judge(test.visit, policy, State(), listing)[-1]
    decision = judged.decision
    if decision.is_allowed and test.download_bytes is not None:
        decision = judge_download(judged.visit, decision, policy, test.download_bytes) or decision
    is_by = test.rule in (None, decision.rule) and test.limit in (None, decision.limit)
    if decision.verdict is test.expect and is_by:
        return PolicyTestResult(test, decision, None)
    by = [f"{what} {id_!r}" for what, id_ in (("rule", test.rule), ("limit", test.limit)) if id_]
    expected = " by ".join([test.expect.value, *by])
    got = f"{decision.verdict} by {_named(decision)}"
    message = f"the test fails for {test.visit.host}: expected {expected}, got {got}"
    return PolicyTestResult(test, decision, Problem(test.line, test.column, test.place, message))


def _named(decision: Decision) -> str:
    listed = f", listed as {decision.match.category}" if decision.match else ", not listed"
    by = decision.cause.value.replace("_", " ")
    if decision.rule or decision.limit:
        by += f" {decision.rule or decision.limit!r}"
    return by + listed
