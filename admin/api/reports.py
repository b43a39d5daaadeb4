"""What people say of sites, and IT's answers."""

from datetime import datetime
from typing import Self, assert_never

from pydantic import BaseModel, Field

from admin.api.operation import Call, Input, Listed, Nothing, example
from admin.asking import InvalidRequestError
from admin.site_reports import Answer, ReportKind, SiteReport
from admin.web.words import plain, report_status
from categories.snapshot import CategorySnapshotError


class Report(BaseModel):
    """A report as it stands."""

    id: int
    number: str
    kind: ReportKind
    status: str = Field(description="Where it stands in words, as the pages have it.")
    site: str
    department: str | None
    category: str | None = Field(description="What the site was listed as when it was stopped.")
    proposed: str | None
    remark: str
    sent_at: datetime
    answer: Answer | None
    answered_category: str | None
    answered_at: datetime | None
    note: str | None

    @classmethod
    def of(cls, report: SiteReport) -> Self:
        """Return it as whoever may see it sees it."""
        return cls(
            id=report.id,
            number=report.number,
            kind=report.kind,
            status=plain(report_status(report).words),
            site=report.site,
            department=report.department,
            category=report.category,
            proposed=report.proposed,
            remark=report.remark,
            sent_at=report.sent_at,
            answer=report.answer,
            answered_category=report.answered_category,
            answered_at=report.answered_at,
            note=report.note,
        )


class Unanswered(BaseModel):
    """Open reports of one kind about one site: one answer is for all of them."""

    id: int = Field(description="The first one's id, to answer by.")
    kind: ReportKind
    site: str
    reports: list[Report]
    categories: list[str] | None = Field(
        description="What the site is listed as now; null: not to be said now."
    )
    seen: int | None = Field(description="The correction in force, to send with an answer that corrects.")


class WrongCategory(Input):
    """What it should be listed as, null where that is not known."""

    model_config = example(proposed="reference", remark="It is a museum.")

    proposed: str | None = None
    remark: str = ""


class AnswerReports(Input):
    """`corrected` and `kept` answer a wrong category, `blocked` and `no_problem` an accident."""

    model_config = example(answer="kept", note="The list is right.")

    answer: Answer
    category: str | None = Field(
        None, description="What to list the site as; null with `corrected`: as nothing."
    )
    seen: int | None = None
    note: str = Field("", description="With `kept`: why. Those who asked read it.")


async def list_reports(call: Call[Nothing, Nothing]) -> Listed[Report]:
    """List what you said of sites, newest first."""
    found = await call.admin.reports.mine(call.session)
    return Listed[Report](items=[Report.of(report) for report in found])


async def read_report(call: Call[Nothing, Nothing]) -> Report:
    """Say where a report stands."""
    return Report.of(await call.admin.reports.get(call.session, call.id))


async def report_request(call: Call[Nothing, WrongCategory]) -> Report:
    """Say that the site of a request is listed wrongly."""
    admin, session = call.admin, call.session
    request = await admin.request_views.get(session, call.id)
    code = await admin.reports.remember_request(session, request)
    return Report.of(await admin.reports.wrong_category(session, code, call.body.proposed, call.body.remark))


async def list_unanswered(call: Call[Nothing, Nothing]) -> Listed[Unanswered]:
    """List the reports that wait for IT, those about one site together."""
    items = []
    for kind in ReportKind:
        for found in await call.admin.review.unanswered(call.session, kind):
            site, categories, seen = found[0].site, None, None
            try:
                listing = await call.admin.review.listing(call.session, site)
                categories, seen = [match.category for match in listing.matches], listing.seen
            except (CategorySnapshotError, InvalidRequestError):
                pass
            items.append(
                Unanswered(
                    id=found[0].id,
                    kind=kind,
                    site=site,
                    reports=[Report.of(report) for report in found],
                    categories=categories,
                    seen=seen,
                )
            )
    return Listed[Unanswered](items=items)


async def answer_reports(call: Call[Nothing, AnswerReports]) -> Listed[Report]:
    """Answer a report, and all open ones of its kind about the same site."""
    review, session, body = call.admin.review, call.session, call.body
    match body.answer:
        case Answer.CORRECTED:
            answered = await review.correct_reported(session, call.id, body.category, body.seen)
        case Answer.KEPT:
            answered = await review.keep(session, call.id, body.note)
        case Answer.BLOCKED:
            answered = await review.block_reported(session, call.id, body.category or "", body.seen)
        case Answer.NO_PROBLEM:
            answered = await review.no_problem(session, call.id)
        case _:
            assert_never(body.answer)
    return Listed[Report](items=[Report.of(report) for report in answered])
