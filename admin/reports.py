"""What people say of sites that were stopped for them, and see of what they said."""

from admin import reporting_sites, roles, site_reports
from admin.ask_links import AskLinks
from admin.asking import MAX_REASON_LENGTH, AccessRequest, InvalidRequestError, UnknownRequestError
from admin.clock import Clock
from admin.database import Database
from admin.publisher import Publisher
from admin.sessions import Session
from admin.site_reports import ReportKind, SiteReport
from admin.written_text import one_line
from policy.ask_token import AskToken


class Reports:
    """Everybody's side of reports; IT's is `review`."""

    def __init__(self, db: Database, asks: AskLinks, publisher: Publisher, clock: Clock) -> None:
        self._db = db
        self._asks = asks
        self._publisher = publisher
        self._clock = clock

    async def wrong_category(
        self, session: Session, code: str, proposed: str | None, remark: str
    ) -> SiteReport:
        """Say that the site of a followed link is listed wrongly; `proposed` None: it is not known as what.

        Raises UnknownRequestError when the link was not followed here, InvalidRequestError.
        """
        tidy = one_line(remark)
        if len(tidy) > MAX_REASON_LENGTH:
            raise InvalidRequestError("remark", f"Use {MAX_REASON_LENGTH} characters at most")
        ask = await self._ask(session, code)
        return await self._send(session, ask, ReportKind.WRONG_CATEGORY, proposed, tidy)

    async def accident(self, session: Session, code: str) -> SiteReport:
        """Say that one came to the site of a followed link by accident. Raises as wrong_category does."""
        return await self._send(session, await self._ask(session, code), ReportKind.ACCIDENT)

    async def mine(self, session: Session) -> list[SiteReport]:
        """Signed in: the person's reports, too; else those sent from this browser. Newest first."""
        person = session.person if session.is_signed_in else None
        return await site_reports.mine(self._db, person, session.browser)

    async def get(self, session: Session, id_: int) -> SiteReport:
        """Return a report to whoever sent it, and to IT. Raises UnknownRequestError for others, too."""
        report = await site_reports.get(self._db, id_)
        policy, person = self._publisher.policy, session.person
        is_own = session.is_signed_in and person is not None and report.person == person
        is_it = session.is_signed_in and person is not None and roles.reviews(policy, person)
        if report.browser == session.browser or is_own or is_it:
            return report
        raise UnknownRequestError(f"there is no report REP-{id_}")

    async def remember_request(self, session: Session, request: AccessRequest) -> str:
        """Prepare saying that the site of a request is listed wrongly; return the code to go on with."""
        return await self._asks.remember_request(session, request)

    async def _ask(self, session: Session, code: str) -> AskToken:
        ask = await self._asks.followed(session, code)
        if ask is None:
            raise UnknownRequestError("this form belongs to no link that was opened here")
        return ask

    async def _send(
        self,
        session: Session,
        ask: AskToken,
        kind: ReportKind,
        proposed: str | None = None,
        remark: str = "",
    ) -> SiteReport:
        return await reporting_sites.send(
            self._db,
            self._publisher.policy,
            ask,
            kind,
            browser=session.browser,
            at=self._clock(),
            proposed=proposed,
            remark=remark,
        )
