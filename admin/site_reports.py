"""What people say of a site that was stopped, and IT's answer.

    sent -> corrected | kept          this is the wrong category
         -> blocked | no_problem      I came here by accident

Reports of one kind about one site are answered together, once: of two people of IT who answer, the
second gets an AnsweredMeanwhileError, which is recorded.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from admin import audit
from admin.asking import (
    InvalidRequestError,
    NotAllowedError,
    TooMuchError,
    UnknownRequestError,
    answer_times,
    site_of,
)
from admin.audit import Detail, Event, EventKind
from admin.clock import from_ms, to_ms
from admin.database import Database, Reader, Row, Transaction
from admin.outbox import Letter, LetterKind, put
from admin.submitting import day_begins
from categories.taxonomy import taxonomy
from policy.ask_token import AskToken
from policy.town_policy import Policy
from policy.town_time import zone_of

SOMEONE = "someone at a shared device"


class ReportKind(StrEnum):
    """What is said of a site."""

    WRONG_CATEGORY = "wrong_category"
    ACCIDENT = "accident"


class Answer(StrEnum):
    """What IT made of it: the first two for a wrong category, the others for an accident."""

    CORRECTED = "corrected"
    KEPT = "kept"
    BLOCKED = "blocked"
    NO_PROBLEM = "no_problem"


@dataclass(frozen=True, slots=True)
class SiteReport:
    """A report as it stands. `category` and `source` are what the site was listed as when it was stopped.

    `proposed` is the category it should be, None where the person does not know. The answer's fields
    are None until there is one; `answered_category` is what the site was corrected to, if it was.
    """

    id: int
    kind: ReportKind
    site: str
    code: str
    person: str | None
    department: str | None
    browser: str
    category: str | None
    source: str | None
    proposed: str | None
    remark: str
    sent_at: datetime
    answer: Answer | None
    answered_category: str | None
    answered_by: str | None
    answered_at: datetime | None
    note: str | None

    @property
    def number(self) -> str:
        """The number people use, like "REP-4"."""
        return f"REP-{self.id}"


ANSWERS = {
    ReportKind.WRONG_CATEGORY: frozenset({Answer.CORRECTED, Answer.KEPT}),
    ReportKind.ACCIDENT: frozenset({Answer.BLOCKED, Answer.NO_PROBLEM}),
}


class OwnReportError(NotAllowedError):
    """Nobody answers what they said themselves, while another of IT is there; recorded, nothing changed."""


class AnsweredMeanwhileError(Exception):
    """Someone else answered first: `report` is how it stands. Nothing changed."""

    def __init__(self, report: SiteReport) -> None:
        super().__init__(f"{report.number} is answered: {report.answer}, by {report.answered_by}")
        self.report = report


async def send(
    db: Database,
    policy: Policy,
    ask: AskToken,
    kind: ReportKind,
    *,
    browser: str,
    at: datetime,
    proposed: str | None = None,
    remark: str = "",
) -> SiteReport:
    """Report the site of a followed link; what was reported before is returned as it stands.

    A visit is reported once of a kind, and a person has one open report that a site's category is
    wrong. Mail goes to IT, of an accident to the department head, too: once while it is open. Raises
    InvalidRequestError for a category that is none, TooMuchError, recorded, for more than the policy lets one
    person send a day.
    """
    if proposed is not None and proposed not in taxonomy().listable:
        raise InvalidRequestError("proposed", "Choose a category from the list")
    try:
        return await _send(db, policy, ask, kind, browser, at, proposed, remark)
    except TooMuchError as error:
        details: dict[str, Detail] = {"move": "report", "kind": kind.value, "why": str(error)}
        refused = Event(EventKind.REPORT_MOVE_REFUSED, ask.person or SOMEONE, _site(ask.host), at, details)
        async with db.transaction() as t:
            await audit.record(t, refused)
        raise


async def _send(
    db: Database,
    policy: Policy,
    ask: AskToken,
    kind: ReportKind,
    browser: str,
    at: datetime,
    proposed: str | None,
    remark: str,
) -> SiteReport:
    site = _site(ask.host)
    async with db.transaction() as t:
        open_already = await _open_of(t, kind, site, ask.person, browser)
        same_visit = await _of_visit(t, kind, ask.code, ask.person)
        if same_visit is not None:
            return same_visit
        if open_already is not None and kind is ReportKind.WRONG_CATEGORY:
            return open_already
        await _refuse_more_than_a_day_has(t, policy, ask.person, browser, at)
        id_ = await t.insert(
            "INSERT INTO site_report (kind, site, code, person, department, browser, category, source,"
            " proposed, remark, sent_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            kind.value,
            site,
            ask.code,
            ask.person,
            ask.department,
            browser,
            ask.category,
            ask.source,
            proposed,
            remark,
            to_ms(at),
        )
        report = await get(t, id_)
        details: dict[str, Detail] = {
            "kind": kind.value,
            "site": site,
            "code": ask.code,
            "category": ask.category,
            "proposed": proposed,
        }
        actor = ask.person or SOMEONE
        await audit.record(t, Event(EventKind.REPORT_SENT, actor, report.number, at, details))
        if await open_like(t, report) == [report]:
            remind_at, _ = answer_times(policy, at)
            await t.execute("UPDATE site_report SET remind_at = ? WHERE id = ?", to_ms(remind_at), report.id)
        if open_already is None:
            await _tell(t, policy, report, at)
    return report


async def _refuse_more_than_a_day_has(
    t: Transaction, policy: Policy, person: str | None, browser: str, at: datetime
) -> None:
    row = await t.fetch_one(
        "SELECT count(*) AS sent FROM site_report WHERE sent_at >= ?1"
        " AND (person = ?2 OR (?2 IS NULL AND person IS NULL AND browser = ?3))",
        to_ms(day_begins(at, zone_of(policy))),
        person,
        browser,
    )
    if row is not None and row["sent"] >= policy.asking.per_day:
        raise TooMuchError(
            "remark",
            f"You have said this of {row['sent']} sites today, as often as a day has. Call the help desk",
        )


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
    answered = [_report(row) for row in rows]
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


async def open_like(db: Reader, report: SiteReport) -> list[SiteReport]:
    """Return the open reports that an answer to this one would answer, itself too."""
    rows = await db.fetch_all(
        "SELECT * FROM site_report WHERE kind = ? AND site = ? AND answer IS NULL ORDER BY id",
        report.kind.value,
        report.site,
    )
    return [_report(row) for row in rows]


async def remind(t: Transaction, policy: Policy, at: datetime) -> None:
    """Remind IT, once, of each site of which something was said and not answered for the policy's hours."""
    rows = await t.fetch_all(
        "UPDATE site_report SET remind_at = NULL WHERE answer IS NULL AND remind_at <= ? RETURNING *",
        to_ms(at),
    )
    for report in map(_report, rows):
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


