"""The words of the weekly report's letter: counted when it is sent, by the visit log as it is then."""

from admin import roles
from admin.database import Database
from admin.letters.parts import Link, OutdatedLetterError, Town, Words
from admin.outbox import PutLetter
from admin.web import report_words, words
from admin.web.report_words import Facts
from admin.week import Week
from admin.weekly_report import WeeklyReport, weekly_report

_MOST = 5


async def words_of_weekly_report(put: PutLetter, db: Database, town: Town) -> Words:
    """Find the words.

    Raises OutdatedLetterError where the reader has no such report any more, DatabaseError or sqlite3.Error
    where the visit log cannot be read.
    """
    department = put.letter.values["department"] or None
    if department not in roles.weekly_reports_of(town.policy, put.letter.to):
        raise OutdatedLetterError("the reader answers for this no more")
    report = await weekly_report(
        db, town.policy, department, Week.parse(put.letter.values["monday"]), town.now
    )
    heading = report_words.title(report, town.people, town.now.astimezone(town.zone).date())
    return Words(
        subject=heading,
        heading=heading,
        facts=_numbers(report),
        lists=_lists(report, town),
        link=Link("See the whole report", f"/weekly?of={department or ''}&week={report.week}"),
        below=(
            "People are named as the policy says." if report.named is not None else "Nobody is named.",
            "A visit counts in the week in which it began, once it has ended.",
        ),
    )


def _numbers(report: WeeklyReport) -> Facts:
    now, before = report.now.used, report.before.used
    return (
        ("Visits", f"{words.number(now.visits)}, after {words.number(before.visits)} the week before"),
        ("Blocked", f"{words.number(now.blocked)}, after {words.number(before.blocked)}"),
        ("Requests", report_words.requests(report.now.requests)),
        ("Heavy use", report_words.heavy(report)),
    )


def _lists(report: WeeklyReport, town: Town) -> tuple[tuple[str, Facts], ...]:
    departments = tuple(
        (report_words.department(id_, town.people), report_words.used(use)) for id_, use in report.departments
    )
    visited = tuple((town.category(id_ or None), report_words.used(use)) for id_, use in report.categories)
    blocked = tuple((town.category(id_), words.number(n, "visit", "visits")) for id_, n in report.blocked)
    found = (
        ("Departments", departments),
        ("Most visited", visited[:_MOST]),
        ("Most blocked", blocked[:_MOST]),
        *((title, rows[:_MOST]) for title, rows in report_words.lists(report, town.people)),
    )
    return tuple((title, rows) for title, rows in found if rows)
