"""The weekly report's figures in words, for the page and the mail."""

from collections.abc import Mapping
from datetime import date

from admin.asking import State
from admin.visit_log.spans import HEAVY_BYTES, Use
from admin.web import words
from admin.web.people import People
from admin.weekly_report import WeeklyReport
from policy import amounts

# In this order, and those that come to the same together.
_STATES: Mapping[str, frozenset[State]] = {
    "allowed": frozenset({State.APPROVED, State.AWAITS_SIGNATURE, State.AWAITS_OPENING}),
    "not allowed": frozenset({State.DENIED}),
    "stopped": frozenset({State.STOPPED}),
    "withdrawn": frozenset({State.WITHDRAWN}),
    "waiting": frozenset({State.SUBMITTED}),
    "not opened in time": frozenset({State.ENDED}),
}
HEAVY = amounts.size(HEAVY_BYTES)


type Facts = tuple[tuple[str, str], ...]
"""Names, each with its figures in words."""


def title(report: WeeklyReport, people: People, today: date) -> str:
    """Return what the report is on: "Web use in Finance, March 2 to 8"."""
    place = people.policy.town.name if report.department is None else people.department(report.department)
    return f"Web use in {place}, {report.week.said(today)}"


def requests(found: Mapping[State, int]) -> str:
    """Return how many were sent, and what became of them: "3: 2 allowed, 1 waiting"."""
    counted = {
        word: sum(count for state, count in found.items() if state in states)
        for word, states in _STATES.items()
    }
    parts = ", ".join(f"{words.number(count)} {word}" for word, count in counted.items() if count)
    return f"{words.number(sum(found.values()))}{f': {parts}' if parts else ''}"


def heavy(report: WeeklyReport) -> str:
    """Return what was heavy, of all data: "12 GB of 40 GB, in 9 visits of 100 MB or more"."""
    found, all_bytes = report.now.heavy, report.now.used.size_bytes
    if not found.visits:
        return f"none; {words.amount(all_bytes)} in all"
    visits = words.number(found.visits, "visit", "visits")
    return f"{words.amount(found.size_bytes)} of {words.amount(all_bytes)}, in {visits} of {HEAVY} or more"


def used(use: Use) -> str:
    """Return visits and data of something: "1,204 visits, 3 blocked, 1.4 GB"."""
    blocked = f", {words.number(use.blocked)} blocked" if use.blocked else ""
    return f"{words.number(use.visits, 'visit', 'visits')}{blocked}, {words.amount(use.size_bytes)}"


def department(id_: str, people: People) -> str:
    """Return a department's name; "" is none."""
    return people.department(id_) if id_ else "Not known"


def lists(report: WeeklyReport, people: People) -> tuple[tuple[str, Facts], ...]:
    """Return the lists of heavy use, and of people where they are named, that have something in them."""
    named = report.named
    blocked, loaded = (named.blocked, named.heavy) if named is not None else ((), ())
    found: tuple[tuple[str, Facts], ...] = (
        ("Heavy use by site", tuple((words.host(host), words.amount(n)) for host, n in report.heavy_hosts)),
        (
            "Most blocked visits by person",
            tuple((people.name(who), words.number(n, "visit", "visits")) for who, n in blocked),
        ),
        ("Heavy use by person", tuple((people.name(who), words.amount(n)) for who, n in loaded)),
    )
    return tuple((title, rows) for title, rows in found if rows)