async def get(db: Reader, id_: int) -> SiteReport:
    """Return a report. Raises UnknownRequestError."""
    row = await db.fetch_one("SELECT * FROM site_report WHERE id = ?", id_)
    if row is None:
        raise UnknownRequestError(f"there is no report REP-{id_}")
    return _report(row)


async def mine(db: Reader, person: str | None, browser: str) -> list[SiteReport]:
    """Return the person's reports and those sent from the browser, newest first, 100 at most."""
    rows = await db.fetch_all(
        "SELECT * FROM site_report WHERE person = ? OR browser = ? ORDER BY id DESC LIMIT 100",
        person,
        browser,
    )
    return [_report(row) for row in rows]


async def unanswered(db: Reader, kind: ReportKind) -> list[list[SiteReport]]:
    """Return the open reports of a kind, those about one site together; the site waiting longest first."""
    rows = await db.fetch_all(
        "SELECT * FROM site_report WHERE kind = ? AND answer IS NULL ORDER BY id LIMIT 1000", kind.value
    )
    by_site: dict[str, list[SiteReport]] = {}
    for row in rows:
        by_site.setdefault(row["site"], []).append(_report(row))
    return list(by_site.values())


async def count_sites(db: Reader) -> int:
    """Return how many sites wait for an answer, once per kind."""
    row = await db.fetch_one(
        "SELECT count(*) AS sites FROM (SELECT DISTINCT kind, site FROM site_report WHERE answer IS NULL)"
    )
    return row["sites"] if row else 0


