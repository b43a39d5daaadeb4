"""A judgement as the http_response a client gets in place of the site."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

from mitmproxy import http

from policy.ask_token import AskToken
from policy.page_access import path_to_ask_for
from policy.visit import Visit
from policy.web_address import address_of_site
from proxy_addons import continue_token
from proxy_addons.gate import Gate, visible_path
from proxy_addons.judge import SAID_FIRST, Judge, Judgement
from proxy_addons.page_for_decision import page_for
from proxy_addons.page_html import CONTINUE_HEADERS, PAGE_HEADERS, is_document, render_short
from proxy_addons.reading_only import is_graphql
from proxy_addons.visit_log import OpenVisit

_SCRIPT_HEADERS = {
    "Content-Type": "application/json; charset=utf-8",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
}
_LONGEST_REMEMBERED_PATH = 300


async def page_response(gate: Gate, visit: OpenVisit, http_request: http.Request) -> http.Response:
    """Return the page for a visit that was not allowed, or a short answer where none is read."""
    can_ask = is_document(http_request.headers.get("Sec-Fetch-Dest")) and await can_ask_for(gate)
    return _page_or_short(gate, visit, http_request, can_ask=can_ask)


def _page_or_short(
    gate: Gate, visit: OpenVisit, http_request: http.Request, *, can_ask: bool
) -> http.Response:
    destination = http_request.headers.get("Sec-Fetch-Dest")
    if not is_document(destination):
        town = gate.judge.policy.town.name
        return _closing(403, render_short(town, destination or ""), PAGE_HEADERS)
    # Without its query the address of a download often leads nowhere.
    is_limited = visit.judgement.decision.limit is not None
    path = http_request.path if is_limited else visible_path(http_request)
    return page(gate, visit, path, can_ask=can_ask)


async def can_ask_for(gate: Gate) -> bool:
    """Whether a page can lead on to the admin site now."""
    return await gate.admin_probe.answers(gate.judge.admin_site)


def stopped_response(
    gate: Gate, visit: OpenVisit, http_request: http.Request, says: str, *, can_ask: bool
) -> http.Response:
    """Return what a request gets that a rule stops within a visit that goes on.

    A page where one is loaded; what a script can read, which `says` why, where a script asked; else a short
    answer.
    """
    destination = http_request.headers.get("Sec-Fetch-Dest", "")
    is_scripts = destination == "empty" or not (
        destination or "text/html" in http_request.headers.get("Accept", "")
    )
    if not is_scripts:
        return _page_or_short(gate, visit, http_request, can_ask=can_ask)
    visit.is_shown = True
    message = f"Stopped by {gate.judge.policy.town.name}: {says}. Code {visit.code}."
    if is_graphql(http_request):
        answer: object = {"data": None, "errors": [{"message": message, "extensions": {"code": "FORBIDDEN"}}]}
    else:
        answer = {"error": message}
    headers = {**_SCRIPT_HEADERS, **_readable_by(http_request)}
    return http.Response.make(403, json.dumps(answer, ensure_ascii=False), headers)


def _readable_by(http_request: http.Request) -> dict[str, str]:
    """Return what lets a script read the answer that asked from another host of its site."""
    origin = http_request.headers.get("Origin")
    if origin is None:
        return {}
    return {"Access-Control-Allow-Origin": origin, "Access-Control-Allow-Credentials": "true"}


def page(gate: Gate, visit: OpenVisit, path: str = "/", *, can_ask: bool = False) -> http.Response:
    """Return the page; with a way to ask, if the admin site answers.

    A warning, and what says that a site is for reading only, is one to click through, to `path`.
    """
    judge, judgement = gate.judge, visit.judgement
    visit.is_shown = True
    is_said_first = judgement.decision.verdict in SAID_FIRST
    token = _ask_token(judge, judgement, visit.code) if can_ask else None
    address = _address_of_download(judgement, path)
    status, body = page_for(
        judgement.decision,
        judgement.visit,
        judge.policy,
        judge.state,
        gate.taxonomy,
        admin_url=judge.snapshot.admin_url if can_ask else None,
        token=token.seal(judge.ask_key) if token else None,
        code=visit.code,
        at=visit.started_at,
        remind_token=replace(token, address=address).seal(judge.ask_key) if token and address else None,
        continue_url=_continue_url(judge, judgement, path) if is_said_first else None,
        origin_refusal=visit.origin_refusal,
    )
    return _closing(status, body, CONTINUE_HEADERS if is_said_first else PAGE_HEADERS)


def _closing(status: int, body: bytes, headers: Mapping[str, str]) -> http.Response:
    # The connection ends with the page: on the next try the site may be allowed, and then it has
    # to be tunnelled from its first byte.
    return http.Response.make(status, body, {**headers, "Connection": "close"})


def bare_response(status: int, text: str) -> http.Response:
    """Return a line of text, where no page can be shown."""
    return http.Response.make(
        status,
        text + "\n",
        {
            "Content-Type": "text/plain; charset=utf-8",
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            "Connection": "close",
        },
    )


def again_response(visit: Visit, path: str, status: int = 307) -> http.Response:
    """Return what makes a browser come back on a new connection, now that the site is allowed.

    With status 303 it asks for `path` instead of what it asked for.
    """
    return http.Response.make(
        status,
        b"",
        {
            "Location": _address(visit, path),
            "Cache-Control": "no-store",
            "Connection": "close",
        },
    )


def _address(visit: Visit, path: str) -> str:
    return f"{address_of_site(visit.scheme, visit.host, visit.port)}{path}"


def _address_of_download(judgement: Judgement, path: str) -> str:
    """Return where a download is that is too large for a limit, without its query; else "".

    A path that a mail, or a small page, cannot hold leads to the site's first page.
    """
    if judgement.decision.limit is None or judgement.decision.size_bytes is None:
        return ""
    plain = path.partition("?")[0]
    is_usable = plain.isascii() and plain.isprintable() and len(plain) <= _LONGEST_REMEMBERED_PATH
    return _address(judgement.visit, plain if is_usable and plain.startswith("/") else "/")


def _ask_token(judge: Judge, judgement: Judgement, code: str) -> AskToken:
    visit, decision = judgement.visit, judgement.decision
    match, risks = decision.match, judge.policy.security_categories
    return AskToken(
        host=visit.host,
        category=match.category if match else None,
        entry=match.entry if match else None,
        source=match.source if match else None,
        rule=decision.rule or decision.limit,
        approval=decision.approval,
        person=visit.client.person,
        device=visit.client.device,
        department=visit.client.department,
        policy_version=judgement.policy_version,
        code=code,
        issued_at=datetime.now(UTC),
        risks=tuple(dict.fromkeys(m.category for m in visit.matches if m.category in risks)),
        path=_path_to_ask_for(judge, judgement),
    )


def _path_to_ask_for(judge: Judge, judgement: Judgement) -> str:
    """Return the path that can be asked for by itself, "" where the host alone can be, or nothing."""
    is_of_page = judgement.visit.path is not None and judgement.decision.approval
    return path_to_ask_for(judge.as_written(judgement.visit)) if is_of_page else ""


def _continue_url(judge: Judge, judgement: Judgement, path: str) -> str:
    visit, limit = judgement.visit, judgement.decision.limit
    now = datetime.now(UTC)
    token = continue_token.seal(path, judge.ask_key, visit.client, visit.host, now, limit)
    return f"{continue_token.CONTINUE_PATH}?token={token}"
