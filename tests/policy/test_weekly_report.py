"""The policy's section about when the weekly report is sent."""

from datetime import time

import pytest

from categories.taxonomy import taxonomy
from policy.document import load_document
from policy.problem import PolicyError
from policy.town_policy import WeeklyReport

TOWN = "town: {name: T, timezone: UTC}\n"


@pytest.mark.parametrize(
    ("written", "report"),
    [
        ('{day: mon, at: "07:00"}', WeeklyReport(0, time(7))),
        ('{day: Fri, at: "16:30", names: hidden}', WeeklyReport(4, time(16, 30))),
        ('{day: sun, at: "00:00", names: shown}', WeeklyReport(6, time(0), names_shown=True)),
    ],
)
def test_weekly_report_has_a_day_and_a_time_and_names_nobody_unless_told(
    written: str, report: WeeklyReport
) -> None:
    assert load_document(f"{TOWN}weekly_report: {written}\n", taxonomy()).policy.weekly_report == report


def test_no_weekly_report_is_sent_where_the_policy_says_nothing_of_it() -> None:
    assert load_document(TOWN, taxonomy()).policy.weekly_report is None


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("{}", "weekly_report: 'day' is missing"),
        ("", "weekly_report: 'at' is missing"),
        ('{day: mo, at: "07:00"}', "weekly_report.day: 'mo' is not a day (nearest: 'mon')"),
        (
            "{day: mon, at: morning}",
            'weekly_report.at: \'morning\' is not a time of the day; write it like "08:00" or "16:30"',
        ),
        (
            '{day: mon, at: "07:00", names: yes}',
            "weekly_report.names: 'yes' is not what becomes of names (there are: hidden, shown)",
        ),
    ],
)
def test_problem_of_the_weekly_report_says_where_and_what_would_be_right(written: str, problem: str) -> None:
    with pytest.raises(PolicyError) as refused:
        load_document(f"{TOWN}weekly_report: {written}\n", taxonomy())
    assert f"line 2: {problem}" in [str(found) for found in refused.value.problems]
