"""What cannot be done, as RFC 9457 has it, in the words of the pages."""

import logging
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, Field, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from admin.api.bearer import WrongScopeError
from admin.api_tokens import TokenRefusedError
from admin.asking import (
    AccessRequest,
    AlreadyOpenError,
    InvalidRequestError,
    JoinInsteadError,
    NotAllowedError,
    TransitionError,
    UnknownRequestError,
)
from admin.call_limit import TooManyCallsError
from admin.closed_people import AlreadyClosedError, LastOfItError, UnknownPersonError
from admin.corrections import CorrectedMeanwhileError
from admin.database import DatabaseError
from admin.measures import AlreadySoError
from admin.never_inspected import InspectionAnsweredError
from admin.people_lists import ListChangedError, PeopleFileError
from admin.site_reports import AnsweredMeanwhileError
from admin.visits import NamesHiddenError
from admin.web.errors import browser_gone
from admin.web.long_questions import BrowserGoneError, TooLongError
from admin.web.page import admin_of, whose_answer
from admin.web.people import People
from admin.web.request_words import standing
from admin.web.session_cookie import session_of
from admin.web.words import Times, plain, report_status
from categories.snapshot import CategorySnapshotError
from policy.problem import PolicyError
from policy.snapshot import SnapshotError

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"


class FieldProblem(BaseModel):
    """What is wrong with a field of what was sent."""

    field: str
    message: str


