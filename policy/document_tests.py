"""The tests inside a policy document: a document whose tests fail is never published."""

from dataclasses import dataclass

from policy.correction import Corrections
from policy.decision import Decision
from policy.document import PolicyDocument, PolicyTest
from policy.judging import Lists, SiteListing, judge
from policy.problem import Problem
from policy.state import State


@dataclass(frozen=True, slots=True)
class PolicyTestResult:
    """What came of one test. `problem` is None when it passed."""

    test: PolicyTest
    decision: Decision
    problem: Problem | None

    @property
    def is_passed(self) -> bool:
        """Whether the visit came out as expected."""
        return self.problem is None


def run_tests(document: PolicyDocument, lists: Lists) -> tuple[PolicyTestResult, ...]:
    """Run the document's tests, in order, by the lists alone: no exemption or correction is in force."""
    listing = SiteListing(lists, Corrections(), document.policy)
    return tuple(_result(test, document, listing) for test in document.tests)


def _result(test: PolicyTest, document: PolicyDocument, listing: SiteListing) -> PolicyTestResult:
    visit = test.visit
    decision = judge(visit, document.policy, State(), listing)[-1].decision
    if decision.verdict is test.expect and test.rule in (None, decision.rule):
        return PolicyTestResult(test, decision, None)
    expected = f"{test.expect} by rule {test.rule!r}" if test.rule else test.expect.value
    got = f"{decision.verdict} by {_named(decision)}"
    message = f"the test fails for {visit.host}: expected {expected}, got {got}"
    return PolicyTestResult(test, decision, Problem(test.line, test.column, test.place, message))


def _named(decision: Decision) -> str:
    listed = f", listed as {decision.match.category}" if decision.match else ", not listed"
    by = f"rule {decision.rule!r}" if decision.rule else decision.cause.value.replace("_", " ")
    return by + listed
