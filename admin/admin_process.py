"""What the admin process is made of: one object for the pages, and the tasks behind it.

Every method that changes something takes the session it is done in, checks what that session may
do, and publishes what the proxy must know before it returns.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from admin import (
    access_request_lists,
    access_requests,
    accounts,
    ask_key,
    joining,
    key_file,
    password_resets,
    roles,
    sessions,
    visits,
)
from admin.admin_lock import holding_admin_lock
from admin.admin_metrics import AdminMetrics
from admin.ask_links import AskLinks, sits_at
from admin.asking import (
    AccessRequest,
    ForWhom,
    Move,
    NewAccessRequest,
    NotAllowedError,
    UnknownRequestError,
    deciders_of,
    involved,
    may_stop,
)
from admin.asking_ahead import AskingAhead
from admin.audit_heads import AuditHeads
from admin.background import Background
from admin.clock import Clock, utc_now
from admin.correspondence import Correspondence
from admin.database import Database, DatabaseError
from admin.delegations import Delegations
from admin.emergency import Emergency
from admin.exemption_reviews import ExemptionReviews
from admin.first_visits import FirstVisitsJob
from admin.ingest import Ingest, IngestStatus
from admin.list_updates import ListUpdates
from admin.needed_hosts import NeededHosts
from admin.notice_signing import NoticeSigning
from admin.pausing import Pausing
from admin.people_register import PeopleRegister
from admin.publisher import Publisher
from admin.records import Records
from admin.reports import Reports
from admin.review import Review
from admin.sessions import Opened, Session
from admin.settings_file import SettingsFile
from admin.site_lists import SiteLists
from admin.state_folder import Side, StateFolder
from admin.unanswered import Unanswered
from admin.visit_log import counting
from admin.visit_log.counting import Reach
from admin.visit_views import VisitViews
from categories.taxonomy import taxonomy
from policy.access_duration import Duration
from policy.ask_token import AskToken
from policy.town_policy import Approver, Policy

REACH_WITHIN = timedelta(days=30)
# How long what was answered is told first to whoever asks again.
ANSWERS_COUNT_FOR = timedelta(days=90)
_UP_TO_DATE_WITHIN = timedelta(seconds=30)


class AdminProcess:
    """The running admin. Made by `admin_process`."""

    def __init__(
        self,
        state: StateFolder,
        db: Database,
        publisher: Publisher,
        ingest: Ingest,
        background: Background,
        settings: SettingsFile,
        correspondence: Correspondence,
        *,
        secret: bytes,
        reset_key: bytes,
        clock: Clock,
    ) -> None:
        self.state = state
        self.db = db
        self.settings = settings
        self.correspondence = correspondence
        self.lists = ListUpdates(state, lambda: settings.settings.lists, lambda: self.zone, clock)
        self.site_lists = SiteLists(state.categories, db)
        self.asks = AskLinks(
            db, ask_key.ensure(state.ask_token_key), self.site_lists, lambda: publisher.policy, clock
        )
        self.delegations = Delegations(db, lambda: publisher.policy, clock)
        self.asking_ahead = AskingAhead(db, self.site_lists, lambda: publisher.published, clock)
        self.exemption_reviews = ExemptionReviews(db, lambda: self.policy, clock)
        self._publisher = publisher
        self._ingest = ingest
        self._background = background
        self._reset_key = reset_key
        self._clock = clock
        self.visit_views = VisitViews(db, lambda: self.policy, secret, clock)
        self.emergency = Emergency(db, publisher, clock)
        self.reports = Reports(db, self.asks, publisher, clock)
        self.pausing = Pausing(db, publisher, self.site_lists, clock)
        self.needed_hosts = NeededHosts(db, publisher, lambda: self.policy, self.site_lists, clock)
        self.review = Review(
            db, publisher, self.site_lists, clock, lambda: settings.settings.lists.well_known
        )
        self.notice = NoticeSigning(db, publisher, clock)
        self.people = PeopleRegister(db, publisher, clock)
        self.audit_heads = AuditHeads(db, lambda: settings.settings.audit, state.audit_heads, clock)
        self.records = Records(
            db, lambda: self.policy, lambda: publisher.document_policy, self.audit_heads, clock
        )

    # --- what is in force ---

    def now(self) -> datetime:
        """Return the time, aware UTC."""
        return self._clock()

    @property
    def policy(self) -> Policy:
        """The running policy, with who stands in for a head now; replaced when a new document is good."""
        return self.delegations.policy

    @property
    def zone(self) -> ZoneInfo:
        """The town's time zone."""
        return ZoneInfo(self.policy.town.timezone)

    @property
    def policy_problems(self) -> tuple[str, ...]:
        """Why policy.yaml as it is now is not the running policy; empty when it is."""
        return self._publisher.problems

    @property
    def visits_behind(self) -> IngestStatus | None:
        """How far the visit log is, None while it is up to date: at most half a minute behind."""
        status = self._ingest.status
        is_old = status.caught_up_at is not None and self.now() - status.caught_up_at > _UP_TO_DATE_WITHIN
        return status if status.failure is not None or status.waiting_records or is_old else None

    def troubles(self) -> tuple[str, ...]:
        """Say what is not well, worst first: records, publishing, ingest, tasks; empty when all is."""
        found = list(self.audit_heads.troubles)
        if self._publisher.failure is not None:
            found.append(f"What was decided has not reached the proxy: {self._publisher.failure}")
        if self.lists.failure is not None:
            found.append(f"The lists could not be updated: {self.lists.failure}")
        if self._ingest.status.failure is not None:
            found.append(f"Visits wait in the spool: {self._ingest.status.failure}")
        found += [f"The task {name} failed: {why}" for name, why in self._background.failures.items()]
        return tuple(found)

    # --- sessions ---

    async def sign_in(
        self, person: str, password: str, previous: Session | None = None, *, address: str | None = None
    ) -> Opened:
        """As accounts.sign_in; SignInError too for someone who is no longer in the policy."""
        is_known = person in self.policy.people
        duties = roles.duties_of(self.policy, person)
        return await accounts.sign_in(
            self.db,
            person,
            password,
            self.now(),
            previous=previous,
            is_known=is_known,
            duties=duties,
            address=address,
        )

    async def sign_out(self, session: Session) -> None:
        """End the session."""
        await accounts.sign_out(self.db, session, self.now())

    async def ask_for_new_password(self, name: str) -> None:
        """As password_resets.ask."""
        await password_resets.ask(self.db, self.policy, name, self.now())

    async def person_of_link(self, token: str) -> str:
        """As password_resets.person_of."""
        return await password_resets.person_of(self.db, self.policy, token, self._reset_key, self.now())

    async def set_new_password(self, token: str, password: str) -> None:
        """As password_resets.use."""
        await password_resets.use(self.db, self.policy, token, self._reset_key, password, self.now())

    async def session_of(self, token: str) -> Session | None:
        """As sessions.session_of; None too when the running policy no longer knows its person there.

        That is: the person left the policy or has a duty less than when they signed in, or a session of level
        DEVICE is of a device that is not this person's any more. One who signed in keeps no device that is
        another person's.
        """
        session = await sessions.session_of(self.db, token, self.now())
        if session is None or (session.person is not None and session.person not in self.policy.people):
            return None
        if session.person is not None and session.duties - roles.duties_of(self.policy, session.person):
            async with self.db.transaction() as t:
                await sessions.end(t, session)
            return None
        if session.device is None or sits_at(self.policy, session.device, session.person):
            return session
        if not session.is_signed_in:
            return None
        return session if sits_at(self.policy, session.device, None) else replace(session, device=None)

    # --- asking (errors: admin.asking) ---

    async def ask_about(self, session: Session, visit_id: int) -> str:
        """Prepare asking for a visit of `visit_views.stopped_here`, as its block page would; return its code.

        Raises UnknownRequestError when it is none of them.
        """
        row = next((row for row in await self.visit_views.stopped_here(session) if row.id == visit_id), None)
        if row is None:
            raise UnknownRequestError("this visit was not stopped here in the last 15 minutes")
        return await self.asks.remember(session, row)

    def approvers(self, session: Session, ask: AskToken) -> frozenset[str]:
        """Return the people who would answer first if this session's person sent this ask."""
        if session.person is None or not ask.approval:
            return frozenset()
        department = self.policy.people[session.person].department
        return deciders_of(self.policy, Approver(ask.approval[0]), session.person, department)

    async def submit(
        self, session: Session, code: str, reason: str, duration: Duration, for_whom: ForWhom
    ) -> AccessRequest:
        """Send the form of a followed Ask link.

        Raises UnknownRequestError when it was not followed, NotAllowedError when nobody knows who
        asks, InvalidRequestError, AlreadyOpenError.
        """
        ask = await self.asks.followed(session, code)
        if ask is None:
            raise UnknownRequestError("this form belongs to no Ask link that was opened here")
        if session.person is None:
            raise NotAllowedError("Sign in to ask: this computer is used by several people.")
        new = NewAccessRequest(
            host=ask.host,
            person=session.person,
            department=self.policy.people[session.person].department,
            for_whom=for_whom,
            reason=reason,
            duration=duration,
            chain=tuple(Approver(role) for role in ask.approval),
            code=ask.code,
            policy_version=ask.policy_version,
            rule=ask.rule,
            category=ask.category,
            entry=ask.entry,
            source=ask.source,
            browser=session.browser,
            risks=ask.risks,
        )
        return await access_requests.submit(self.db, self.policy, new, self.now())

    async def join(self, session: Session, code: str) -> AccessRequest:
        """Join the open request of the department for the site of a followed Ask link.

        Raises as submit and joining.join do.
        """
        ask = await self.asks.followed(session, code)
        if ask is None:
            raise UnknownRequestError("this form belongs to no Ask link that was opened here")
        if session.person is None:
            raise NotAllowedError("Sign in to ask: this computer is used by several people.")
        department = self.policy.people[session.person].department
        request = await access_request_lists.open_request_for(self.db, ask.host, department)
        if request is None:
            raise UnknownRequestError("nobody's request for this site is open any more")
        return await joining.join(
            self.db, self.policy, request.id, person=session.person, browser=session.browser, at=self.now()
        )

    async def answered_before(self, session: Session, ask: AskToken) -> AccessRequest | None:
        """As access_request_lists.answered_before, within 90 days, for the session's person."""
        if session.person is None:
            return None
        department = self.policy.people[session.person].department
        since = self.now() - ANSWERS_COUNT_FOR
        return await access_request_lists.answered_before(
            self.db, ask.host, session.person, department, since
        )

    async def approve(
        self,
        session: Session,
        id_: int,
        *,
        seen_step: int | None = None,
        seen_hosts: Collection[str] | None = None,
        seen_joined: Collection[str] | None = None,
        expires_at: datetime | None = None,
    ) -> AccessRequest:
        """As access_requests.approve; when it returns, the proxy can read the new snapshot."""
        actor = await self._actor(session, id_)
        request = await access_requests.approve(
            self.db,
            self.policy,
            id_,
            actor=actor,
            at=self.now(),
            seen_step=seen_step,
            seen_hosts=seen_hosts,
            seen_joined=seen_joined,
            expires_at=expires_at,
        )
        await self._publisher.publish_state()
        return request

    async def deny(
        self, session: Session, id_: int, reason: str, *, seen_step: int | None = None
    ) -> AccessRequest:
        """As access_requests.deny."""
        actor = await self._actor(session, id_)
        return await access_requests.deny(
            self.db, self.policy, id_, actor=actor, at=self.now(), reason=reason, seen_step=seen_step
        )

    async def withdraw(self, session: Session, id_: int) -> AccessRequest:
        """As access_requests.withdraw; from the browser that sent it, too."""
        request = await self.request_for(session, id_)
        if session.is_signed_in or request.browser != session.browser:
            actor = await self._actor(session, id_)
        else:
            actor = request.person
        return await access_requests.withdraw(self.db, self.policy, id_, actor=actor, at=self.now())

    async def stop(self, session: Session, id_: int, reason: str) -> AccessRequest:
        """As access_requests.stop; published when it returns."""
        actor = await self._actor(session, id_)
        request = await access_requests.stop(
            self.db, self.policy, id_, actor=actor, at=self.now(), reason=reason
        )
        await self._publisher.publish_state()
        return request

    async def open_access(self, session: Session, id_: int) -> AccessRequest:
        """As access_requests.open_access; published when it returns."""
        actor = await self._actor(session, id_)
        request = await access_requests.open_access(self.db, self.policy, id_, actor=actor, at=self.now())
        await self._publisher.publish_state()
        return request

    async def renew(self, session: Session, id_: int) -> AccessRequest:
        """Ask for the same again, through its chain as it is now; whoever asked, or may stop it, does.

        Raises UnknownRequestError, NotAllowedError, InvalidRequestError, AlreadyOpenError.
        """
        request = await self.request_for(session, id_)
        actor = await self._actor(session, id_)
        if actor not in request.askers and not may_stop(self.policy, request, actor):
            why = f"{request.number} is not for {actor} to renew"
            await access_requests.refuse(self.db, id_, actor=actor, at=self.now(), why=why)
        remaining = (asker for asker in request.askers if asker in self.policy.people)
        person = actor if actor in request.askers else next(remaining, request.person)
        record = self.policy.people.get(person)
        if request.window is not None:
            raise NotAllowedError("Personal use is asked for anew.")
        ask = await self.asks.followed(session, await self.asks.remember_request(session, request))
        if record is None or ask is None or request.exemption is None:
            raise UnknownRequestError(f"{request.number} cannot be renewed")
        new = NewAccessRequest(
            host=request.host,
            person=person,
            department=record.department,
            for_whom=request.for_whom,
            reason=request.reason,
            duration=request.duration,
            chain=tuple(Approver(role) for role in ask.approval),
            code=request.code,
            policy_version=self.policy.version,
            rule=request.rule,
            category=request.category,
            entry=request.entry,
            source=request.source,
            browser=session.browser if actor == person else None,
            risks=ask.risks,
            renews=request.id,
            sent_by=actor,
        )
        return await access_requests.submit(self.db, self.policy, new, self.now())

    async def keep(self, session: Session, id_: int) -> None:
        """As ExemptionReviews.keep."""
        await self.request_for(session, id_)
        await self.exemption_reviews.keep(id_, await self._actor(session, id_))

    async def request_for(self, session: Session, id_: int) -> AccessRequest:
        """Return a request its viewer may see: asker, sender's browser, approvers of any step, IT.

        Raises UnknownRequestError for others, too.
        """
        request = await access_request_lists.get(self.db, id_)
        if session.browser in (request.browser, *(joined.browser for joined in request.joined)):
            return request
        if session.is_signed_in and session.person is not None:
            concerned = {*request.askers, *involved(self.policy, request)}
            if session.person in concerned or roles.sees_all_requests(self.policy, session.person):
                return request
        raise UnknownRequestError(f"there is no request REQ-{id_}")

    async def mine(self, session: Session) -> list[AccessRequest]:
        """Signed in: the person's requests, too; else those sent from this browser. Newest first."""
        person = session.person if session.is_signed_in else None
        return await access_request_lists.mine(self.db, person, session.browser)

    async def standing(self, session: Session) -> list[AccessRequest]:
        """Return open requests and access in force of the session's person."""
        if session.person is None:
            return []
        department = self.policy.people[session.person].department
        return await access_request_lists.standing(self.db, session.person, department, self.now())

    async def to_decide(self, session: Session) -> list[AccessRequest]:
        """Return what waits for this person, nearest deadline first; nothing unless signed in."""
        if session.person is None or not session.is_signed_in:
            return []
        return await access_request_lists.to_decide(self.db, self.policy, session.person)

    async def to_open(self, session: Session) -> list[AccessRequest]:
        """Return what was approved and this person may open; nothing unless signed in."""
        if session.person is None or not session.is_signed_in:
            return []
        return await access_request_lists.to_open(self.db, self.policy, session.person)

    async def granted(self, session: Session) -> list[AccessRequest]:
        """Return access in force, ending soonest first. Raises NotAllowedError but for IT."""
        person = session.person if session.is_signed_in else None
        if person is None or not roles.sees_all_requests(self.policy, person):
            raise NotAllowedError("Access that is open: only people with that duty see this.")
        return await access_request_lists.granted(self.db, self.now())

    async def reach(self, request: AccessRequest) -> Reach:
        """Return how often the asker's department went to the site in the last 30 days."""
        if request.window is not None:
            return Reach(0, 0)
        since = self.now() - REACH_WITHIN
        return await counting.reach(self.db.visits, request.host, request.department, since)

    async def earlier_decisions(self, request: AccessRequest) -> list[AccessRequest]:
        """Return the department's other, decided requests for the site, newest first."""
        found = await access_request_lists.earlier_decisions(self.db, request.host, request.department)
        return [earlier for earlier in found if earlier.id != request.id]

    async def time_line(self, request: AccessRequest) -> list[Move]:
        """Return what happened to the request, oldest first."""
        return await access_request_lists.time_line(self.db, request)

    # --- inside ---

    async def _actor(self, session: Session, id_: int) -> str:
        """Return who acts; a session that only knows the device decides nothing, which is recorded."""
        if session.is_signed_in and session.person is not None:
            return session.person
        return await access_requests.refuse(
            self.db,
            id_,
            actor=session.person or "someone at a shared device",
            at=self.now(),
            why="Sign in to decide.",
        )


