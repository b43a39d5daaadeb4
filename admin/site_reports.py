"""What people say of a site that was stopped, and IT's answer.

    sent -> corrected | kept          this is the wrong category
         -> blocked | no_problem      I came here by accident

Reports of one kind about one site are answered together, once: of two people of IT who answer, the
second gets an AnsweredMeanwhileError, which is recorded.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from admin.asking import NotAllowedError, UnknownRequestError
from admin.clock import from_ms
from admin.database import Reader, Row


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


async def get(db: Reader, id_: int) -> SiteReport:
    """Return a report. Raises UnknownRequestError."""
    row = await db.fetch_one("SELECT * FROM site_report WHERE id = ?", id_)
    if row is None:
        raise UnknownRequestError(f"there is no report REP-{id_}")
    return report_of(row)


async def open_like(db: Reader, report: SiteReport) -> list[SiteReport]:
    """Return the open reports that an answer to this one would answer, itself too."""
    rows = await db.fetch_all(
        "SELECT * FROM site_report WHERE kind = ? AND site = ? AND answer IS NULL ORDER BY id",
        report.kind.value,
        report.site,
    )
    return [report_of(row) for row in rows]


async def mine(db: Reader, person: str | None, browser: str) -> list[SiteReport]:
    """Return the person's reports and those sent from the browser, newest first, 100 at most."""
    rows = await db.fetch_all(
        "SELECT * FROM site_report WHERE person = ? OR browser = ? ORDER BY id DESC LIMIT 100",
        person,
        browser,
    )
    return [report_of(row) for row in rows]


async def unanswered(db: Reader, kind: ReportKind) -> list[list[SiteReport]]:
    """Return the open reports of a kind, those about one site together; the site waiting longest first."""
    rows = await db.fetch_all(
        "SELECT * FROM site_report WHERE kind = ? AND answer IS NULL ORDER BY id LIMIT 1000", kind.value
    )
    by_site: dict[str, list[SiteReport]] = {}
    for row in rows:
        by_site.setdefault(row["site"], []).append(report_of(row))
    return list(by_site.values())


async def count_sites(db: Reader) -> int:
    """Return how many sites wait for an answer, once per kind."""
    row = await db.fetch_one(
        "SELECT count(*) AS sites FROM (SELECT DISTINCT kind, site FROM site_report WHERE answer IS NULL)"
    )
    return row["sites"] if row else 0


def report_of(row: Row) -> SiteReport:
    """Return the report of a row."""
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
