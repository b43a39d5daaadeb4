"""Social media: a department proposes a person, others approve, the person signs; and the register of it.

Only then the sites open, for reading or whole. What else is authorised stands in the register alone.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime

from admin import access_requests, decided_requests, proposing, roles, submitting
from admin.asked import Authorisation, Kind, Level, SocialMediaUse
from admin.asking import (
    AccessRequest,
    ForWhom,
    InvalidRequestError,
    NewAccessRequest,
    NotAllowedError,
    State,
    site_of,
)
from admin.asking_for_sites import AsksForSites, looked_up
from admin.clock import from_ms, to_ms
from admin.database import Database, Reader, Transaction
from admin.granting import grant
from admin.never_granted import Listed
from admin.request_moves import Refusal, attempt, move, too_late
from admin.sessions import Session
from categories.host_name import is_address
from categories.match import CategoryMatch
from policy.access_duration import Duration
from policy.town_policy import AfterApproval, Policy, SocialMedia
from policy.town_time import zone_of
from policy.visit_record import new_code
from policy.web_address import parse_web_address

MOST_SITES = 10


@dataclass(frozen=True, slots=True)
class Signature:
    """That the person of a request signed the terms, which version, and when (aware)."""

    version: str
    signed_at: datetime


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms of a request as they were signed or, while they are not, as they are now.

    `signed_at` is None until then; `is_to_sign` whether whoever looks signs them.
    """

    text: str
    version: str
    signed_at: datetime | None
    is_to_sign: bool


@dataclass(frozen=True, slots=True)
class Registered:
    """A line of the register. `signature` is None while the terms are not signed."""

    request: AccessRequest
    use: SocialMediaUse
    signature: Signature | None

    @property
    def sites(self) -> tuple[str, ...]:
        """Every site that it names."""
        return (self.request.host, *self.request.hosts)


class SocialMediaUses(AsksForSites):
    """What a session does about social media."""

    @property
    def terms(self) -> SocialMedia | None:
        """What the policy says of it, None where nobody can be proposed."""
        return self._policy().asking.social_media

    def proposes_for(self, session: Session) -> tuple[str, ...]:
        """Return the departments whose people the session's person proposes; none unless signed in."""
        if session.person is None or not session.is_signed_in:
            return ()
        return proposing.proposes_for_social_media(self._policy(), session.person)

    async def propose(
        self,
        session: Session,
        *,
        person: str,
        sites: Collection[str],
        level: Level | None,
        authorisations: Collection[Authorisation],
        last: date | None,
        reason: str,
        renews: int | None = None,
    ) -> AccessRequest:
        """Send a proposal: the sites as they were typed, open until the last day is over.

        Raises NotAllowedError, recorded, but for who proposes for the person's department;
        InvalidRequestError, AlreadyOpenError.
        """
        policy, now, terms = self._policy(), self._clock(), self.terms
        proposer, own = session.person, self.proposes_for(session)
        if proposer is None or not own:
            why = "Only a department's head, delegate or coordinator proposes its people."
            await proposing.refuse(self._db, session, "social media", now, why)
        record = policy.people.get(person)
        if terms is None or proposer is None or record is None or record.department not in own:
            raise InvalidRequestError("person", "Choose whom you propose")
        if level is None:
            raise InvalidRequestError("level", "Choose what the sites open for")
        if authorisations and level is Level.VIEW:
            raise InvalidRequestError("authorisations", "Who only reads a site does nothing of that there")
        until = proposing.end_of("last", last, now, zone_of(policy), terms.longest)
        found = [await self._site(policy, typed) for typed in sites]
        hosts = tuple(dict.fromkeys(host for host, _ in found))
        if not 1 <= len(hosts) <= MOST_SITES:
            raise InvalidRequestError("sites", f"Name the sites, at most {MOST_SITES}")
        match = found[0][1]
        new = NewAccessRequest(
            host=hosts[0],
            hosts=hosts[1:],
            person=person,
            department=record.department,
            for_whom=ForWhom.PERSON,
            reason=reason,
            duration=Duration.YEAR,
            chain=terms.approval,
            code=new_code(),
            policy_version=policy.version,
            sent_by=proposer,
            renews=renews,
            kind=Kind.SOCIAL_MEDIA,
            asked=SocialMediaUse(level, tuple(sorted(authorisations)), until, proposer),
        )
        return await submitting.submit(self._db, policy, self._lists.categories, new.listed_as(match), now)

    async def terms_of(self, session: Session, request: AccessRequest) -> Terms | None:
        """Return the terms of a request that the session sees, None where it has none."""
        signed = await _signed_terms(self._db, request.id)
        terms = self.terms
        if signed is not None or terms is None or request.social_media is None:
            return signed
        awaits = request.state_at(self._clock()) is State.AWAITS_SIGNATURE
        return Terms(terms.terms, terms.version, None, awaits and request.person == session.person)

    async def sign(self, session: Session, id_: int, version: str) -> AccessRequest:
        """As `sign`; published when it returns. Raises NotAllowedError unless signed in, too."""
        if session.person is None or not session.is_signed_in:
            why = "Sign in to sign."
            await access_requests.refuse(self._db, id_, actor=session.actor, at=self._clock(), why=why)
            raise NotAllowedError(why)
        signed = await sign(
            self._db,
            self._policy(),
            self._lists.categories,
            id_,
            actor=session.person,
            version=version,
            at=self._clock(),
        )
        await self._publisher.publish_state()
        return signed

    async def register(self, session: Session) -> list[Registered]:
        """Return who is authorised or was, by department and person, newest first for each.

        Heads, delegates and coordinators see their department. Raises NotAllowedError but for those.
        """
        policy, sees = self._policy(), self._sees(session)
        signed = await signatures(self._db)
        found = [
            Registered(request, request.social_media, signed.get(request.id))
            for request in await decided_requests.of_kind(self._db, Kind.SOCIAL_MEDIA)
            if request.social_media is not None and (sees is None or request.department in sees)
        ]
        names = policy.people
        return sorted(
            found,
            key=lambda one: (
                one.request.department or "",
                names[one.request.person].name if one.request.person in names else one.request.person,
            ),
        )

    def coordinators(self, session: Session) -> dict[str, str]:
        """Return the coordinators of the departments that `register` is of, by these. Raises as it does."""
        sees = self._sees(session)
        named = self.terms.coordinators if self.terms is not None else {}
        return {id_: person for id_, person in named.items() if sees is None or id_ in sees}

    def _sees(self, session: Session) -> frozenset[str] | None:
        """Return the departments whose register a session sees, None for all. Raises NotAllowedError."""
        person = session.person if session.is_signed_in else None
        sees = roles.social_media_of(self._policy(), person) if person is not None else frozenset[str]()
        if sees is not None and not sees:
            raise NotAllowedError("Social media register: only people with that duty see it.")
        return sees

    async def _site(self, policy: Policy, typed: str) -> tuple[str, CategoryMatch | None]:
        """Return the site that somebody typed, and what it is listed as first."""
        try:
            host = parse_web_address(typed).host
        except ValueError as error:
            raise InvalidRequestError("sites", f"{typed[:60]} is not a site, like facebook.com") from error
        if "." not in host or is_address(host):
            raise InvalidRequestError("sites", f"{host[:60]} is not a site, like facebook.com")
        try:
            site = site_of(host)
        except InvalidRequestError as error:
            raise InvalidRequestError("sites", str(error)) from error
        matches = await looked_up(self._lists, site, "sites")
        shut = policy.security_categories | policy.asking.never
        if any(match.category in shut for match in matches):
            raise InvalidRequestError("sites", f"{site} is of a kind that nobody is authorised for")
        return site, matches[0] if matches else None


