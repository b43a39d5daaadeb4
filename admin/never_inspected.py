"""Hosts that IT has not opened, whatever a rule says, because programs there do not trust the town's CA.

The table and its moves (`admin.site_answers`). Only people put a host there: `admin.untrusting_hosts` lists
which they may want to.
"""

from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum

from admin import audit
from admin.asking import InvalidRequestError, site_of
from admin.audit import Detail, Event, EventKind
from admin.clock import to_ms
from admin.database import Database, Reader, Transaction
from admin.site_answers import SiteAnswer, SiteAnswers
from admin.site_lists import blocking_categories
from admin.written_text import tidy_text
from categories.match import CategoryMatch
from categories.taxonomy import taxonomy
from policy.town_policy import Policy


class InspectionAnswer(StrEnum):
    """What IT said of a host."""

    NEVER = "never"
    """It is never opened."""
    LEFT = "left"
    """It was looked at, and rules open it as before."""


@dataclass(frozen=True, slots=True)
class Answered(SiteAnswer):
    """An answer about a host; it covers its subdomains."""

    answer: InspectionAnswer

    @property
    def host(self) -> str:
        """The host, as `site`."""
        return self.site


class InspectionAnsweredError(Exception):
    """The host is on the list already, by `present`, or is not (None); nothing changed."""

    def __init__(self, host: str, present: Answered | None) -> None:
        is_on = f"is not opened any more, by {present.made_by}" if present else "is not on the list"
        super().__init__(f"{host} {is_on}; nothing changed")
        self.host = host
        self.present = present


async def add(
    db: Database,
    host: str,
    *,
    why: str,
    actor: str,
    at: datetime,
    policy: Policy,
    matches: tuple[CategoryMatch, ...],
) -> Answered:
    """Have a canonical host, listed as `matches`, never opened.

    Raises InvalidRequestError without a reason, for what is not one site, and for a host of a category
    that the policy blocks; InspectionAnsweredError when it is on the list. All but the first are recorded.
    """
    reason = tidy_text("why", why, "Enter why")

    def why_not(present: Answered | None) -> Exception | None:
        refused = _why_not(host, policy, matches)
        if refused is None and _is_never(present):
            return InspectionAnsweredError(host, present)
        return refused

    async def change(t: Transaction, _present: Answered | None) -> Answered:
        return await _answer(t, host, InspectionAnswer.NEVER, reason, actor, at)

    return await _TABLE.attempt(db, host, actor=actor, at=at, why_not=why_not, change=change)


async def leave(db: Database, host: str, *, actor: str, at: datetime) -> Answered:
    """Note that a host was looked at and is opened as before. Raises InspectionAnsweredError, recorded."""

    def why_not(present: Answered | None) -> Exception | None:
        return InspectionAnsweredError(host, present) if _is_never(present) else None

    async def change(t: Transaction, _present: Answered | None) -> Answered:
        return await _answer(t, host, InspectionAnswer.LEFT, "", actor, at)

    return await _TABLE.attempt(db, host, actor=actor, at=at, why_not=why_not, change=change)


async def remove(db: Database, host: str, *, why: str, actor: str, at: datetime) -> Answered:
    """Let rules open a host again; return the answer that ended.

    Raises InvalidRequestError without a reason, InspectionAnsweredError (recorded) when it is not
    on the list.
    """
    reason = tidy_text("why", why, "Enter why")

    def why_not(present: Answered | None) -> Exception | None:
        return None if _is_never(present) else InspectionAnsweredError(host, None)

    async def change(t: Transaction, present: Answered | None) -> Answered:
        await _TABLE.end(t, host, actor, at)
        details: dict[str, Detail] = {"why": reason}
        await audit.record(t, Event(EventKind.SITE_INSPECTED_AGAIN, actor, host, at, details))
        return await get(t, present.id if present else 0)

    return await _TABLE.attempt(db, host, actor=actor, at=at, why_not=why_not, change=change)


async def get(db: Reader, id_: int) -> Answered:
    """Return an answer. Raises LookupError."""
    return await _TABLE.get(db, id_)


async def all_never(db: Reader) -> list[Answered]:
    """Return the hosts on the list, newest first."""
    return await _TABLE.where(db, "undone_at IS NULL AND answer = ?", InspectionAnswer.NEVER.value)


async def left_since(db: Reader, since: datetime) -> frozenset[str]:
    """Return the hosts that were left as they are at or after an instant (aware)."""
    found = await _TABLE.where(
        db,
        "undone_at IS NULL AND answer = ? AND made_at >= ?",
        *(InspectionAnswer.LEFT.value, to_ms(since)),
    )
    return frozenset(answered.site for answered in found)


async def live(db: Reader) -> tuple[str, ...]:
    """Return the hosts on the list, as the proxy is told."""
    return tuple(sorted(answered.site for answered in await all_never(db)))


def _is_never(present: Answered | None) -> bool:
    return present is not None and present.answer is InspectionAnswer.NEVER


def _why_not(host: str, policy: Policy, matches: tuple[CategoryMatch, ...]) -> InvalidRequestError | None:
    """Return why a host cannot be on the list, None when it can."""
    try:
        site_of(host)
    except InvalidRequestError:
        return InvalidRequestError("host", f"{host} is not one site")
    blocking = blocking_categories(policy)
    blocked = [match.category for match in matches if match.category in blocking]
    if blocked:
        label = taxonomy().categories[blocked[0]].label
        return InvalidRequestError("host", f"{host} is listed as {label}, which the policy blocks")
    return None


async def _answer(
    t: Transaction, host: str, answer: InspectionAnswer, why: str, actor: str, at: datetime
) -> Answered:
    answered = await _TABLE.put(t, host, answer.value, why=why, actor=actor, at=at)
    details: dict[str, Detail] = {"why": why} if why else {}
    await audit.record(t, Event(_KINDS[answer], actor, host, at, details))
    return answered


_KINDS = {
    InspectionAnswer.NEVER: EventKind.SITE_NEVER_INSPECTED,
    InspectionAnswer.LEFT: EventKind.SITE_LEFT_INSPECTED,
}


_TABLE = SiteAnswers(
    "inspection_answer",
    site="host",
    said="answer",
    read=lambda answer, said: Answered(**asdict(answer), answer=InspectionAnswer(said)),
    refused=EventKind.SITE_INSPECTION_REFUSED,
)
