"""What whoever decides a request is told of it beside what was asked: alone, among several, by the API."""

from dataclasses import dataclass
from datetime import datetime

from admin import decided_requests, exemption_use
from admin.asking import AccessRequest
from admin.asking_terms import asked_end, risks_of
from admin.database import Database
from admin.exemption_use import Use
from admin.visit_log import counting
from admin.visit_log.counting import Reach
from policy.town_policy import Policy, Rule


@dataclass(frozen=True, slots=True)
class DecisionFacts:
    """What a decision needs to know.

    `rule` is None where no rule of the running policy stopped it. `reach` is how often the asker's department
    went to the site in the last 30 days, None where there is no one site; `use` that of the access which
    it renews, None where it renews none. `earlier` are the department's other, decided requests for the
    site, newest first. `ends_at` is when access ends that is allowed now as it was asked for.
    """

    request: AccessRequest
    rule: Rule | None
    risks: tuple[str, ...]
    reach: Reach | None
    use: Use | None
    earlier: list[AccessRequest]
    ends_at: datetime


async def decision_facts(
    db: Database, policy: Policy, request: AccessRequest, now: datetime
) -> DecisionFacts:
    """Find what a decision about the request needs to know."""
    since = now - counting.REACH_WITHIN
    host, renews = request.host, request.renews
    return DecisionFacts(
        request,
        rule=next((rule for rule in policy.rules if rule.id == request.rule), None),
        risks=tuple(sorted(risks_of(policy, request))),
        reach=await counting.reach(db.visits, host, request.department, since) if host else None,
        use=await exemption_use.of(db, db.visits, renews, now) if renews else None,
        earlier=await decided_requests.earlier_decisions(db, request),
        ends_at=asked_end(policy, request, now),
    )
