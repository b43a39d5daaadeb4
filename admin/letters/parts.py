"""What a letter's words are made of; the text and the HTML of a mail are both made of them.

Subjects name no site, since lock screens show them; only the help desk's do. A letter shows and never
decides.
"""

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from admin.exemption_use import Use
from admin.web import words
from admin.web.people import People
from categories.taxonomy import taxonomy
from policy.town_policy import Policy
from policy.town_time import ENGLISH, said_end


class OutdatedLetterError(Exception):
    """What the letter tells is no longer so; it is not sent."""


@dataclass(frozen=True, slots=True)
class Link:
    """Where the letter leads: a path of the admin site, or the whole address of another."""

    label: str
    path: str

    def url(self, admin_url: str) -> str:
        """Return its address."""
        return f"{admin_url}{self.path}" if self.path.startswith("/") else self.path


@dataclass(frozen=True, slots=True)
class Words:
    """A letter's words. `quote` is somebody's own, `quoted` says whose; `below` is the small print.

    `lists` are facts under headings of their own.
    """

    subject: str
    heading: str
    paragraphs: tuple[str, ...] = ()
    quote: str = ""
    quoted: str = ""
    facts: tuple[tuple[str, str], ...] = ()
    lists: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = ()
    link: Link | None = None
    below: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Town:
    """What words need to know of the town: its policy, and the time (aware).

    `reset_key` signs links to set a password; without it none can be written.
    """

    policy: Policy
    now: datetime
    reset_key: bytes | None = None

    @property
    def zone(self) -> ZoneInfo:
        """The town's time zone."""
        return ZoneInfo(self.policy.town.timezone)

    @property
    def people(self) -> People:
        """The policy's people by name."""
        return People(self.policy)

    def moment(self, at: datetime) -> str:
        """Return an instant as people say it: "Fri, March 6, 5 PM"."""
        return ENGLISH.moment(at, self.zone, self.now)

    def until(self, ends_at: datetime) -> str:
        """Return the moment of an end; of midnight, "Fri, March 6, 11:59 PM"."""
        return self.moment(said_end(ends_at, self.zone))

    def last_day(self, ends_at: datetime) -> str:
        """Return the last date before an end: "Fri, March 6"."""
        return self.day(said_end(ends_at, self.zone))

    def day(self, at: datetime) -> str:
        """Return a date: "Fri, March 6"."""
        return ENGLISH.day(at.astimezone(self.zone).date(), self.now.astimezone(self.zone).date())

    def help_desk(self) -> str:
        """Return how to reach the help desk, within a sentence."""
        phone = self.policy.town.help_desk_phone
        return f"the help desk, {phone}" if phone else "the help desk"

    def category(self, id_: str | None) -> str:
        """Return a category in plain words."""
        found = taxonomy().categories.get(id_ or "")
        return found.label if found else (id_ or "Not listed")


def sentence(text: str) -> str:
    """Return words as a sentence begins."""
    return text[:1].upper() + text[1:]


def said_use(use: Use, town: Town) -> str:
    """Return what access was used for, within a fact."""
    if use.last_used_at is None:
        return "none in 90 days"
    last = f"last {town.day(use.last_used_at)}"
    if not use.visits:
        return f"none in 30 days, {last}"
    people = "under 3 people" if use.people < 3 else words.number(use.people, "person", "people")
    visits_ = words.number(use.visits, "visit", "visits")
    return f"{visits_}, {people}, {words.amount(use.size_bytes)} in 30 days, {last}"
