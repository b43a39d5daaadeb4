"""Reminders: a mail to whoever was stopped at a large download, once the hours of its limit are over.

The page that stopped it leads here by its link, which tells the site and the address without its query.
The mail goes to the person whom the session knows and to nobody else, and waits in the outbox until then.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from admin import audit, outbox, proposing
from admin.ask_links import AskLinks
from admin.asking import InvalidRequestError, UnknownRequestError
from admin.audit import Event, EventKind
from admin.clock import Clock, to_ms
from admin.correspondence import Correspondence
from admin.database import Database, Reader
from admin.outbox import Letter, LetterKind
from admin.sessions import Session
from admin.visit_views import VisitViews
from admin.visits import VisitRow
from policy.decision import Cause
from policy.limiting import hours_end_at
from policy.town_policy import LimitAction, Policy
from policy.web_address import address_of_site, parse_web_address

MOST_A_DAY = 10
"""How many of these mails a person can have waiting, or from the last 24 hours."""
_LONGEST_PATH = 300
_ABOUT, _MOVE = "limits", "ask for a reminder"
# By the index of these letters: SQLite takes it where the query says so.
_COUNT = (
    "SELECT count(*) AS all_of_them, ifnull(sum(state = 'waiting' AND put_at > ?2"
    " AND details ->> '$.values.address' = ?3), 0) AS waiting"
    " FROM letter WHERE kind = 'download_reminder' AND recipient = ?1 AND put_at > ?4"
)


@dataclass(frozen=True, slots=True)
class Reminder:
    """What a page that stopped a download can be asked to say again, later.

    `at` (aware) is when its limit stops holding, None where it does not hold now. `is_asked`: it was asked
    for already. `is_reached`: the person is known, and gets mail. `is_full`: they have MOST_A_DAY of them.
    `can_go_on`: the page that stopped it lets it be loaded at once.
    """

    host: str
    address: str
    at: datetime | None
    is_asked: bool
    is_reached: bool
    is_full: bool
    can_go_on: bool

    @property
    def can_be_asked(self) -> bool:
        """Whether asking for it comes to a mail."""
        return self.at is not None and self.is_reached and not self.is_full and not self.is_asked


class DownloadReminders:
    """Takes what a session asks for. `policy` returns the running one."""

    def __init__(
        self,
        db: Database,
        asks: AskLinks,
        correspondence: Correspondence,
        policy: Callable[[], Policy],
        views: VisitViews,
        clock: Clock,
    ) -> None:
        self._db = db
        self._asks = asks
        self._views = views
        self._correspondence = correspondence
        self._policy = policy
        self._clock = clock

    async def of(self, session: Session, code: str) -> Reminder:
        """Return what the link with this code is about.

        Raises UnknownRequestError unless this browser followed it lately, and it was about a download.
        """
        return (await self._of(self._db, session, code))[0]

    async def ask(self, session: Session, code: str) -> None:
        """Put the mail; said twice, it is one. Where the limit holds no more there is none to put.

        Raises UnknownRequestError as `of`, NotAllowedError where nobody is known to write to, or the person
        has too many already; the last two are recorded.
        """
        at = self._clock()
        async with self._db.transaction() as t:
            reminder, limit = await self._of(t, session, code)
            if reminder.can_be_asked and reminder.at is not None and session.person is not None:
                values = {"host": reminder.host, "address": reminder.address, "limit": limit}
                letter = Letter(LetterKind.DOWNLOAD_REMINDER, session.person, f"DOWNLOAD {code}", values)
                await outbox.put(t, letter, reminder.at)
                details: dict[str, audit.Detail] = {"rule": limit, "host": reminder.host, "code": code}
                about = reminder.host
                await audit.record(t, Event(EventKind.REMINDER_ASKED, session.person, about, at, details))
                return
        if reminder.at is None or reminder.is_asked:
            return
        why = (
            f"You have {MOST_A_DAY} reminders already. Open the site again later."
            if reminder.is_reached
            else "Nobody is known here to whom a mail could go. Open the site again later."
        )
        await proposing.refuse(self._db, session, _ABOUT, at, why, _MOVE)

    async def ask_about(self, session: Session, visit_id: int, address: str) -> Reminder:
        """As `ask`, of a visit of `visit_views.stopped_here` that was a download; return how it stands.

        `address` is the download's; what follows a "?" in it is not kept. Raises UnknownRequestError where
        it is no such visit, InvalidRequestError for an address of another site, and as `ask` does.
        """
        row = next((row for row in await self._views.stopped_here(session) if row.id == visit_id), None)
        if row is None or not self._is_download(row):
            raise UnknownRequestError("no download was stopped at this visit in the last 15 minutes")
        code = await self._asks.remember(session, row, _address_at(row.host, address))
        await self.ask(session, code)
        return await self.of(session, code)

    def _is_download(self, row: VisitRow) -> bool:
        return row.cause is Cause.LIMIT and any(
            limit.id == row.rule and limit.larger_than is not None for limit in self._policy().limits
        )

    async def _of(self, db: Reader, session: Session, code: str) -> tuple[Reminder, str]:
        """Return it, and its limit's id."""
        ask = await self._asks.followed(session, code)
        if ask is None or not ask.address:
            raise UnknownRequestError("this browser has not opened that link")
        limit = next((limit for limit in self._policy().limits if limit.id == ask.rule), None)
        at = hours_end_at(limit, self._policy(), self._clock()) if limit is not None else None
        row = await db.fetch_one(
            _COUNT,
            session.person,
            to_ms(self._clock()),
            ask.address,
            to_ms(self._clock() - timedelta(days=1)),
        )
        reminder = Reminder(
            ask.host,
            ask.address,
            at,
            is_asked=row is not None and row["waiting"] > 0,
            is_reached=self._correspondence.reaches(session.person),
            is_full=row is not None and row["all_of_them"] >= MOST_A_DAY,
            can_go_on=limit is not None and limit.action is LimitAction.WARN,
        )
        return reminder, ask.rule or ""


def _address_at(host: str, text: str) -> str:
    """Return an address of a host without its query. Raises InvalidRequestError for any other."""
    try:
        address = parse_web_address(text)
    except ValueError as error:
        raise InvalidRequestError("address", "Enter the address of the download") from error
    if address.host != host or len(address.path) > _LONGEST_PATH:
        raise InvalidRequestError("address", f"Enter the address of the download, at {host}")
    return f"{address_of_site(address.scheme, host, address.port)}{address.path}"
