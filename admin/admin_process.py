"""What the admin process is made of: one object for the pages, and the tasks behind it.

Every method that changes something takes the session it is done in, checks what that session may
do, and publishes what the proxy must know before it returns.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from zoneinfo import ZoneInfo

from admin.asking import AccessRequest, Duration, ForWhom, Move
from admin.clock import Clock, utc_now
from admin.database import Database
from admin.sessions import Opened, Session
from admin.state_folder import StateFolder
from admin.visits import Cursor, Reach, VisitFilter, VisitRow
from policy.ask_token import AskToken
from policy.town_policy import Policy


class AdminProcess:
    """The running admin. Made by `admin_process`."""

    db: Database
    state: StateFolder
    ask_key: bytes

    # --- what is in force ---
    def now(self) -> datetime:
        """Return the time, aware UTC."""
        raise NotImplementedError

    @property
    def policy(self) -> Policy:
        """The running policy; replaced whole when a new document is good."""
        raise NotImplementedError

    @property
    def zone(self) -> ZoneInfo:
        """The town's time zone."""
        raise NotImplementedError

    @property
    def policy_problems(self) -> tuple[str, ...]:
        """Why policy.yaml as it is now is not the running policy; empty when it is."""
        raise NotImplementedError

    def troubles(self) -> tuple[str, ...]:
        """Say what is not well, worst first: database, ingest, tasks, policy; empty when all is."""
        raise NotImplementedError

    # --- sessions ---
    async def sign_in(self, person: str, password: str, previous: Session | None = None) -> Opened:
        """As accounts.sign_in; SignInError too for someone who is no longer in the policy."""
        raise NotImplementedError

    async def sign_out(self, session: Session) -> None:
        """End the session."""
        raise NotImplementedError

    async def session_of(self, token: str) -> Session | None:
        """As sessions.session_of; None too for someone who is no longer in the policy."""
        raise NotImplementedError

    async def follow_ask(self, token_text: str, current: Session | None) -> Opened:
        """Follow an Ask link. Raises AskTokenError, AskTokenExpiredError (policy.ask_token)."""
        raise NotImplementedError

    # --- asking (access_requests' errors) ---
    async def followed_ask(self, session: Session, code: str) -> AskToken | None:
        """Return what the followed Ask link with this code said, None when it was not followed here."""
        raise NotImplementedError

    async def submit(
        self, session: Session, code: str, reason: str, duration: Duration, for_whom: ForWhom
    ) -> AccessRequest:
        """Send the form of a followed Ask link. Raises UnknownRequestError when it was not followed."""
        raise NotImplementedError

    async def approve(self, session: Session, id_: int, expires_at: datetime | None = None) -> AccessRequest:
        """As access_requests.approve; when it returns, the proxy can read the new snapshot."""
        raise NotImplementedError

    async def deny(self, session: Session, id_: int, reason: str) -> AccessRequest:
        """As access_requests.deny."""
        raise NotImplementedError

    async def withdraw(self, session: Session, id_: int) -> AccessRequest:
        """As access_requests.withdraw."""
        raise NotImplementedError

    async def stop(self, session: Session, id_: int, reason: str) -> AccessRequest:
        """As access_requests.stop; published when it returns."""
        raise NotImplementedError

    async def request_for(self, session: Session, id_: int) -> AccessRequest:
        """Return a request its viewer may see: asker, sender's browser, approvers of any step, IT.

        Raises UnknownRequestError for others, too.
        """
        raise NotImplementedError

    async def mine(self, session: Session) -> list[AccessRequest]:
        """Signed in: the person's requests; else those sent from this browser. Newest first."""
        raise NotImplementedError

    async def to_decide(self, session: Session) -> list[AccessRequest]:
        """Return what waits for this person, nearest deadline first; nothing unless signed in."""
        raise NotImplementedError

    async def granted(self, session: Session) -> list[AccessRequest]:
        """Return access in force, ending soonest first. Raises NotAllowedError but for IT."""
        raise NotImplementedError

    async def reach(self, request: AccessRequest) -> Reach:
        """Return how often the asker's department went to the site in the last 30 days."""
        raise NotImplementedError

    async def earlier_decisions(self, request: AccessRequest) -> list[AccessRequest]:
        """Return the department's other, decided requests for the site, newest first."""
        raise NotImplementedError

    async def time_line(self, request: AccessRequest) -> list[Move]:
        """Return what happened to the request, oldest first."""
        raise NotImplementedError

    # --- visits ---
    async def visits(
        self, session: Session, where: VisitFilter, before: Cursor | None = None, limit: int = 50
    ) -> list[VisitRow]:
        """Return visits, newest first; names only while shown.

        Raises NotAllowedError but for IT and auditors, NamesHiddenError for a search by person
        while names are hidden.
        """
        raise NotImplementedError

    async def visit(self, session: Session, id_: int) -> VisitRow:
        """Return one visit. Raises LookupError, and as visits does."""
        raise NotImplementedError

    async def show_names(self, session: Session, reason: str, case: str) -> Session:
        """Show names for 30 minutes in this session; logged with the reason. ValueError without one."""
        raise NotImplementedError

    async def stopped_here(self, session: Session) -> Sequence[VisitRow]:
        """Return what was stopped for this person or device in the last 15 minutes, newest first."""
        raise NotImplementedError


@asynccontextmanager
async def admin_process(
    state: StateFolder, admin_url: str, clock: Clock = utc_now
) -> AsyncIterator[AdminProcess]:
    """Open the database, publish what it says, start ingest and polling; stop them at the end.

    Raises DatabaseError, StateFolderError or PolicyError, with what to do, when it cannot start.
    """
    raise NotImplementedError
    yield AdminProcess()
