"""Corrections: what the town lists a site as, in place of every list."""

import functools
from urllib.parse import quote

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from admin.asking import MAX_REASON_LENGTH, InvalidRequestError
from admin.corrections import in_force
from admin.review import MOST_UNLISTED, Listing
from admin.web.page import admin_of, go_to, page, questions_of
from admin.web.session_cookie import field, form_number, signed_in
from categories.snapshot import CategorySnapshotError
from policy.web_address import parse_web_address

_MOST_CATEGORIES = 3
_ON_A_PAGE = 20


async def corrections_page(http_request: Request) -> Response:
    """List the corrections in force; with a site, show what it is listed as and a form to correct it.

    With `to=blocked` the form has only what the policy blocks.
    """
    query = http_request.query_params
    return await _page(http_request, query.get("site", "").strip(), blocks=query.get("to") == "blocked")


async def unlisted_page(http_request: Request) -> Response:
    """List what people use and no list knows, each with a form to correct it."""
    admin, session = admin_of(http_request), signed_in(http_request)
    try:
        ask = functools.partial(admin.review.unlisted, session)
        sites = await questions_of(http_request).answer(http_request, ask)
        is_readable = True
    except CategorySnapshotError:
        sites, is_readable = (), False
    pages = range(1, -(-len(sites) // _ON_A_PAGE) + 1)
    asked = http_request.query_params.get("page", "")
    number = next((number for number in pages if str(number) == asked), 1)
    return await page(
        http_request,
        "unlisted.html",
        sites=sites[(number - 1) * _ON_A_PAGE : number * _ON_A_PAGE],
        is_cut=len(sites) == MOST_UNLISTED,
        most=MOST_UNLISTED,
        number=number,
        pages=pages,
        is_readable=is_readable,
        corrected=await in_force(admin.db, http_request.query_params.get("corrected", "")),
        max_reason_length=MAX_REASON_LENGTH,
    )


async def correct(http_request: Request, form: FormData) -> Response:
    """List a site as the chosen categories, or as nothing."""
    site, blocks = field(form, "site"), field(form, "to") == "blocked"
    review = admin_of(http_request).review
    chosen = [
        name for value in form.getlist("category") if isinstance(value, str) and (name := value.strip())
    ]
    try:
        if not chosen:
            raise InvalidRequestError("category", "Choose what it is")
        if blocks and not review.blocking_categories().issuperset(chosen):
            raise InvalidRequestError("category", "Choose a category that the policy blocks")
        made = await review.correct(
            signed_in(http_request),
            _host(site),
            [] if chosen == ["nothing"] else chosen,
            field(form, "why"),
            form_number(form, "seen"),
        )
    except InvalidRequestError as error:
        return await _page(http_request, site, error, blocks=blocks)
    if field(form, "from") == "unlisted":
        return go_to(f"/categories/unlisted?corrected={quote(made.site)}")
    return go_to(f"/corrections?site={quote(made.site)}")


async def undo(http_request: Request, form: FormData) -> Response:
    """Let the lists say again what a site is."""
    site = field(form, "site")
    try:
        await admin_of(http_request).review.undo(
            signed_in(http_request), site, field(form, "undo_why"), form_number(form, "seen")
        )
    except InvalidRequestError as error:
        return await _page(http_request, site, InvalidRequestError("undo_why", str(error)))
    return go_to(f"/corrections?site={quote(site)}")


async def _page(
    http_request: Request, text: str, error: InvalidRequestError | None = None, *, blocks: bool = False
) -> Response:
    review, session = admin_of(http_request).review, signed_in(http_request)
    in_force = await review.corrections(session)
    listing: Listing | None = None
    is_readable = True
    if text:
        try:
            listing = await review.listing(session, _host(text))
        except InvalidRequestError as refused:
            error = refused
        except CategorySnapshotError:
            is_readable = False
    return await page(
        http_request,
        "corrections.html",
        422 if error else 200,
        listing=listing,
        is_readable=is_readable,
        history=await review.history(session, listing.site) if listing else [],
        in_force=in_force,
        offered=review.blocking_categories() if blocks else None,
        most_categories=_MOST_CATEGORIES,
        max_reason_length=MAX_REASON_LENGTH,
        error=error,
    )


def _host(text: str) -> str:
    """Return the canonical host of what was typed or pasted."""
    try:
        return parse_web_address(text).host
    except ValueError as error:
        raise InvalidRequestError("site", "Enter a site, like example.com") from error