class Problem(BaseModel):
    """What cannot be done, and why; nothing changed."""

    type: str = Field(description="The address of what is said of this kind of problem.")
    title: str
    status: int
    detail: str
    errors: list[FieldProblem] = Field([], description="Of what was sent, what cannot be accepted.")


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of problem. `slug` is its place on the page about the API."""

    slug: str
    status: int
    title: str
    said: str


class NothingToAskError(Exception):
    """The site is open to the person already: the message says it."""


KINDS = {
    kind.slug: kind
    for kind in (
        Kind("not-json", 400, "This is not JSON", "The body cannot be read as JSON."),
        Kind(
            "token", 401, "A token is needed", "There is none, or it is over; a sign-in does not count here."
        ),
        Kind("scope", 403, "The token is not for this", "Its person may, with a token that has the scope."),
        Kind("not-allowed", 403, "This is for someone else", "By the town's policy, whatever the token."),
        Kind("own-request", 403, "This is your own request", "Somebody else decides."),
        Kind("names-hidden", 403, "Names are hidden", "Until a reason is given, which is recorded."),
        Kind("not-found", 404, "There is no such page", "Or it is for someone else."),
        Kind("not-here", 405, "This cannot be done here", "The address knows other methods."),
        Kind("already-open", 409, "It is open", "There is nothing to ask for."),
        Kind("asked-already", 409, "You have asked already", "And the request is not decided yet."),
        Kind("join-instead", 409, "A colleague has asked", "And their request can be joined."),
        Kind("already-decided", 409, "Already decided", "Somebody was first."),
        Kind("already-answered", 409, "Already answered", "Somebody was first."),
        Kind("already-corrected", 409, "Already corrected", "Somebody was first."),
        Kind("already-so", 409, "It is so already", "Somebody was first."),
        Kind("changed-meanwhile", 409, "It changed meanwhile", "Look at it anew."),
        Kind(
            "too-large",
            413,
            "This is too large",
            "The body has 64 KiB at most, and 5 MiB where it is a list of people.",
        ),
        Kind("media-type", 415, "This is not sent as JSON", "Send it with Content-Type: application/json."),
        Kind("invalid", 422, "Something is to be put right", "`errors` names each field, and why."),
        Kind("too-many", 429, "Too many calls", "Retry-After says in how many seconds it goes on."),
        Kind("broken", 500, "Something broke here", "It is not your fault, and it has been logged."),
        Kind("too-long", 503, "This takes too long", "Ask for a shorter time, or for a site or a code."),
        Kind("not-saved", 503, "It could not be saved", "A file cannot be read or written here."),
        Kind("trouble", 503, "Not there right now", "Try again. The web goes on as before."),
    )
}


def problem(slug: str, detail: str = "", errors: Mapping[str, str] | None = None, **headers: str) -> Response:
    """Return the answer: of this kind, with its own words where there are others."""
    kind = KINDS[slug]
    told = Problem(
        type=f"/api#{slug}",
        title=kind.title,
        status=kind.status,
        detail=detail or kind.said,
        errors=[FieldProblem(field=name, message=message) for name, message in (errors or {}).items()],
    )
    body = told.model_dump_json(exclude_defaults=True)
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(body, kind.status, headers=names, media_type=MEDIA_TYPE)


async def _token(_http_request: Request, error: Exception) -> Response:
    return problem("token", f"{error}.", WWW_Authenticate='Bearer realm="Towngate"')


async def _scope(_http_request: Request, error: Exception) -> Response:
    return problem("scope", f"{error}. Nothing changed.")


async def _too_many(_http_request: Request, error: TooManyCallsError) -> Response:
    return problem("too-many", f"Go on in {error.seconds} seconds.", Retry_After=str(error.seconds))


async def _not_allowed(http_request: Request, error: Exception) -> Response:
    is_own, awaited = await whose_answer(http_request, error)
    if is_own:
        return problem("own-request", f"{f'It goes to {awaited}. ' if awaited else ''}Nothing changed.")
    said = f"It waits for {awaited}." if awaited else "Only people with that duty see and do this."
    return problem("not-allowed", f"{said} Nothing changed.")


async def _already_decided(http_request: Request, error: TransitionError) -> Response:
    return problem("already-decided", f"{_status(http_request, error.request)}. Nothing changed.")


async def _asked_already(http_request: Request, error: AlreadyOpenError) -> Response:
    request = error.request
    return problem("asked-already", f"{request.number}: {_status(http_request, request)}. Nothing changed.")


async def _join_instead(http_request: Request, error: JoinInsteadError) -> Response:
    # What a limit stopped is joined by its stop: the site itself is open, and nothing to ask for.
    how = f"join it by POST {http_request.url.path.removesuffix('/ask')}/join"
    return problem("join-instead", f"{error.request.number} waits for an answer: {how}. Nothing changed.")


async def _answered(_http_request: Request, error: AnsweredMeanwhileError) -> Response:
    report = error.report
    return problem(
        "already-answered", f"{report.number}: {plain(report_status(report).words)}. Nothing changed."
    )


async def _inspection_answered(_http_request: Request, error: InspectionAnsweredError) -> Response:
    said = "is not decrypted any more" if error.present else "is not on the list of what is never decrypted"
    return problem("already-answered", f"{error.host} {said}. Nothing changed.")


async def _corrected(http_request: Request, error: CorrectedMeanwhileError) -> Response:
    if error.present is None:
        return problem(
            "already-corrected", "Its correction was undone while you looked at it. Nothing changed."
        )
    by = People(admin_of(http_request).policy).name(error.present.made_by)
    return problem("already-corrected", f"{by} corrected this: {error.present.why}. Nothing changed.")


async def _already_so(_http_request: Request, error: Exception) -> Response:
    if isinstance(error, AlreadySoError) and error.measure is None:
        return problem("not-found")
    text = str(error)
    return problem("already-so", f"{text[:1].upper()}{text[1:]}. Nothing changed.")


async def _invalid(_http_request: Request, error: InvalidRequestError) -> Response:
    return problem("invalid", f"{error}.", {error.field: str(error)})


async def _last_of_it(_http_request: Request, error: Exception) -> Response:
    text = str(error)
    said = f"{text[:1].upper()}{text[1:]}"
    return problem("invalid", f"{said}.", {"person": said})


async def _not_valid(_http_request: Request, error: ValidationError) -> Response:
    found = error.errors(include_url=False, include_context=False, include_input=False)
    if any(one["type"] == "json_invalid" for one in found):
        return problem("not-json")
    errors = {".".join(map(str, one["loc"])) or "body": one["msg"] for one in found}
    fields: dict[str, list[str]] = {}
    for name, message in errors.items():
        fields.setdefault(message, []).append(name)
    said = " ".join(f"{', '.join(names)}: {message}." for message, names in fields.items())
    return problem("invalid", said, errors)


async def _bad_list(_http_request: Request, error: PolicyError) -> Response:
    """Say each problem of a list of people, or of the policy with it, by its file and line."""
    errors: dict[str, str] = {}
    for one in error.problems:
        field = f"{one.file or 'policy.yaml'}, line {one.line}"
        said = f"{one.place}: {one.message}" if one.place else one.message
        errors[field] = f"{errors[field]}; {said}" if field in errors else said
    return problem("invalid", "The list cannot be used. Nothing changed.", errors)


async def _list_changed(_http_request: Request, _error: ListChangedError) -> Response:
    return problem("changed-meanwhile", "Look at what the list changes now. Nothing changed.")


async def _people_file(_http_request: Request, error: PeopleFileError) -> Response:
    return problem("not-saved", f"{error}. Nothing changed.")


async def _nothing_to_ask(_http_request: Request, error: Exception) -> Response:
    return problem("already-open", f"{error}.")


async def _names_hidden(_http_request: Request, _error: Exception) -> Response:
    return problem("names-hidden", "Give a reason first: POST /api/v1/visits/names. It is recorded.")


async def _not_found(_http_request: Request, _error: Exception) -> Response:
    return problem("not-found", "The address may be cut, or what is there is for someone else.")


async def _http_error(http_request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 400
    if status == 405 and isinstance(error, HTTPException):
        return problem("not-here", Allow=(error.headers or {}).get("Allow", ""))
    slug = {413: "too-large", 415: "media-type"}.get(status)
    return problem(slug) if slug else await _not_found(http_request, error)


async def _too_long(_http_request: Request, error: Exception) -> Response:
    logger.warning("question given up: %s", error)
    return problem("too-long")


async def _trouble(http_request: Request, error: Exception) -> Response:
    logger.error("api path=%s error=%s", http_request.url.path, error)
    return problem("trouble")


async def _broken(_http_request: Request, _error: Exception) -> Response:
    return problem("broken")


def _status(http_request: Request, request: AccessRequest) -> str:
    admin = admin_of(http_request)
    times = Times(admin.zone, admin.now())
    return plain(standing(request, admin.policy, session_of(http_request), times).words)


EXCEPTION_HANDLERS: Mapping[Any, Any] = {
    TokenRefusedError: _token,
    WrongScopeError: _scope,
    TooManyCallsError: _too_many,
    NotAllowedError: _not_allowed,
    NamesHiddenError: _names_hidden,
    TransitionError: _already_decided,
    AlreadyOpenError: _asked_already,
    NothingToAskError: _nothing_to_ask,
    AnsweredMeanwhileError: _answered,
    InspectionAnsweredError: _inspection_answered,
    CorrectedMeanwhileError: _corrected,
    AlreadySoError: _already_so,
    AlreadyClosedError: _already_so,
    JoinInsteadError: _join_instead,
    InvalidRequestError: _invalid,
    LastOfItError: _last_of_it,
    ValidationError: _not_valid,
    PolicyError: _bad_list,
    ListChangedError: _list_changed,
    PeopleFileError: _people_file,
    UnknownRequestError: _not_found,
    UnknownPersonError: _not_found,
    TooLongError: _too_long,
    BrowserGoneError: browser_gone,
    HTTPException: _http_error,
    CategorySnapshotError: _trouble,
    SnapshotError: _trouble,
    # Also one that is damaged; what a statement of ours does wrong is a fault.
    sqlite3.DatabaseError: _trouble,
    DatabaseError: _trouble,
    sqlite3.IntegrityError: _broken,
    sqlite3.ProgrammingError: _broken,
    Exception: _broken,
}
