"""Asking for a site before a visit to it was stopped: what would be decided, and the same form."""

from collections.abc import Callable
from dataclasses import dataclass

from admin import sessions
from admin.asking import InvalidRequestError, NotAllowedError
from admin.clock import Clock
from admin.database import Database
from admin.sessions import Session
from admin.site_lists import SiteLists
from categories.host_name import is_address
from categories.snapshot import CategorySnapshotError
from policy.ask_token import AskToken
from policy.deciding import decide
from policy.identity import Identities
from policy.snapshot import PolicySnapshot
from policy.visit import Visit
from policy.visit_record import new_code
from policy.web_address import parse_web_address


@dataclass(frozen=True, slots=True)
class Answered:
    """What asking ahead leads to: the form of `code`, or None where `host` is open to the person already."""

    host: str
    code: str | None


class AskingAhead:
    """Decides a visit that nobody has made. `published` returns what the proxy decides by."""

    def __init__(
        self, db: Database, lists: SiteLists, published: Callable[[], PolicySnapshot | None], clock: Clock
    ) -> None:
        self._db = db
        self._lists = lists
        self._published = published
        self._clock = clock

    async def ask_for(self, session: Session, text: str) -> Answered:
        """Prepare asking for the site that somebody typed, as its block page would.

        Raises NotAllowedError unless signed in, InvalidRequestError for what is no site, and while there
        is nothing to decide by.
        """
        person = session.person
        if person is None or not session.is_signed_in:
            raise NotAllowedError("Sign in to ask for a site.")
        host, at = _host(text), self._clock()
        snapshot = self._published()
        if snapshot is None or person not in snapshot.policy.people:
            raise InvalidRequestError("site", "Sites cannot be looked up right now; try again in a minute")
        try:
            matches = await self._lists.listed(host)
        except CategorySnapshotError as error:
            raise InvalidRequestError(
                "site", "Sites cannot be looked up right now; try again in a minute"
            ) from error
        client = Identities(snapshot.policy).client_of(person)
        visit = Visit(client, "https", host, 443, None, at, matches)
        decision = decide(visit, snapshot.policy, snapshot.state())
        if decision.is_allowed:
            return Answered(host, None)
        risks = visit.categories & snapshot.policy.security_categories
        match = decision.match
        ask = AskToken(
            host=host,
            category=match.category if match else None,
            entry=match.entry if match else None,
            source=match.source if match else None,
            rule=decision.rule,
            approval=decision.approval,
            person=person,
            device=client.device,
            department=client.department,
            policy_version=snapshot.policy.version,
            code=new_code(),
            issued_at=at,
            risks=tuple(sorted(risks)),
        )
        await sessions.remember_ask(self._db, ask, at, session)
        return Answered(host, ask.code)


def _host(text: str) -> str:
    """Return the host of an address or a bare host name as people type them."""
    try:
        host = parse_web_address(text).host
    except ValueError as error:
        raise InvalidRequestError("site", "Enter a site, like library.example") from error
    if "." not in host and not is_address(host):
        raise InvalidRequestError("site", "Enter a site, like library.example")
    return host
