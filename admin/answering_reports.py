"""IT's answer to what people said of a site, and the reminder where there is none."""

from collections.abc import Iterable
from datetime import datetime

from admin import audit
from admin.audit import Detail, Event, EventKind
from admin.clock import to_ms
from admin.database import Transaction
from admin.outbox import Letter, LetterKind, put
from admin.site_reports import Answer, ReportKind, SiteReport, open_like, report_of
from policy.town_policy import Policy


async def answer(
    t: Transaction,
    report: SiteReport,
    answer: Answer,
    *,
    category: str | None,
    note: str,
    actor: str,
    at: datetime,
) -> list[SiteReport]:
    """Answer every open report of the same kind and site, and tell those who sent them; return them.

    `report` was just read in this transaction and is open. `category` is what the site was corrected to.
    """
    rows = await t.fetch_all(
        "UPDATE site_report SET answer = ?, answered_category = ?, answered_by = ?, answered_at = ?, note = ?"
        " WHERE kind = ? AND site = ? AND answer IS NULL RETURNING *",
        answer.value,
        category,
        actor,
        to_ms(at),
        note or None,
        report.kind.value,
        report.site,
    )
    answered = [report_of(row) for row in rows]
    for each in answered:
        details: dict[str, Detail] = {
            "answer": answer.value,
            "site": each.site,
            "category": category,
            "note": note or None,
        }
        await audit.record(t, Event(EventKind.REPORT_ANSWERED, actor, each.number, at, details))
        if each.person is not None:
            await put(t, _answer_letter(each, each.person), at)
    return answered


def may_answer(policy: Policy, reports: Iterable[SiteReport], person: str) -> bool:
    """Whether one of IT may answer these: not who sent one of them, unless nobody else of IT is left."""
    it = frozenset(policy.roles.get("it_security", ()))
    return person in (it - {report.person for report in reports} or it)


async def remind(t: Transaction, policy: Policy, at: datetime) -> None:
    """Remind IT, once, of each site of which something was said and not answered for the policy's hours."""
    rows = await t.fetch_all(
        "UPDATE site_report SET remind_at = NULL WHERE answer IS NULL AND remind_at <= ? RETURNING *",
        to_ms(at),
    )
    for report in map(report_of, rows):
        reports = await open_like(t, report)
        of_it = sorted(policy.roles.get("it_security", ()))
        people = [person for person in of_it if may_answer(policy, reports, person)]
        details: dict[str, Detail] = {"people": people, "site": report.site}
        await audit.record(t, Event(EventKind.REPORT_REMINDED, audit.CLOCK, report.number, at, details))
        values = {"host": report.site, "at": report.sent_at.isoformat()}
        for person in people:
            await put(t, Letter(LetterKind.REPORT_REMINDER, person, report.number, values), at)


async def refuse(t: Transaction, report: SiteReport, *, actor: str, at: datetime, why: str) -> None:
    """Record an answer that was not accepted."""
    details: dict[str, Detail] = {"why": why}
    await audit.record(t, Event(EventKind.REPORT_MOVE_REFUSED, actor, report.number, at, details))


def _answer_letter(report: SiteReport, person: str) -> Letter:
    values = {"host": report.site, "answer": report.answer or ""}
    if report.kind is ReportKind.ACCIDENT:
        return Letter(LetterKind.ACCIDENT_ANSWERED, to=person, about=report.number, values=values)
    category = report.answered_category if report.answer is Answer.CORRECTED else report.category
    values |= {"category": category or "", "note": report.note or ""}
    return Letter(LetterKind.CATEGORY_ANSWERED, to=person, about=report.number, values=values)
