"""What the admin process is made of: one object for the pages, and the tasks behind it.

Every method that changes something takes the session it is done in, checks what that session may
do, and publishes what the proxy must know before it returns.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from admin import (
    accounts,
    ask_key,
    key_file,
    password_resets,
    roles,
    sessions,
    visits,
)
from admin.account_requests import InternetAccounts
from admin.acting_roles import acting
from admin.admin_lock import holding_admin_lock
from admin.admin_metrics import AdminMetrics
from admin.api_tokens import ApiTokens
from admin.ask_links import AskLinks, sits_at
from admin.asking_ahead import AskingAhead
from admin.attempts import AttemptsJob
from admin.audit_heads import AuditHeads
from admin.background import Background
from admin.clock import Clock, utc_now
from admin.correspondence import Correspondence
from admin.database import Database, DatabaseError
from admin.deciding_several import SeveralDecisions
from admin.delegations import Delegations
from admin.device_requests import DeviceRequests
from admin.download_reminders import DownloadReminders
from admin.emergency import Emergency
from admin.emergency_access import EmergencyAccesses
from admin.emergency_reviews import EmergencyReviews
from admin.exemption_reviews import ExemptionReviews
from admin.first_visits import FirstVisitsJob
from admin.heavy import HeavyViews
from admin.ingest import Ingest, IngestStatus
from admin.limit_letters import LimitLetters
from admin.limit_lifts import LimitLifts
from admin.list_updates import ListUpdates
from admin.names import Names
from admin.needed_hosts import NeededHosts
from admin.new_deciders import NewDeciders
from admin.notice_signing import NoticeSigning
from admin.pausing import Pausing
from admin.people_lists import PeopleLists
from admin.people_register import PeopleRegister
from admin.publisher import Publisher
from admin.quota_use import QuotaUse
from admin.records import Records
from admin.renewing import Renewals
from admin.reports import Reports
from admin.request_views import RequestViews
from admin.review import Review
from admin.session_requests import SessionRequests
from admin.sessions import Opened, Session
from admin.settings_file import SettingsFile
from admin.site_lists import SiteLists
from admin.social_media import SocialMediaUses
from admin.standing_permissions import StandingPermissions
from admin.state_folder import Side, StateFolder
from admin.town_account import TownAccount
from admin.unanswered import Unanswered
from admin.used_downloads import UsedDownloads
from admin.visit_export import VisitExports
from admin.visit_views import VisitViews
from admin.weekly_letters import WeeklyLetters
from admin.weekly_report import WeeklyReports
from categories.taxonomy import taxonomy
from policy.town_policy import Policy

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
        admin_url: str,
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
        self.delegations = Delegations(db, lambda: publisher.policy, lambda: publisher.document_policy, clock)
        self.asking_ahead = AskingAhead(db, self.site_lists, lambda: publisher.published, clock)
        self.exemption_reviews = ExemptionReviews(db, lambda: self.policy, clock)
        self.social_media = SocialMediaUses(db, publisher, lambda: self.policy, self.site_lists, clock)
        self.device_requests = DeviceRequests(db, lambda: self.policy, self.site_lists.categories, clock)
        self.standing_permissions = StandingPermissions(db, lambda: self.policy, self.site_lists, clock)
        self.emergency_access = EmergencyAccesses(db, publisher, lambda: self.policy, self.site_lists, clock)
        self.accounts = InternetAccounts(db, lambda: self.policy, self.site_lists.categories, clock)
        self._publisher = publisher
        self._ingest = ingest
        self._background = background
        self._reset_key = reset_key
        self._clock = clock
        self.names = Names(db, lambda: self.policy, clock)
        self.visit_views = VisitViews(db, lambda: self.policy, self.names, secret, clock)
        self.visit_exports = VisitExports(db, self.visit_views, clock)
        self.request_views = RequestViews(db, lambda: self.policy, clock)
        self.requests = SessionRequests(
            db,
            publisher,
            lambda: self.policy,
            self.asks,
            self.request_views,
            self.visit_views,
            self.site_lists.categories,
            self.exemption_reviews,
            clock,
        )
        self.renewals = Renewals(
            lambda: self.policy,
            self.requests,
            self.device_requests,
            self.standing_permissions,
            self.accounts,
            self.social_media,
            clock,
        )
        self.several_decisions = SeveralDecisions(
            db, self.requests, self.request_views, lambda: self.policy, clock
        )
        self.heavy = HeavyViews(db, publisher, state.spool, lambda: self.policy, secret, clock)
        self.weekly_reports = WeeklyReports(db, lambda: self.policy, clock)
        self.quota_use = QuotaUse(state.spool, lambda: self.policy, clock)
        self.limit_lifts = LimitLifts(db, publisher, lambda: self.policy, self.visit_views, clock)
        self.download_reminders = DownloadReminders(
            db, self.asks, correspondence, lambda: self.policy, self.visit_views, clock
        )
        self.api_tokens = ApiTokens(db, lambda: self.policy, self._known, clock)
        self.emergency = Emergency(db, publisher, clock)
        self.reports = Reports(db, self.asks, publisher, clock)
        self.pausing = Pausing(db, publisher, self.site_lists, clock)
        self.needed_hosts = NeededHosts(db, publisher, lambda: self.policy, self.site_lists, clock)
        self.review = Review(
            db, publisher, self.site_lists, clock, lambda: settings.settings.lists.well_known
        )
        self.notice = NoticeSigning(db, publisher, clock)
        self.people = PeopleRegister(db, publisher, clock)
        self.people_lists = PeopleLists(state, db, publisher, clock)
        self.town_account = TownAccount(
            db,
            lambda: settings.settings.openid_connect,
            lambda: self.policy,
            lambda: publisher.document_policy,
            admin_url,
            clock,
        )
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
        if not self.db.is_in_place:
            found.insert(0, f"Nothing can be saved: {self.db.path} is gone. Put it back, or restore a backup")
        if self._publisher.failure is not None:
            found.append(f"What was decided has not reached the proxy: {self._publisher.failure}")
        if self.lists.failure is not None:
            found.append(f"The lists could not be updated: {self.lists.failure}")
        if self._ingest.status.failure is not None:
            found.append(f"Visits wait in the spool: {self._ingest.status.failure}")
        if self._ingest.status.misnamed:
            found.append(_not_taken_in(self._ingest.status.misnamed, self.state.spool))
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
        return await self._known(await sessions.session_of(self.db, token, self.now()))

    async def _known(self, session: Session | None) -> Session | None:
        """Return a session as `session_of` does, None for one that is over."""
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


def _not_taken_in(misnamed: Sequence[str], spool: Path) -> str:
    others = f" and {len(misnamed) - 1:,} more" if len(misnamed) > 1 else ""
    return (
        f"Visits wait in {spool}: {misnamed[0]!a}{others} cannot be the name of a file there."
        " Rename it, to one like found.visits, or delete it"
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
                admin_url=admin_url,
                secret=secret,
                reset_key=reset_key,
                clock=clock,
            )
            await admin.delegations.load()
            db.know_roles(
                lambda actor, department, asked_as: acting(admin.policy, actor, department, asked_as)
            )
            correspondence.start(background)
            background.keep_running("settings", settings.watch)
            background.keep_running("lists", admin.lists.run)
            metrics = AdminMetrics(state, db, admin.lists, admin.site_lists, ingest, correspondence, clock)
            background.keep_running("metrics", metrics.run)
            background.keep_running("publishing", publisher.watch)
            background.keep_running("ingest", ingest.run)
            background.keep_running("pausing", admin.pausing.watch)
            background.keep_running("audit heads", admin.audit_heads.run)
            waiting = Unanswered(db, lambda: admin.policy, clock)
            background.keep_looking("unanswered", waiting.look, seconds=20)
            new_deciders = NewDeciders(db, lambda: admin.policy, clock)
            background.keep_looking("new deciders", new_deciders.look, seconds=20)
            unreviewed = EmergencyReviews(db, lambda: admin.policy, clock)
            background.keep_looking("emergency reviews", unreviewed.look, seconds=20)
            limit_letters = LimitLetters(db, lambda: admin.policy, clock)
            background.keep_looking("limit letters", limit_letters.look, seconds=20)
            attempts = AttemptsJob(db, lambda: admin.policy, clock)
            used_downloads = UsedDownloads(db, state.spool, clock)
            background.keep_looking("used downloads", used_downloads.look, seconds=5)
            background.keep_looking("attempts", attempts.look, seconds=60)
            weekly_letters = WeeklyLetters(
                db, lambda: admin.policy, lambda: ingest.status.caught_up_at, clock
            )
            background.keep_looking("weekly report", weekly_letters.look, seconds=20)
            background.keep_looking("exemption reviews", admin.exemption_reviews.look, seconds=60)
            background.keep_running("first visits", FirstVisitsJob(state.first_visits, db, clock).run)
            yield admin
