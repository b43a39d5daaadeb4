"""What a page needs beside its site: hosts that were blocked for the same person right after the site.

They are found in the visit log, shown with the request, and added with one click: to a request that is not
decided yet, or to access that is open, which then covers them until the same day. What is a security
risk, or never allowed, is not; and nobody opens this way what the policy leaves to others to allow.
"""

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime, timedelta

from admin import audit, exemptions, stored_requests
from admin.asking import AccessRequest, InvalidRequestError, NotAllowedError, State, TransitionError, site_of
from admin.asking_for_sites import AsksForSites, imagine
from admin.audit import Detail, Event, EventKind
from admin.clock import to_ms
from admin.database import Database, Transaction
from admin.deciders import deciders, deciders_of, may_stop
from admin.sessions import Session
from admin.visit_log.clients import blocked_between, newest_visits_to
from categories.snapshot import CategorySnapshotError
from policy.decision import Cause
from policy.rule_matching import asking_roles
from policy.town_policy import Approver

WITHIN_FOR_ASKER = timedelta(minutes=2)
# What a page loads follows at once. Whoever decides sees no more than that of a person's visits.
WITHIN_FOR_OTHERS = timedelta(seconds=15)
_LOOKS_BACK = timedelta(days=30)
_MOST_SHOWN = 10
_MOST_ADDED = 20
_MOST_VISITS = 20
_OPEN = frozenset({Cause.EXEMPTION, Cause.ESSENTIAL})

type Block = tuple[Cause, str | None]
"""Why a visit was blocked: its cause, and the rule's id if one did it."""


