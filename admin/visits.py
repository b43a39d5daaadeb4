"""The visit log: asking it, with persons hidden until a reason is given.

A row's `who` is a department and a code of the day, made with a secret of this installation: the
same person has another code tomorrow.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from policy.decision import Cause, Lane, Verdict

NAMES_SHOWN_FOR = timedelta(minutes=30)


class NamesHiddenError(PermissionError):
    """A search by person, or a case of naming, before a reason was given."""


@dataclass(frozen=True, slots=True)
class VisitFilter:
    """Every given condition holds. `host` covers its subdomains; since <= started_at < until."""

    person: str | None = None
    department: str | None = None
    host: str | None = None
    category: str | None = None
    verdict: Verdict | None = None
    rule: str | None = None
    code: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Who:
    """Who visited. `code` is of the day ("4FK"), None where only the department is known.

    `person`, `device` and `address` are None while names are hidden.
    """

    department: str | None
    code: str | None
    person: str | None = None
    device: str | None = None
    address: str | None = None


@dataclass(frozen=True, slots=True)
class VisitRow:
    """One visit of the log. `id` grows in the order visits arrived, not in which they started."""

    id: int
    who: Who
    started_at: datetime
    ended_at: datetime
    code: str
    scheme: str
    host: str
    port: int
    verdict: Verdict
    lane: Lane
    cause: Cause
    rule: str | None
    exemption: str | None
    category: str | None
    entry: str | None
    source: str | None
    refusal: str | None
    bytes_up: int
    bytes_down: int
    policy_sequence: int
    policy_version: str
    category_version: str

    @property
    def lasted(self) -> timedelta:
        """From start to end."""
        return self.ended_at - self.started_at


@dataclass(frozen=True, slots=True)
class Reach:
    """How often a department went to a site. Under 3 people are shown as "under 3"."""

    tries: int
    people: int


@dataclass(frozen=True, slots=True)
class Cursor:
    """The place of a row in the log, newest first."""

    started_at: datetime
    id: int

    def __str__(self) -> str:
        """Return the cursor as text for an address."""
        raise NotImplementedError

    @classmethod
    def parse(cls, text: str) -> "Cursor":
        """Read it back. Raises ValueError."""
        raise NotImplementedError
