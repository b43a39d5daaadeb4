"""Social media: the register of who is authorised, the form that proposes a person, and the terms to sign."""

import csv
import io
from collections.abc import Collection

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from admin import notices
from admin.asked import Authorisation, Level
from admin.asking import InvalidRequestError, State
from admin.social_media import Registered
from admin.web import asking_form
from admin.web.delegation import read_day
from admin.web.page import admin_of, go_to, page, status_of
from admin.web.people import People
from admin.web.session_cookie import field, known, signed_in
from admin.web.words import LEVELS, plain
from admin.written_text import as_cell

_FIELDS = ("person", "sites", "level", "last", "reason")
_COLUMNS = (
    *("request", "person", "department", "sites", "level", "recorded_not_enforced"),
    *("signed_at", "terms_version", "until", "state"),
)
_LIVE = (State.AWAITS_SIGNATURE, State.AWAITS_OPENING, State.APPROVED)


async def register_page(http_request: Request) -> Response:
    """List who is authorised for what, and who was."""
    admin, session = admin_of(http_request), signed_in(http_request)
    found = await admin.social_media.register(session)
    live = [one for one in found if one.request.state_at(admin.now()) in _LIVE]
    return await page(
        http_request,
        "social_media.html",
        live=[(one, status_of(http_request, one.request)) for one in live],
        past=[(one, status_of(http_request, one.request)) for one in found if one not in live],
        coordinators=admin.social_media.coordinators(session),
        proposes=bool(admin.social_media.proposes_for(session)),
        terms=admin.social_media.terms,
    )


async def register_csv(http_request: Request) -> Response:
    """Send the register as a table; a spreadsheet computes nothing of it."""
    admin = admin_of(http_request)
    found = await admin.social_media.register(signed_in(http_request))
    written = io.StringIO(newline="")
    table = csv.writer(written)
    table.writerow(_COLUMNS)
    for one in found:
        status = plain(status_of(http_request, one.request).words)
        table.writerow(map(as_cell, _row(one, People(admin.policy), status)))
    return Response(
        written.getvalue(),
        media_type="text/csv",
        headers={"Content-Disposition": 'attachment; filename="social-media-register.csv"'},
    )


async def propose_page(http_request: Request) -> Response:
    """Show the form, empty."""
    return await _form(http_request, dict.fromkeys(_FIELDS, ""), [])


async def propose(http_request: Request, form: FormData) -> Response:
    """Send it. A field that cannot be accepted brings it back, filled in as it was."""
    filled_in = {name: field(form, name) for name in _FIELDS}
    chosen = [value for value in form.getlist("authorisations") if value in set(Authorisation)]
    sending = admin_of(http_request).social_media.propose(
        signed_in(http_request),
        person=filled_in["person"],
        sites=filled_in["sites"].split(),
        level=Level(filled_in["level"]) if filled_in["level"] in set(Level) else None,
        authorisations=[Authorisation(str(value)) for value in chosen],
        last=read_day(filled_in["last"]),
        reason=filled_in["reason"],
    )
    return await asking_form.lead_on(sending, lambda error: _form(http_request, filled_in, chosen, error))


async def terms_page(http_request: Request) -> Response:
    """Show the terms: to sign, as they are now; once signed, as they were."""
    return await _terms(http_request)


async def sign(http_request: Request, form: FormData) -> Response:
    """Sign by name, and go back to the request: it says so."""
    session, id_ = signed_in(http_request), http_request.path_params["id"]
    try:
        if field(form, "agree") != "yes":
            raise InvalidRequestError("agree", "Check the box to say that you have read it")
        await admin_of(http_request).social_media.sign(session, id_, field(form, "version"))
    except InvalidRequestError as error:
        return await _terms(http_request, InvalidRequestError("agree", str(error)))
    return go_to(f"/requests/{id_}")


async def _terms(http_request: Request, error: InvalidRequestError | None = None) -> Response:
    admin, session = admin_of(http_request), known(http_request)
    request = await admin.request_views.get(session, http_request.path_params["id"])
    terms = await admin.social_media.terms_of(session, request)
    return await page(
        http_request,
        "social_media_terms.html",
        422 if error else 200,
        request=request,
        terms=terms,
        paragraphs=notices.paragraphs(terms.text) if terms else [],
        error=error,
    )


async def _form(
    http_request: Request,
    filled_in: dict[str, str],
    chosen: Collection[object],
    error: InvalidRequestError | None = None,
) -> Response:
    admin, session = admin_of(http_request), signed_in(http_request)
    own = admin.social_media.proposes_for(session)
    people = {id_: person for id_, person in admin.policy.people.items() if person.department in own}
    return await asking_form.form_page(
        http_request,
        "social_media_propose.html",
        filled_in,
        error,
        terms=admin.social_media.terms,
        own=own,
        whom=sorted(people.items(), key=lambda one: one[1].name.casefold()),
        authorisations=tuple(Authorisation),
        chosen=chosen,
    )


def _row(one: Registered, people: People, status: str) -> tuple[str, ...]:
    request, use = one.request, one.use
    return (
        request.number,
        people.name(request.person),
        people.department(request.department),
        " ".join(one.sites),
        LEVELS[use.level],
        " ".join(use.authorisations),
        one.signature.signed_at.isoformat() if one.signature else "",
        one.signature.version if one.signature else "",
        use.until.isoformat(),
        status,
    )
