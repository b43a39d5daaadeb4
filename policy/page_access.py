"""Access to a page of a site and what is below it: which paths can be asked for by themselves.

Such access opens a visit only where its path is seen: over plain HTTP, and where a rule has the host opened.
A host that is blocked as a whole is not: it would have to be opened for that, and is tunnelled or not at all.
"""

from collections.abc import Sequence

from categories.entry_key import is_below, plain_path
from policy.decision import Verdict
from policy.judging import Judged

MAX_PATH_LENGTH = 200
"""Whoever decides reads it whole."""


def page_path(path: str) -> str:
    """Return the one spelling of a path that access can be to alone, without a slash at its end; "" for none.

    A host's first page is all of it. A path that servers read in more than one way, that is too long, or
    that cannot be shown as it is, is none.
    """
    top = plain_path(path).rstrip("/")
    is_usable = len(top) <= MAX_PATH_LENGTH and top.isprintable() and is_below(path, top)
    return top if is_usable else ""


def path_to_ask_for(judged: Sequence[Judged]) -> str:
    """Return the path that somebody can allow by itself, "" where they can allow the host alone.

    `judged` is what `policy.judging.judge` returned of an address.
    """
    last = judged[-1]
    path, decision = last.visit.path, last.decision
    is_stopped = decision.verdict is Verdict.BLOCK and bool(decision.approval)
    return page_path(path) if path is not None and is_stopped else ""
