"""The board: what IT looks at again. Every answer is a POST that ends on the board."""

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from admin.asking import AccessRequest, InvalidRequestError, State
from admin.never_inspected import Answered
from admin.review import Listing
from admin.site_reports import ReportKind, SiteReport
from admin.web.page import admin_of, go_to, page, status_of
from admin.web.session_cookie import field, form_number, signed_in
from categories.snapshot import CategorySnapshotError

# In the address after an answer, so that a reload says it again and answers nothing.
_DONE = "done"
_STOPPED = "stopped"
INSPECTION_DONE = "inspection"


async def board(http_request: Request) -> Response:
    """Show what waits for IT, the oldest first."""
    return await show_board(http_request)


async def answer(http_request: Request, form: FormData) -> Response:
    """Answer the reports of one card."""
    review, session = admin_of(http_request).review, signed_in(http_request)
    id_ = http_request.path_params["id"]
    category, seen = field(form, "category"), form_number(form, "seen")
    try:
        match field(form, "answer"):
            case "correct" if category:
                nothing = category == "nothing"
                await review.correct_reported(session, id_, None if nothing else category, seen)
            case "keep":
                await review.keep(session, id_, field(form, "note"))
            case "block":
                await review.block_reported(session, id_, category, seen)
            case "no_problem":
                await review.no_problem(session, id_)
            case _:
                raise InvalidRequestError("category", "Choose what it is")
    except InvalidRequestError as error:
        return await show_board(http_request, InvalidRequestError(f"{error.field}-{id_}", str(error)))
    return go_to(f"/review?{_DONE}={id_}")


async def leave_open(http_request: Request, _form: FormData) -> Response:
    """Leave access open that was looked at."""
    await admin_of(http_request).review.leave_open(signed_in(http_request), http_request.path_params["id"])
    return go_to("/review")


async def stop(http_request: Request, form: FormData) -> Response:
    """Stop access that was opened lately; asker, approvers and help desk are told."""
    id_ = http_request.path_params["id"]
    try:
        await admin_of(http_request).requests.stop(signed_in(http_request), id_, field(form, "reason"))
    except InvalidRequestError as error:
        return await show_board(http_request, InvalidRequestError(f"{error.field}-{id_}", str(error)))
    return go_to(f"/review?{_STOPPED}={id_}")


async def show_board(http_request: Request, error: InvalidRequestError | None = None) -> Response:
    """Show the board, with what is wrong with a form of it, if something is."""
    admin, session = admin_of(http_request), signed_in(http_request)
    opened = await admin.review.opened_lately(session)
    wrong = await admin.review.unanswered(session, ReportKind.WRONG_CATEGORY)
    accidents = await admin.review.unanswered(session, ReportKind.ACCIDENT)
    stopped = await _stopped(http_request)
    return await page(
        http_request,
        "review.html",
        422 if error else 200,
        opened=[(request, status_of(http_request, request)) for request in opened],
        wrong=[(reports, await _listing(http_request, reports[0])) for reports in wrong],
        accidents=[(reports, await _listing(http_request, reports[0])) for reports in accidents],
        may_answer=lambda reports: admin.review.may_answer(session.person or "", reports),
        blocking=admin.review.blocking_categories(),
        untrusting=await admin.review.untrusting(session),
        never_inspected=await admin.review.never_inspected(session),
        inspection=await _inspection(http_request),
        done=await _done(http_request),
        stopped=stopped,
        has_mail=stopped is not None and admin.correspondence.reaches(stopped.person),
        error=error,
    )


async def _done(http_request: Request) -> SiteReport | None:
    """Return the report that was just answered."""
    id_ = _number(http_request, _DONE)
    if id_ is None:
        return None
    report = await admin_of(http_request).reports.get(signed_in(http_request), id_)
    return report if report.answer else None


async def _inspection(http_request: Request) -> Answered | None:
    """Return what was just answered about a host that is opened or not."""
    id_ = _number(http_request, INSPECTION_DONE)
    if id_ is None:
        return None
    try:
        return await admin_of(http_request).review.inspection_answer(signed_in(http_request), id_)
    except LookupError:
        return None


async def _stopped(http_request: Request) -> AccessRequest | None:
    """Return the request whose access was just stopped."""
    id_ = _number(http_request, _STOPPED)
    if id_ is None:
        return None
    request = await admin_of(http_request).request_views.get(signed_in(http_request), id_)
    return request if request.state is State.STOPPED else None


def _number(http_request: Request, name: str) -> int | None:
    text = http_request.query_params.get(name, "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else None


async def _listing(http_request: Request, report: SiteReport) -> Listing | None:
    """Return what the site of a card is listed as now; None where that cannot be said or changed."""
    try:
        return await admin_of(http_request).review.listing(signed_in(http_request), report.site)
    except (CategorySnapshotError, InvalidRequestError):
        return None
