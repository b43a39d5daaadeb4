"""The links of a block page: followed, they make the person known here and remember what was stopped."""

from collections.abc import Callable
from dataclasses import replace

from admin import sessions
from admin.asking import AccessRequest
from admin.clock import Clock
from admin.database import Database
from admin.sessions import Opened, Session
from admin.site_lists import SiteLists
from admin.visits import VisitRow
from categories.snapshot import CategorySnapshotError
from policy import ask_token
from policy.ask_token import AskToken
from policy.decision import Cause
from policy.rule_matching import asking_roles
from policy.town_policy import Policy


class AskLinks:
    """Follows links, and says what those that were followed said. `policy` returns the running one."""

    def __init__(
        self, db: Database, key: bytes, lists: SiteLists, policy: Callable[[], Policy], clock: Clock
    ) -> None:
        self._db = db
        self._key = key
        self._lists = lists
        self._policy = policy
        self._clock = clock

    async def follow(self, token_text: str, current: Session | None) -> tuple[Opened, str]:
        """Follow a link; return the session that it leads to, and the visit's code.

        Raises AskTokenError, AskTokenExpiredError (policy.ask_token), LinkUsedError (sessions).
        """
        now = self._clock()
        ask = ask_token.unseal(token_text, self._key, now)
        return await sessions.follow_link(self._db, self._as_known_now(ask), now, current), ask.code

    async def followed(self, session: Session, code: str) -> AskToken | None:
        """Return what the link with this code said, None unless it was followed here lately.

        Its risks are those of the link and of the lists as they are now; its approvers those of the
        running policy's rule, while there is one: either may have become stricter since.
        """
        ask = await sessions.followed_ask(self._db, session, code, self._clock())
        if ask is None:
            return None
        listed_as = await self._categories(ask.host, ask.path) | {*ask.risks, ask.category or ""}
        policy = self._policy()
        risks = (listed_as & policy.security_categories) | {*ask.risks}
        approval = ask.approval
        if any(rule.id == ask.rule for rule in policy.rules):
            approval = asking_roles(Cause.RULE, ask.rule, policy, listed_as | risks)
        elif any(limit.id == ask.rule for limit in policy.limits):
            approval = asking_roles(Cause.LIMIT, ask.rule, policy, listed_as | risks)
        elif approval and (risks or not policy.asking.never.isdisjoint(listed_as)):
            approval = asking_roles(Cause.SECURITY_RISK, None, policy, listed_as | risks)
        return replace(ask, approval=approval, risks=tuple(sorted(risks)))

    async def remember(self, session: Session, row: VisitRow, address: str = "") -> str:
        """Remember a visit that was stopped here as its block page's link would; return its code.

        `address` is that of a download, where the link is one that tells it.
        """
        ask = replace(await self.of_visit(row, session.person, session.device), address=address)
        await sessions.remember_ask(self._db, ask, self._clock(), session)
        return ask.code

    async def of_visit(self, row: VisitRow, person: str | None, device: str | None = None) -> AskToken:
        """Return what the block page's link of a visit said to a person, by policy and lists as they are."""
        listed_as = await self._categories(row.host) | {row.category or ""}
        risks = listed_as & self._policy().security_categories
        return AskToken(
            host=row.host,
            category=row.category,
            entry=row.entry,
            source=row.source,
            rule=row.rule,
            approval=asking_roles(row.cause, row.rule, self._policy(), listed_as),
            person=person,
            device=device,
            department=row.who.department,
            policy_version=row.policy_version,
            code=row.code,
            issued_at=self._clock(),
            risks=tuple(sorted(risks)),
        )

    async def remember_request(self, session: Session, request: AccessRequest) -> str:
        """Remember what a request's own link said, for whoever looks at the request; return its code."""
        ask = AskToken(
            host=request.host,
            category=request.paused_for[0] if request.paused_for else request.category,
            entry=request.entry,
            source=request.source,
            rule=request.rule,
            approval=tuple(role.value for role in request.chain),
            person=session.person,
            device=session.device,
            department=request.department,
            policy_version=request.policy_version,
            code=request.code,
            issued_at=self._clock(),
            risks=request.risks,
            path=request.path,
        )
        await sessions.remember_ask(self._db, ask, self._clock(), session)
        return ask.code

    async def _categories(self, host: str, path: str = "") -> frozenset[str]:
        """Return what a host, or a path of it, is listed as now; nothing while no lists can be read.

        Not to know of a risk opens nothing: the proxy keeps one shut that was not accepted.
        """
        try:
            return await self._lists.categories(host, path or None)
        except CategorySnapshotError:
            return frozenset()

    def _as_known_now(self, ask: AskToken) -> AskToken:
        """Return an ask with what the running policy still says of its person and device.

        A person at a device that is not theirs signed in to the proxy: known without the device,
        unless the policy has changed since, which may have given the device to someone else.
        """
        policy = self._policy()
        person = ask.person if ask.person in policy.people else None
        if ask.device is None or sits_at(policy, ask.device, person):
            return replace(ask, person=person)
        is_signed_in_there = ask.policy_version == policy.version
        return replace(ask, person=person if is_signed_in_there else None, device=None)


def sits_at(policy: Policy, device: str, person: str | None) -> bool:
    """Whether the policy has this device as this person's, None: as a shared one."""
    return any(d.name == device and d.person == person for d in policy.devices.values())
