"""Reminders: a mail to whoever was stopped at a large download, once the hours of its limit are over.

The page that stopped it leads here by its link, which tells the site and the address without its query.
The mail goes to the person whom the session knows and to nobody else, and waits in the outbox until then.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from admin import audit, outbox, proposing
from admin.ask_links import AskLinks
from admin.asking import UnknownRequestError
from admin.audit import Event, EventKind
from admin.clock import Clock, to_ms
from admin.correspondence import Correspondence
from admin.database import Database, Reader
from admin.outbox import Letter, LetterKind
from admin.sessions import Session
from policy.limiting import hours_end_at
from policy.town_policy import LimitAction, Policy

MOST_A_DAY = 10
"""How many of these mails a person can have waiting, or from the last 24 hours."""
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
        clock: Clock,
    ) -> None:
        self._db = db
        self._asks = asks
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
