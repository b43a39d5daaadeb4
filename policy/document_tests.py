"""The tests inside a policy document: a document whose tests fail is never published."""

from collections.abc import Callable
from dataclasses import dataclass

from categories.match import CategoryMatch
from policy.decision import Decision
from policy.document import PolicyDocument, PolicyTest
from policy.problem import Problem

type Lookup = Callable[[str, str | None], tuple[CategoryMatch, ...]]
"""(host, path) -> matches, most specific first; path None where a tunnel hides it."""


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


def run_tests(document: PolicyDocument, lookup: Lookup) -> tuple[PolicyTestResult, ...]:
    """Run the document's tests, in order, without any exemption in force."""
    raise NotImplementedError
