"""Going on past a page that says something first: by its form, which only the client who saw it can send."""

from datetime import UTC, datetime

from mitmproxy import http

from policy.decision import Verdict
from policy.visit import Client
from proxy_addons import continue_token
from proxy_addons.continue_token import Onward
from proxy_addons.gate import Gate, visible_path
from proxy_addons.judge import Judgement, limit_passed_at


def onward_of(gate: Gate, request: http.Request, client: Client, host: str) -> Onward | None:
    """Return where to go on to, when this is the form of a warning that this client was shown.

    What only looks like it is judged, and goes on, like any other request.
    """
    if request.method != "POST" or visible_path(request) != continue_token.CONTINUE_PATH:
        return None
    try:
        token = request.query.get("token", "")
        return continue_token.unseal(token, gate.judge.ask_key, client, host, datetime.now(UTC))
    except continue_token.ContinueTokenError:
        return None


def goes_on(gate: Gate, judgement: Judgement, onward: Onward) -> bool:
    """Whether the client may go on now; who is told something first continues. Raises OSError."""
    visit, continuations = judgement.visit, gate.watch.continuations
    limit = next((one for one in gate.judge.policy.limits if one.id == onward.limit), None)
    if limit is not None and judgement.decision.verdict is not Verdict.BLOCK:
        continuations.add(visit.client, limit_passed_at(limit, visit.host), visit.at)
    match judgement.decision.verdict:
        case Verdict.ALLOW:
            return True
        case Verdict.WARN | Verdict.VIEW_ONLY:
            continuations.add(visit.client, judgement.warned_site, visit.at)
            return True
        case Verdict.BLOCK:
            return False
