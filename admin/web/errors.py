"""Errors as pages, in the voice of the others: what happened, what now, who helps."""

import logging
import sqlite3
from collections.abc import Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from admin.asking import NotAllowedError, State, TransitionError, UnknownRequestError
from admin.call_limit import TooManyCallsError
from admin.corrections import CorrectedMeanwhileError
from admin.database import DatabaseError
from admin.never_inspected import InspectionAnsweredError
from admin.sessions import LinkUsedError, NotAtTheDeviceError
from admin.site_reports import AnsweredMeanwhileError
from admin.web.long_questions import MOST_SECONDS, BrowserGoneError, TooLongError
from admin.web.page import admin_of, lead_to, page, sign_in_path, status_of, whose_answer
from admin.web.people import People
from admin.web.session_cookie import Cookies, ForgedFormError, SignInNeededError, session_of
from admin.web.words import report_status
from policy.ask_token import AskTokenError, AskTokenExpiredError

logger = logging.getLogger(__name__)


async def sign_in_needed(http_request: Request, _error: Exception) -> Response:
    """Lead to signing in, and back to the same page after it."""
    return lead_to(http_request, sign_in_path(http_request))


async def not_allowed(http_request: Request, error: Exception) -> Response:
    """Say why a person may not do this; for an answer, whose it needs."""
    is_own, awaited = await whose_answer(http_request, error)
    return await page(http_request, "not_allowed.html", 403, is_own=is_own, awaited=awaited)


async def forged_form(http_request: Request, error: Exception) -> Response:
    """Refuse a form that did not come from a page of this site, or whose session is over."""
    logger.warning("form refused path=%s because=%s", http_request.url.path, error)
    cookies: Cookies = http_request.app.state.cookies
    return await page(http_request, "forged_form.html", 403, origin=cookies.origin)


async def no_longer_so(http_request: Request, error: Exception) -> Response:
    """Say who was first, or that its time is over; nothing changed."""
    if not isinstance(error, TransitionError):
        raise error
    session = session_of(http_request)
    request = error.request
    return await page(
        http_request,
        "no_longer_so.html",
        409,
        request=request,
        is_over=request.state_at(admin_of(http_request).now()) is State.ENDED,
        status=status_of(http_request, request),
        decided_by=People(admin_of(http_request).policy).decider(
            request, session.person if session else None
        ),
    )


async def inspection_answered(http_request: Request, error: Exception) -> Response:
    """Say who answered first about a host that is, or is not, to be opened."""
    if not isinstance(error, InspectionAnsweredError):
        raise error
    return await page(http_request, "inspection_answered.html", 409, site=error.host, present=error.present)


async def answered_meanwhile(http_request: Request, error: Exception) -> Response:
    """Say which of IT was first; nothing changed."""
    if isinstance(error, AnsweredMeanwhileError):
        report = error.report
        return await page(
            http_request, "answered_meanwhile.html", 409, report=report, status=report_status(report)
        )
    if isinstance(error, CorrectedMeanwhileError):
        site, present = error.site, error.present
        return await page(http_request, "corrected_meanwhile.html", 409, site=site, present=present)
    raise error


async def old_link(http_request: Request, error: Exception) -> Response:
    """Say that an Ask link is over or damaged."""
    is_old = isinstance(error, AskTokenExpiredError)
    return await page(http_request, "old_link.html", 410 if is_old else 400, is_old=is_old)


async def used_link(http_request: Request, _error: Exception) -> Response:
    """Say that an Ask link was opened in another browser, and how to get one for this."""
    return await page(http_request, "used_link.html", 410)


async def not_at_the_device(http_request: Request, _error: Exception) -> Response:
    """Say how to see what was stopped here once it is no longer sure who looks."""
    return await page(http_request, "not_at_the_device.html", 403)


async def not_found(http_request: Request, _error: Exception) -> Response:
    """Say that there is no such page, or none for this person."""
    return await page(http_request, "not_found.html", 404)


async def http_error(http_request: Request, error: Exception) -> Response:
    """Answer what the routes themselves refuse: an unknown address, a wrong method."""
    status = error.status_code if isinstance(error, HTTPException) else 400
    if status == 404:
        return await not_found(http_request, error)
    return await page(http_request, "bad_request.html", status)


async def database_trouble(http_request: Request, error: Exception) -> Response:
    """Say that nothing was saved, or that there is nothing to show."""
    logger.error("database path=%s error=%s", http_request.url.path, error)
    is_form = http_request.method == "POST"
    return _plain(503, "Not saved. Try again." if is_form else "Not there right now. Try again.")


async def too_long(http_request: Request, error: Exception) -> Response:
    """Say that a question to the visit log was given up, and what to do."""
    logger.warning("question given up: %s", error)
    return await page(http_request, "too_long.html", 503, seconds=round(MOST_SECONDS))


async def too_many(http_request: Request, error: Exception) -> Response:
    """Say that a form was not taken, and when the next one is."""
    seconds = error.seconds if isinstance(error, TooManyCallsError) else 1
    logger.warning("form refused path=%s because=%s", http_request.url.path, error)
    response = await page(http_request, "too_many.html", 429, seconds=seconds)
    response.headers["Retry-After"] = str(seconds)
    return response


async def browser_gone(_http_request: Request, error: Exception) -> Response:
    """Answer nobody."""
    logger.info("question given up: %s", error)
    return Response(status_code=204)


async def broken(http_request: Request, _error: Exception) -> Response:
    """Say that the fault is ours. Needs neither database nor templates, which may be the fault."""
    return _plain(500, "Something broke here. It is not your fault, and it has been logged.")


def _plain(status: int, what: str) -> Response:
    return Response(
        f"<!doctype html><html lang=en><meta charset=utf-8>"
        f"<meta name=viewport content='width=device-width'><title>{what}</title>"
        f"<link rel=stylesheet href=/static/town.css><main id=main class=plain><h1>{what}</h1>"
        f"<p>The web goes on as before. <a href=''>Try again</a></p></main>",
        status,
        media_type="text/html",
    )


EXCEPTION_HANDLERS: Mapping[Any, Any] = {
    SignInNeededError: sign_in_needed,
    NotAllowedError: not_allowed,
    ForgedFormError: forged_form,
    TransitionError: no_longer_so,
    AskTokenError: old_link,
    AnsweredMeanwhileError: answered_meanwhile,
    InspectionAnsweredError: inspection_answered,
    CorrectedMeanwhileError: answered_meanwhile,
    LinkUsedError: used_link,
    NotAtTheDeviceError: not_at_the_device,
    UnknownRequestError: not_found,
    TooLongError: too_long,
    TooManyCallsError: too_many,
    BrowserGoneError: browser_gone,
    HTTPException: http_error,
    # Also one that is damaged; what a statement of ours does wrong is a fault.
    sqlite3.DatabaseError: database_trouble,
    DatabaseError: database_trouble,
    sqlite3.IntegrityError: broken,
    sqlite3.ProgrammingError: broken,
    Exception: broken,
}
