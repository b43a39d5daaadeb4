"""Who hears of what people were stopped at, and what they are told. Pure."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from admin.outbox import Letter, LetterKind
from admin.visit_log.clients import StoppedVisit
from policy.town_policy import Approver, Attempts, Policy


@dataclass(frozen=True, slots=True)
class Repeated:
    """A person who was stopped too often: by these visits, oldest first."""

    who: str
    department: str | None
    visits: tuple[StoppedVisit, ...]

    @property
    def last_at(self) -> datetime:
        """When the visit began that made it too many."""
        return self.visits[-1].started_at

    @property
    def categories(self) -> tuple[str, ...]:
        """What the sites were listed as, the most frequent first."""
        return tuple(id_ for id_, _ in Counter(visit.category for visit in self.visits).most_common())


@dataclass(frozen=True, slots=True)
class Risk:
    """A visit that was stopped as a security risk. `who` is the device, else the person or the address."""

    who: str
    person: str | None
    department: str | None
    device: str | None
    address: str
    host: str
    category: str
    code: str
    last_at: datetime


def letters_of(policy: Policy, attempts: Attempts, news: Repeated | Risk) -> list[Letter]:
    """Return the letters that tell of it, one to each who hears of it."""
    person = news.who if isinstance(news, Repeated) else news.person
    it_security = policy.roles.get("it_security", ())
    again = f"{news.who} {news.last_at.isoformat()}"
    letters = []
    for to in sorted(_told(policy, attempts, person, news.department)):
        if isinstance(news, Repeated):
            values = {
                "person": news.who,
                "department": news.department or "",
                "visits": str(len(news.visits)),
                "categories": " ".join(news.categories),
                "from": news.visits[0].started_at.isoformat(),
                "until": news.last_at.isoformat(),
            }
            letters.append(Letter(LetterKind.ATTEMPTS_REPEATED, to, "STOPPED", values, again))
        else:
            # A computer without a name is found by its address, and by IT alone.
            address = news.address if to in it_security else ""
            values = {
                "host": news.host,
                "category": news.category,
                "person": news.person or "",
                "department": news.department or "",
                "device": news.device or address,
                "at": news.last_at.isoformat(),
                "code": news.code,
            }
            again_risk = f"{again} {news.category}"
            letters.append(Letter(LetterKind.RISK_STOPPED, to, "RISK", values, again_risk))
    return letters


def _told(policy: Policy, attempts: Attempts, person: str | None, department: str | None) -> set[str]:
    """Return who hears of a person's visits, never they themselves.

    1. the roles that the policy names; of who is of no department, IT security
    2. the town administrator in place of a head whose own visits they are, or who is not there
    3. the town administrator where that leaves nobody
    """
    administrators = {*policy.roles.get("town_administrator", ())}
    told: set[str] = set()
    for role in attempts.tell if department is not None else (Approver.IT_SECURITY,):
        if role is not Approver.DEPARTMENT_HEAD:
            told |= {*policy.roles.get(role.value, ())}
        elif department is not None:
            head = policy.departments[department].head
            told |= administrators if head in (person, "") else {head}
    return told - {person or ""} or administrators - {person or ""}
