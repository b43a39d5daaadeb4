"""The policy document: from the YAML that IT writes to a `Policy`, or every problem in it."""

from dataclasses import dataclass

from categories.taxonomy import Taxonomy
from policy.decision import Verdict
from policy.problem import Problem
from policy.town_policy import Policy
from policy.visit import Visit


@dataclass(frozen=True, slots=True)
class PolicyTest:
    """One of the document's own tests: what must come of a visit.

    `visit` has no matches yet; `policy.document_tests` looks them up. `rule` is the id of the rule
    that must decide, None when any may. `line`, `column` and `place` say where the test is written.
    """

    visit: Visit
    expect: Verdict
    rule: str | None
    line: int
    column: int
    place: str


@dataclass(frozen=True, slots=True)
class PolicyDocument:
    """A valid document. `warnings` are what is allowed but hardly meant, such as a dead rule."""

    policy: Policy
    tests: tuple[PolicyTest, ...]
    warnings: tuple[Problem, ...]


def load_document(text: str, taxonomy: Taxonomy) -> PolicyDocument:
    """Read a policy document, whole.

    Raises PolicyError with every problem, in the order of the lines.
    """
    raise NotImplementedError
