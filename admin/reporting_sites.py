"""Saying something of a site that was stopped: kept once, and told to those whom it concerns."""

from datetime import datetime

from admin import audit
from admin.asking import InvalidRequestError, TooMuchError, site_of
from admin.asking_terms import answer_times
from admin.audit import AT_A_SHARED_DEVICE, Detail, Event, EventKind
from admin.clock import to_ms
from admin.database import Database, Transaction
from admin.outbox import Letter, LetterKind, put
from admin.site_reports import ReportKind, SiteReport, get, open_like, report_of
from admin.submitting import day_begins
from categories.taxonomy import taxonomy
from policy.ask_token import AskToken
from policy.town_policy import Policy
from policy.town_time import zone_of


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
    site, actor = _site(ask.host), ask.person or AT_A_SHARED_DEVICE
    try:
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
            await audit.record(t, Event(EventKind.REPORT_SENT, actor, report.number, at, details))
            if await open_like(t, report) == [report]:
                remind_at, _ = answer_times(policy, at)
                await t.execute(
                    "UPDATE site_report SET remind_at = ? WHERE id = ?", to_ms(remind_at), report.id
                )
            if open_already is None:
                await _tell(t, policy, report, at)
    except TooMuchError as error:
        details = {"move": "report", "kind": kind.value, "why": str(error)}
        async with db.transaction() as t:
            await audit.record(t, Event(EventKind.REPORT_MOVE_REFUSED, actor, site, at, details))
        raise
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
    return report_of(row) if row else None


async def _of_visit(t: Transaction, kind: ReportKind, code: str, person: str | None) -> SiteReport | None:
    row = await t.fetch_one(
        "SELECT * FROM site_report WHERE kind = ? AND code = ? AND person IS ?", kind.value, code, person
    )
    return report_of(row) if row else None


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