def _site(host: str) -> str:
    try:
        return site_of(host)
    except InvalidRequestError:
        # Not one site, like an intranet's name: IT is told nonetheless.
        return host


async def _open_of(
    t: Transaction, kind: ReportKind, site: str, person: str | None, browser: str
) -> SiteReport | None:
    row = await t.fetch_one(
        "SELECT * FROM site_report WHERE kind = ? AND site = ? AND answer IS NULL"
        " AND (person = ? OR (person IS NULL AND browser = ?))",
        kind.value,
        site,
        person,
        browser,
    )
    return _report(row) if row else None


async def _of_visit(t: Transaction, kind: ReportKind, code: str, person: str | None) -> SiteReport | None:
    row = await t.fetch_one(
        "SELECT * FROM site_report WHERE kind = ? AND code = ? AND person IS ?", kind.value, code, person
    )
    return _report(row) if row else None


async def _tell(t: Transaction, policy: Policy, report: SiteReport, at: datetime) -> None:
    people = set(policy.roles.get("it_security", ()))
    if report.kind is ReportKind.WRONG_CATEGORY:
        kind = LetterKind.CATEGORY_REPORTED
        values = {
            "host": report.site,
            "listed_as": report.category or "",
            "proposed": report.proposed or "",
            "note": report.remark,
        }
    else:
        kind = LetterKind.ACCIDENT_REPORTED
        people |= _heads(policy, report)
        values = {
            "host": report.site,
            "category": report.category or "",
            "department": report.department or "",
            "at": report.sent_at.isoformat(),
        }
    for person in sorted(people - {report.person}):
        await put(t, Letter(kind, to=person, about=report.number, values=values), at)


def _heads(policy: Policy, report: SiteReport) -> set[str]:
    """Return whom an accident is told to beside IT: the head; of a head's own, the town administrator."""
    department = policy.departments.get(report.department or "")
    if department is None or department.head in (report.person, ""):
        return set(policy.roles.get("town_administrator", ()))
    return {department.head}


def _answer_letter(report: SiteReport, person: str) -> Letter:
    values = {"host": report.site, "answer": report.answer or ""}
    if report.kind is ReportKind.ACCIDENT:
        return Letter(LetterKind.ACCIDENT_ANSWERED, to=person, about=report.number, values=values)
    category = report.answered_category if report.answer is Answer.CORRECTED else report.category
    values |= {"category": category or "", "note": report.note or ""}
    return Letter(LetterKind.CATEGORY_ANSWERED, to=person, about=report.number, values=values)


def _report(row: Row) -> SiteReport:
    return SiteReport(
        id=row["id"],
        kind=ReportKind(row["kind"]),
        site=row["site"],
        code=row["code"],
        person=row["person"],
        department=row["department"],
        browser=row["browser"],
        category=row["category"],
        source=row["source"],
        proposed=row["proposed"],
        remark=row["remark"],
        sent_at=from_ms(row["sent_at"]),
        answer=Answer(row["answer"]) if row["answer"] is not None else None,
        answered_category=row["answered_category"],
        answered_by=row["answered_by"],
        answered_at=from_ms(row["answered_at"]) if row["answered_at"] is not None else None,
        note=row["note"],
    )
