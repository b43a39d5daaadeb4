"""Visits that are for reading only: what is said first, and what of them is stopped."""

from dataclasses import replace
from importlib import resources

from mitmproxy import http
from mitmproxy.net.http.http1 import expected_http_body_size
from msgspec import structs

from policy import acting
from policy.acting import Act, Attempt, Operations
from policy.decision import Verdict
from proxy_addons.gate import visible_path
from proxy_addons.judge import Judgement
from proxy_addons.page_html import is_said_to_be_document

_SITES = acting.read_sites(
    resources.files("proxy_addons").joinpath("acting_sites.yaml").read_text(encoding="utf-8")
)
# Fields by which frameworks take another method than the request's own.
_METHOD_FIELDS = ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override")
SAYS = "this site is for reading only"
"""Why a script was not answered."""
TOLD_FIRST = "told first that the site is for reading only"
"""The refusal of a visit in whose place the page was shown that says so."""


def is_told_first(request: http.Request, judgement: Judgement) -> bool:
    """Whether a page comes before this request's: the first of a site that is for reading only.

    Only before what says that it is a page of its own: nothing else could show one, and reading goes on.
    """
    return (
        judgement.decision.verdict is Verdict.VIEW_ONLY
        and not judgement.visit.has_continued
        and request.method == "GET"
        and is_said_to_be_document(request.headers.get("Sec-Fetch-Dest"))
    )


def act_of(request: http.Request, judgement: Judgement) -> Act | Operations | None:
    """Return what a request does that may only read; None when it reads, or may do more.

    Operations when its body has to be read for that.
    """
    if judgement.decision.verdict is not Verdict.VIEW_ONLY:
        return None
    return acting.judge(_attempt(request, judgement.visit.host), _SITES)


def act_in_body(request: http.Request, operations: Operations) -> Act | None:
    """Return what the operations in a request's body do; None when they read."""
    return acting.judge_body(request.raw_content or b"", _media_type(request), operations)


def stopped(judgement: Judgement) -> Judgement:
    """Return the judgement of a request that acted, on a site that is for reading only."""
    decision = replace(judgement.decision, verdict=Verdict.BLOCK, inspect_rules=())
    return structs.replace(judgement, decision=decision)


def is_graphql(request: http.Request) -> bool:
    """Whether the script that asked expects a GraphQL answer."""
    path = visible_path(request).lower()
    return "graphql" in path or "/gql" in path


def _attempt(request: http.Request, host: str) -> Attempt:
    fields = request.headers
    length = expected_http_body_size(request)
    said = [value.strip().upper() for name in _METHOD_FIELDS for value in fields.get_all(name)]
    return Attempt(
        host,
        frozenset({request.method.upper(), *said}),
        visible_path(request),
        _media_type(request),
        None if length is None or length < 0 else length,
        is_coded=fields.get("Content-Encoding", "identity").lower() != "identity",
        is_navigation=fields.get("Sec-Fetch-Mode", "navigate") == "navigate",
        is_upgrade=fields.get("Upgrade", "").lower() == "websocket",
    )


def _media_type(request: http.Request) -> str:
    types = request.headers.get_all("Content-Type")
    # Of two, either may be the one that counts: then it is none that is known.
    return types[0].partition(";")[0].strip().lower() if len(types) == 1 else ", ".join(types).lower()
