"""Emergency: limiting the web, taking a device off it, switching the filter off. For IT security.

Each is a form, a page that asks once more with what will come of it, and a page of its own on which
it is ended.
"""

from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from admin import measures
from admin.asking import InvalidRequestError
from admin.measures import MAX_REASON_LENGTH, AlreadySoError, Measure, MeasureKind, NewMeasure
from admin.web.page import admin_of, go_to, page
from admin.web.session_cookie import FormView, View, field, signed_in
from policy.identity import Identities
from policy.visit import Client

_FIELDS = {
    MeasureKind.LOCKDOWN: ("department", "because", "next_news"),
    MeasureKind.DEVICE_OFF: ("device", "because"),
    MeasureKind.FILTER_OFF: ("lasts", "because"),
}
_DURATIONS = {"10m": "10 minutes", "30m": "30 minutes", "1h": "1 hour", "2h": "2 hours", "4h": "4 hours"}


async def emergency_page(http_request: Request) -> Response:
    """Show what is in force, what can be done, and what was."""
    admin = admin_of(http_request)
    latest = await admin.emergency.latest(signed_in(http_request))
    now = admin.now()
    return await page(
        http_request,
        "emergency.html",
        in_force=[measure for measure in latest if measure.is_in_force_at(now)],
        earlier=[measure for measure in latest if not measure.is_in_force_at(now)],
        failure=admin.emergency.failure,
    )


def form_page(kind: MeasureKind) -> View:
    """Return the view of a measure's form, empty."""

    async def show(http_request: Request) -> Response:
        admin_of(http_request).emergency.check(signed_in(http_request))
        return await _form(http_request, kind, dict.fromkeys(_FIELDS[kind], ""))

    return show


def begin(kind: MeasureKind) -> FormView:
    """Return the view that takes a measure's form: it asks once more, then does it."""

    async def take(http_request: Request, form: FormData) -> Response:
        emergency = admin_of(http_request).emergency
        session = signed_in(http_request)
        filled_in = {name: field(form, name) for name in _FIELDS[kind]}
        sure = field(form, "sure")
        if sure == "no":
            emergency.check(session)
            return await _form(http_request, kind, filled_in)
        try:
            new = _new(http_request, kind, filled_in)
        except InvalidRequestError as error:
            emergency.check(session)
            return await _form(http_request, kind, filled_in, error)
        if sure != "yes":
            emergency.check(session)
            client = _client_at(http_request, new.subject) if kind is _DEVICE else None
            return await page(
                http_request, "emergency_sure.html", new=new, filled_in=filled_in, client=client
            )
        try:
            begun = await emergency.begin(session, new)
        except AlreadySoError as told:
            return await _too_late(http_request, told)
        return go_to(f"/emergency/{begun.id}")

    return take


async def measure_page(http_request: Request) -> Response:
    """Show one measure, with a way to end it."""
    try:
        measure = await admin_of(http_request).emergency.get(
            signed_in(http_request), http_request.path_params["id"]
        )
    except LookupError as error:
        raise HTTPException(404) from error
    return await _measure(http_request, measure)


async def give_news(http_request: Request, form: FormData) -> Response:
    """Say anew why a lockdown is in force, and when people hear more."""
    emergency = admin_of(http_request).emergency
    session = signed_in(http_request)
    id_ = http_request.path_params["id"]
    filled_in = {name: field(form, name) for name in ("because", "next_news")}
    try:
        await emergency.give_news(session, id_, filled_in["because"], filled_in["next_news"])
    except InvalidRequestError as error:
        measure = await emergency.get(session, id_)
        return await _measure(http_request, measure, status=422, news=filled_in, error=error)
    except LookupError as error:
        raise HTTPException(404) from error
    except AlreadySoError as told:
        return await _too_late(http_request, told)
    return go_to(f"/emergency/{id_}")


async def end(http_request: Request, _form_data: FormData) -> Response:
    """End a measure."""
    id_ = http_request.path_params["id"]
    try:
        await admin_of(http_request).emergency.end(signed_in(http_request), id_)
    except LookupError as error:
        raise HTTPException(404) from error
    except AlreadySoError as told:
        return await _too_late(http_request, told)
    return go_to(f"/emergency/{id_}")


def _client_at(http_request: Request, address: str) -> Client:
    admin = admin_of(http_request)
    return Identities(admin.policy).identify(address, at=admin.now())


_DEVICE = MeasureKind.DEVICE_OFF


def _new(http_request: Request, kind: MeasureKind, filled_in: dict[str, str]) -> NewMeasure:
    """Return what a form asks for. Raises InvalidRequestError."""
    admin = admin_of(http_request)
    policy, because = admin.policy, filled_in["because"]
    match kind:
        case MeasureKind.LOCKDOWN:
            department, news = filled_in["department"], filled_in["next_news"]
            return measures.lockdown(policy, department, because, news, admin.now())
        case MeasureKind.DEVICE_OFF:
            return measures.device_off(policy, filled_in["device"], because)
        case MeasureKind.FILTER_OFF:
            return measures.filter_off(filled_in["lasts"], because, admin.now())


async def _form(
    http_request: Request,
    kind: MeasureKind,
    filled_in: dict[str, str],
    error: InvalidRequestError | None = None,
) -> Response:
    return await page(
        http_request,
        "emergency_form.html",
        422 if error else 200,
        kind=kind,
        filled_in=filled_in,
        error=error,
        durations=_DURATIONS,
        max_reason_length=MAX_REASON_LENGTH,
    )


async def _too_late(http_request: Request, told: AlreadySoError) -> Response:
    """Show how it stands to the second of two; nothing changed."""
    if told.measure is None:
        raise HTTPException(404) from told
    return await _measure(http_request, told.measure, status=409)


async def _measure(
    http_request: Request,
    measure: Measure,
    *,
    status: int = 200,
    news: dict[str, str] | None = None,
    error: InvalidRequestError | None = None,
) -> Response:
    """Show a measure; with status 409 to the second of two, with `news` as filled in, and its error."""
    admin = admin_of(http_request)
    return await page(
        http_request,
        "emergency_measure.html",
        status,
        measure=measure,
        is_in_force=measure.is_in_force_at(admin.now()),
        is_too_late=status == 409,
        news=news or {"because": measure.because, "next_news": ""},
        error=error,
        max_reason_length=MAX_REASON_LENGTH,
        failure=admin.emergency.failure,
    )