async def sign(
    db: Database, policy: Policy, listed: Listed, id_: int, *, actor: str, version: str, at: datetime
) -> AccessRequest:
    """Sign the terms of an approved proposal: its sites open, or wait for IT where the policy has that.

    Raises UnknownRequestError; NotAllowedError but for its person, NeverGrantedError, TransitionError (also
    when its time is over), all recorded; InvalidRequestError where other terms than `version` are in force.
    """

    async def open_it(t: Transaction, request: AccessRequest) -> None:
        terms, use = policy.asking.social_media, request.social_media
        if use is None or terms is None or terms.version != version:
            raise InvalidRequestError(
                "version", "The terms have changed since you opened them. Read them again"
            )
        await t.execute(
            "INSERT INTO terms_version (version, text, first_signed_at) VALUES (?, ?, ?)"
            " ON CONFLICT (version) DO NOTHING",
            version,
            terms.terms,
            to_ms(at),
        )
        await t.execute(
            "INSERT INTO terms_signature (access_request, person, version, signed_at) VALUES (?, ?, ?, ?)",
            id_,
            actor,
            version,
            to_ms(at),
        )
        waits = policy.after_approval is AfterApproval.WAIT_FOR_IT
        await move(
            t,
            policy,
            request,
            State.AWAITS_OPENING if waits else State.APPROVED,
            actor=actor,
            at=at,
            details={"version": version, "expires_at": use.until.isoformat()},
            approved_until=use.until if waits else None,
            decided_by=request.decided_by,
        )
        if not waits:
            by = request.decided_by or actor
            await grant(t, request, frozenset(), at=at, ends_at=use.until, approved_by=by)

    def refusal(request: AccessRequest) -> Refusal | None:
        if actor != request.person:
            return NotAllowedError(f"{request.number} is not for {actor} to sign")
        return None if request.state_at(at) is State.AWAITS_SIGNATURE else too_late(request, at)

    return await attempt(db, policy, id_, actor, at, "sign", refusal, open_it, towards_access=listed)


async def signatures(db: Reader) -> Mapping[int, Signature]:
    """Return who signed, by the number of the request."""
    rows = await db.fetch_all("SELECT * FROM terms_signature")
    return {row["access_request"]: Signature(row["version"], from_ms(row["signed_at"])) for row in rows}


async def _signed_terms(db: Reader, id_: int) -> Terms | None:
    row = await db.fetch_one(
        "SELECT version, signed_at, text FROM terms_signature JOIN terms_version USING (version)"
        " WHERE access_request = ?",
        id_,
    )
    return Terms(row["text"], row["version"], from_ms(row["signed_at"]), is_to_sign=False) if row else None
