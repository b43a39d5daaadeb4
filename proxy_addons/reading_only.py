"""Visits that are for reading only: what is said first, and what of them is stopped."""

from mitmproxy import http

from policy.decision import Verdict
from proxy_addons.block_page import is_said_to_be_document
from proxy_addons.judge import Judgement

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