class NeededHosts(AsksForSites):
    """Finds them, and adds them to requests and to access."""

    def may_add(self, session: Session, request: AccessRequest) -> bool:
        """Whether the session's person may add hosts to the request as it stands.

        Before it is decided: the asker, until the first approver agreed, and whoever is to decide.
        After that whoever may stop it, but for the asker and who proposed them: they would decide their own.
        """
        if not request.host:
            return False
        policy, person = self._policy(), session.person
        state = request.state_at(self._clock())
        is_asker = person in request.askers or request.browser == session.browser
        if state is State.SUBMITTED and is_asker:
            return request.step == 0
        if person is None or not session.is_signed_in or is_asker or person in request.own:
            return False
        if state is State.SUBMITTED:
            return person in deciders(policy, request)
        return state in (State.APPROVED, State.AWAITS_OPENING) and may_stop(policy, request, person)

    async def suggested(self, session: Session, request: AccessRequest) -> list[str]:
        """Return the hosts to add, those blocked most often first, 10 at most; none but to who may add."""
        if not self.may_add(session, request):
            return []
        is_asker = session.person in request.askers or request.browser == session.browser
        within = WITHIN_FOR_ASKER if is_asker else WITHIN_FOR_OTHERS
        found = await blocked_with(self._db, request, within, self._clock() - _LOOKS_BACK)
        agreeing = self._agreeing(session, request)
        suggested: list[str] = []
        for host, blocks in found.items():
            if len(suggested) == _MOST_SHOWN:
                break
            if not self._may_agree(agreeing, blocks) or await self._is_shut(host):
                continue
            if not await self._is_open(request.person, host):
                suggested.append(host)
        return suggested

    async def add(self, session: Session, request: AccessRequest, host: str) -> AccessRequest:
        """Add a suggested host; access that is open covers it when this returns.

        Raises NotAllowedError, TransitionError, both recorded; InvalidRequestError for what is not
        suggested.
        """
        actor = session.person or request.person
        if not self.may_add(session, request):
            async with self._db.transaction() as t:
                await self._refuse(t, request, actor, "may not add hosts")
            raise NotAllowedError(f"{request.number} is not for {actor} to widen")
        if host not in await self.suggested(session, request):
            raise InvalidRequestError("host", f"{host} cannot be added here")
        if len(request.hosts) >= _MOST_ADDED:
            raise InvalidRequestError("host", f"A request has {_MOST_ADDED} further hosts at most")
        refused: TransitionError | None = None
        async with self._db.transaction() as t:
            present = await stored_requests.get(t, request.id)
            if (present.state, present.step) != (request.state, request.step):
                refused = TransitionError(present, f"{request.number} was decided meanwhile")
                await self._refuse(t, present, actor, str(refused))
            else:
                await self._add(t, present, host, actor)
                present = await stored_requests.get(t, request.id)
        if refused is not None:
            raise refused
        await self._publisher.publish_state()
        return present

    async def _add(self, t: Transaction, request: AccessRequest, host: str, actor: str) -> None:
        at = self._clock()
        await t.execute(
            "INSERT OR IGNORE INTO access_request_host (access_request, host, added_by, added_at)"
            " VALUES (?, ?, ?, ?)",
            request.id,
            host,
            actor,
            to_ms(at),
        )
        details: dict[str, Detail] = {"host": host}
        if request.state is State.APPROVED:
            await exemptions.widen(t, request.id, host, approved_by=actor, at=at)
            details["expires_at"] = request.expires_at.isoformat() if request.expires_at else None
        kind, of = EventKind.REQUEST_HOST_ADDED, request.department
        await audit.record(t, Event(kind, actor, request.number, at, details, of))

    async def _refuse(self, t: Transaction, request: AccessRequest, actor: str, why: str) -> None:
        details: dict[str, Detail] = {"move": "add host", "state": request.state.value, "why": why}
        kind, of = EventKind.REQUEST_MOVE_REFUSED, request.department
        await audit.record(t, Event(kind, actor, request.number, self._clock(), details, of))

    def _agreeing(self, session: Session, request: AccessRequest) -> frozenset[Approver]:
        """Return the roles that agree to a host that is added: of those still asked, or of who adds it."""
        if request.state is State.SUBMITTED:
            return frozenset(request.chain[request.step :])
        policy = self._policy()
        return frozenset(
            role
            for role in Approver
            if session.person in deciders_of(policy, role, request.person, request.department)
        )

    def _may_agree(self, agreeing: frozenset[Approver], blocks: frozenset[Block]) -> bool:
        """Whether these roles could have been asked to allow what was blocked so; IT security allows all."""
        if Approver.IT_SECURITY in agreeing:
            return True
        policy = self._policy()
        asked = [asking_roles(cause, rule, policy, ()) for cause, rule in blocks]
        return all(roles and agreeing.issuperset(roles) for roles in asked)

    async def _is_shut(self, host: str) -> bool:
        """Whether a host is a security risk or never allowed; one that cannot be looked up counts as one."""
        policy = self._policy()
        try:
            listed_as = await self._lists.categories(host)
        except CategorySnapshotError:
            return True
        return not listed_as.isdisjoint(policy.security_categories | policy.asking.never)

    async def _is_open(self, person: str, host: str) -> bool:
        """Whether access opens a host for who asks by now, or all of the town has it as essential."""
        try:
            imagined = await imagine(self._publisher.published, self._lists, person, host, self._clock())
        except InvalidRequestError:
            return False
        return imagined.decision.is_allowed and imagined.decision.cause in _OPEN


async def blocked_with(
    db: Database, request: AccessRequest, within: timedelta, since: datetime
) -> Mapping[str, frozenset[Block]]:
    """Return hosts that were blocked right after a visit to the request's site, most often first, and why.

    1. the visits to the site since an instant, of the asker or by the code of the request's page, the
       newest 20
    2. what was blocked by rule or default for the same person, or at the same device where nobody is
       known, until `within` after each; counted once a visit
    3. as sites, but for what the request covers already
    """
    anchors = await newest_visits_to(
        db.visits,
        request.host,
        person=request.person,
        code=request.code,
        since=since,
        most=_MOST_VISITS,
    )
    seen: dict[int, tuple[str, Block]] = {}
    for anchor in anchors:
        until = anchor.started_at + within
        found = await blocked_between(db.visits, anchor, until, (Cause.RULE, Cause.DEFAULT))
        seen |= {visit.id: (visit.host, (visit.cause, visit.rule)) for visit in found}
    blocked: dict[str, list[Block]] = defaultdict(list)
    for host, block in seen.values():
        site = _site(host)
        if site is not None and not any(_covers(known, site) for known in (request.host, *request.hosts)):
            blocked[site].append(block)
    most_often_first = sorted(blocked, key=lambda site: (-len(blocked[site]), site))
    return {site: frozenset(blocked[site]) for site in most_often_first}


def _site(host: str) -> str | None:
    try:
        return site_of(host)
    except InvalidRequestError:
        return None


def _covers(site: str, host: str) -> bool:
    return host == site or host.endswith(f".{site}")