@asynccontextmanager
async def admin_process(
    state: StateFolder, admin_url: str, clock: Clock = utc_now
) -> AsyncIterator[AdminProcess]:
    """Open the database, publish what it says, start ingest and polling; stop them at the end.

    Raises StateFolderError, SettingsError, KeyFileError, DatabaseError or NoPolicyError, with what to
    do, when it cannot start.
    """
    await asyncio.to_thread(state.create, Side.ADMIN)
    async with holding_admin_lock(state):
        settings = SettingsFile(state)
        await settings.start()
        secret = await asyncio.to_thread(visits.who_secret, state.admin)
        reset_key = await asyncio.to_thread(key_file.ensure, state.reset_key)
        async with Database.open(state.database) as db, Background() as background:
            publisher = Publisher(state, db, admin_url, taxonomy(), clock)
            try:
                await publisher.start()
            except sqlite3.Error as error:
                raise DatabaseError(f"{state.database}: {error}; mend it, then start again") from error
            ingest = Ingest(db, state.spool, clock)
            correspondence = Correspondence(
                db, settings, lambda: admin.policy, admin_url, clock, reset_key=reset_key
            )
            admin = AdminProcess(
                state,
                db,
                publisher,
                ingest,
                background,
                settings,
                correspondence,
                secret=secret,
                reset_key=reset_key,
                clock=clock,
            )
            await admin.delegations.load()
            correspondence.start(background)
            background.keep_running("settings", settings.watch)
            background.keep_running("lists", admin.lists.run)
            metrics = AdminMetrics(state, db, admin.lists, admin.site_lists, ingest, correspondence, clock)
            background.keep_running("metrics", metrics.run)
            background.keep_running("publishing", publisher.watch)
            background.keep_running("ingest", ingest.run)
            background.keep_running("pausing", admin.pausing.watch)
            background.keep_running("audit heads", admin.audit_heads.run)
            background.keep_running("unanswered", Unanswered(db, lambda: admin.policy, clock).run)
            background.keep_running("exemption reviews", admin.exemption_reviews.run)
            background.keep_running("first visits", FirstVisitsJob(state.first_visits, db, clock).run)
            yield admin
