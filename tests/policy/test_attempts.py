"""The policy's section about who is told of what people were stopped at."""

from datetime import timedelta

import pytest

from categories.taxonomy import taxonomy
from policy.document import load_document
from policy.problem import PolicyError
from policy.town_policy import Approver, Attempts

TOWN = "town: {name: T, timezone: UTC}\n"
WITH_IT = f"{TOWN}people: {{ann: {{name: A}}}}\nroles: {{it_security: [ann]}}\n"


def attempts_of(written: str) -> Attempts | None:
    return load_document(f"{WITH_IT}attempts: {written}\n", taxonomy()).policy.attempts


def problems_of(text: str) -> list[str]:
    with pytest.raises(PolicyError) as refused:
        load_document(text, taxonomy())
    return [str(problem) for problem in refused.value.problems]


@pytest.mark.parametrize(
    ("written", "within"),
    [("1d", timedelta(days=1)), ("4h", timedelta(hours=4)), ("30m", timedelta(minutes=30))],
)
def test_attempts_tell_head_and_it_where_nobody_is_named(written: str, within: timedelta) -> None:
    assert attempts_of(f"{{more_than: 10, within: {written}, categories: [adult]}}") == Attempts(
        10, within, frozenset({"adult"}), (Approver.DEPARTMENT_HEAD, Approver.IT_SECURITY)
    )


def test_attempts_tell_whom_the_policy_names() -> None:
    attempts = attempts_of("{more_than: 1, within: 30d, categories: [adult], tell: [it_security]}")
    assert attempts is not None
    assert attempts.tell == (Approver.IT_SECURITY,)


@pytest.mark.parametrize(
    ("attempts", "problem"),
    [
        ("{}", "attempts: 'more_than' is missing"),
        (
            "{within: 31d}",
            'attempts.within: \'31d\' is no span of up to 30 days; write it like "1d", "4h" or "30m"',
        ),
        (
            "{within: 0h}",
            'attempts.within: \'0h\' is no span of up to 30 days; write it like "1d", "4h" or "30m"',
        ),
        ("{more_than: 0}", "attempts.more_than: '0' is no number of visits from 1 to 10,000"),
        (
            "{categories: [gambing]}",
            "attempts.categories[0]: 'gambing' is not a category (nearest: 'gambling')",
        ),
        ("{categories: []}", "attempts.categories: the list is empty; fill it in, or leave the key out"),
        (
            "{categories: [malware]}",
            "attempts.categories: 'malware' is a security risk: each visit is told of, and none is counted",
        ),
        (
            "{categories: [uncategorised]}",
            "attempts.categories: 'uncategorised' is what a site is in no list; name what it is listed as",
        ),
        ("{tell: []}", "attempts.tell: nobody is told; fill it in, or leave the key out"),
        ("{tell: [town_administrator]}", "attempts.tell: nobody has the role 'town_administrator'"),
        (
            "{tell: [help_desk]}",
            "attempts.tell[0]: 'help_desk' is not a role that can be told (there are: department_head,"
            " it_security, town_administrator)",
        ),
    ],
)
def test_problem_of_attempts_says_where_and_what_would_be_right(attempts: str, problem: str) -> None:
    assert f"line 4: {problem}" in problems_of(f"{WITH_IT}attempts: {attempts}\n")


def test_attempts_need_somebody_in_it_who_hears_of_people_of_no_department() -> None:
    text = "attempts: {more_than: 1, within: 1d, categories: [adult], tell: [department_head]}\n"
    assert problems_of(TOWN + text) == ["line 2: attempts: nobody has the role 'it_security'"]
