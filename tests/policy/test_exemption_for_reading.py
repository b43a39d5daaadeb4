"""An exemption for reading: it opens what would be shut, for reading alone, and takes nothing away."""

from dataclasses import replace

import pytest
from msgspec import structs

from policy.correction import Corrections
from policy.deciding import Step, decide
from policy.decision import Cause, Verdict
from policy.judging import SiteListing, judge
from policy.state import Exemption, State
from policy.town_policy import Limit, LimitAction, Rule
from tests.policy.test_deciding import HOUR, NOON, POLICY, TEN, exemption, listed, visit

READING = replace(exemption(), id="EX-7", expires_at=NOON + HOUR, is_for_reading=True)
WARNING = Rule("warned", Verdict.WARN, frozenset({"games", "gambling"}))


@pytest.mark.parametrize(
    ("case", "categories", "verdict", "cause"),
    [
        ("shut by a rule", ("gambling",), Verdict.VIEW_ONLY, Cause.EXEMPTION),
        ("open by a rule", ("games",), Verdict.ALLOW, Cause.RULE),
        ("open by default", ("banks",), Verdict.ALLOW, Cause.DEFAULT),
        ("a risk that nobody accepted", ("gambling", "malware"), Verdict.BLOCK, Cause.SECURITY_RISK),
    ],
)
def test_it_opens_for_reading_only_what_would_be_shut(
    case: str, categories: tuple[str, ...], verdict: Verdict, cause: Cause
) -> None:
    decision = decide(visit(*categories), POLICY, State([READING]))
    assert (decision.verdict, decision.cause) == (verdict, cause), case
    assert decision.exemption == ("EX-7" if cause is Cause.EXEMPTION else None)


def test_a_page_to_click_through_stays_one() -> None:
    policy = replace(POLICY, rules=(WARNING,))
    assert decide(visit("gambling"), policy, State([READING])).verdict is Verdict.WARN
    continued = structs.replace(visit("gambling"), has_continued=True)
    assert decide(continued, policy, State([READING])).verdict is Verdict.ALLOW


@pytest.mark.parametrize("order", [1, -1])
def test_an_exemption_that_opens_the_site_whole_comes_first_in_either_order(order: int) -> None:
    both = [READING, exemption()][::order]
    assert decide(visit("gambling"), POLICY, State(both)).verdict is Verdict.ALLOW
    after_the_whole_one = visit("gambling", at=TEN + HOUR)
    assert decide(after_the_whole_one, POLICY, State(both)).verdict is Verdict.VIEW_ONLY


def test_what_is_for_reading_is_looked_into_and_says_for_which_exemption() -> None:
    class Lists:
        def lookup(self, host: str, path: str | None = None) -> object:
            return listed("gambling")

        def url_categories(self, host: str) -> frozenset[str]:
            return frozenset()

    listing = SiteListing(Lists(), Corrections(), POLICY)  # type: ignore[arg-type]
    outside, inside = judge(structs.replace(visit(), path="/feed"), POLICY, State([READING]), listing)
    assert outside.decision.inspect_rules == ("EX-7",)
    assert (inside.decision.verdict, str(inside.lane)) == (Verdict.VIEW_ONLY, "inspect")


def test_what_is_open_for_reading_is_held_to_the_limits_of_the_policy() -> None:
    policy = replace(POLICY, limits=(Limit("large", LimitAction.BLOCK, larger_than=1000),))
    decision = decide(visit("gambling"), policy, State([READING]))
    assert (decision.verdict, decision.limits) == (Verdict.VIEW_ONLY, ("large",))
    assert decision.inspect_rules == ("EX-7",)


def test_what_must_never_be_looked_into_is_not_opened_for_reading() -> None:
    state, policy = State([READING], never_inspect=["site.example"]), POLICY
    assert decide(visit("gambling"), policy, state).verdict is Verdict.BLOCK
    plain = structs.replace(visit("gambling"), scheme="http", port=80)
    assert decide(plain, policy, state).verdict is Verdict.VIEW_ONLY
    whole = State([exemption()], never_inspect=["site.example"])
    assert decide(visit("gambling"), policy, whole).verdict is Verdict.ALLOW


@pytest.mark.parametrize(
    ("categories", "state", "why"),
    [
        (("gambling",), State([READING]), "exemption EX-7 for reading, until 2026-03-02 13:00"),
        (("games",), State([READING]), "exemption EX-7 is for reading, and the rules open the site whole"),
        (
            ("gambling",),
            State([READING], never_inspect=["site.example"]),
            "exemption EX-7 is for reading, and the site must never be looked into",
        ),
    ],
)
def test_trace_says_why_it_counts_or_not(categories: tuple[str, ...], state: State, why: str) -> None:
    steps: list[Step] = []
    decide(visit(*categories), POLICY, state, steps)
    assert [step.why for step in steps if step.what == "exemption"] == [why]


def test_every_exemption_of_before_is_for_the_whole_site() -> None:
    assert not Exemption("EX-1", "site.example", TEN, NOON).is_for_reading
