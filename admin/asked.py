"""What an access request can ask for beside one site, as values and as the JSON that the database keeps."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

from admin.audit import Detail
from admin.clock import from_ms, to_ms
from policy.town_policy import PersonKind


class Kind(StrEnum):
    """What is asked for."""

    SITE = "site"
    PERSONAL_USE = "personal_use"
    """Categories of sites, in a window of time."""
    SOCIAL_MEDIA = "social_media"
    """Named sites, for one person who signs the town's terms, proposed by the department."""
    DOWNLOAD = "download"
    """That for a while, or for one download, no limit of the policy holds for a site that is open."""
    EMERGENCY = "emergency"
    """One site, opened at once by the person themselves, and reviewed by another."""
    STANDING = "standing"
    """One site, or categories of sites, for a department with a case number."""
    DEVICE = "device"
    """To be known at a device of one's own."""
    INTERNET_ACCOUNT = "internet_account"
    """The web at all, for one person, proposed by the department."""


class Level(StrEnum):
    """What an authorisation for social media opens."""

    VIEW = "view"
    """To read: what publishes, comments, uploads or signs in is stopped."""
    FULL = "full"


class Authorisation(StrEnum):
    """What a person may do on a site besides, by the register alone: nothing enforces it."""

    COMMENT = "comment"
    EDIT = "edit"
    PUBLISH = "publish"


@dataclass(frozen=True, slots=True)
class Window:
    """What personal use is asked for: these categories while begins_at <= at < ends_at (aware)."""

    categories: tuple[str, ...]
    begins_at: datetime
    ends_at: datetime

    @property
    def until(self) -> datetime:
        """When access ends."""
        return self.ends_at

    @classmethod
    def from_json(cls, asked: Mapping[str, Any]) -> Self:
        """Read what `as_json` returns."""
        return cls(tuple(asked["categories"]), from_ms(asked["begins_at"]), from_ms(asked["ends_at"]))

    def as_json(self) -> dict[str, object]:
        """Return what the database keeps of it."""
        return {
            "categories": list(self.categories),
            "begins_at": to_ms(self.begins_at),
            "ends_at": to_ms(self.ends_at),
        }

    def details(self) -> dict[str, Detail]:
        """Return nothing: the event of sending has the window whole."""
        return {}


@dataclass(frozen=True, slots=True)
class SocialMediaUse:
    """What a department proposes a person for, until an instant (aware); `proposed_by` is a person."""

    level: Level
    authorisations: tuple[Authorisation, ...]
    until: datetime
    proposed_by: str

    @classmethod
    def from_json(cls, asked: Mapping[str, Any]) -> Self:
        """Read what `as_json` returns."""
        return cls(
            Level(asked["level"]),
            tuple(Authorisation(each) for each in asked["authorisations"]),
            from_ms(asked["until"]),
            asked["proposed_by"],
        )

    def as_json(self) -> dict[str, object]:
        """Return what the database keeps of it."""
        return {
            "level": self.level.value,
            "authorisations": [each.value for each in self.authorisations],
            "until": to_ms(self.until),
            "proposed_by": self.proposed_by,
        }

    def details(self) -> dict[str, Detail]:
        """Return what the event of sending tells of it."""
        return {
            "level": self.level.value,
            "authorisations": [each.value for each in self.authorisations],
            "ends_at": self.until.isoformat(),
        }


@dataclass(frozen=True, slots=True)
class EmergencyUse:
    """A site that the person opened for themselves, until an instant (aware)."""

    until: datetime

    @classmethod
    def from_json(cls, asked: Mapping[str, Any]) -> Self:
        """Read what `as_json` returns."""
        return cls(from_ms(asked["until"]))

    def as_json(self) -> dict[str, object]:
        """Return what the database keeps of it."""
        return {"until": to_ms(self.until)}

    def details(self) -> dict[str, Detail]:
        """Return what the event of sending tells of it."""
        return {"ends_at": self.until.isoformat()}


@dataclass(frozen=True, slots=True)
class StandingUse:
    """What a department asks to hold for a case, until an instant (aware); a site has no categories."""

    case_number: str
    categories: tuple[str, ...]
    until: datetime

    @classmethod
    def from_json(cls, asked: Mapping[str, Any]) -> Self:
        """Read what `as_json` returns."""
        return cls(asked["case_number"], tuple(asked["categories"]), from_ms(asked["until"]))

    def as_json(self) -> dict[str, object]:
        """Return what the database keeps of it."""
        return {
            "case_number": self.case_number,
            "categories": list(self.categories),
            "until": to_ms(self.until),
        }

    def details(self) -> dict[str, Detail]:
        """Return what the event of sending tells of it."""
        return {
            "case_number": self.case_number,
            "categories": list(self.categories),
            "ends_at": self.until.isoformat(),
        }


@dataclass(frozen=True, slots=True)
class DeviceUse:
    """A device of one's own, at an IP address (in its one spelling), until an instant (aware)."""

    name: str
    address: str
    until: datetime

    @classmethod
    def from_json(cls, asked: Mapping[str, Any]) -> Self:
        """Read what `as_json` returns."""
        return cls(asked["name"], asked["address"], from_ms(asked["until"]))

    def as_json(self) -> dict[str, object]:
        """Return what the database keeps of it."""
        return {"name": self.name, "address": self.address, "until": to_ms(self.until)}

    def details(self) -> dict[str, Detail]:
        """Return what the event of sending tells of it."""
        return {"device": self.name, "address": self.address, "ends_at": self.until.isoformat()}


@dataclass(frozen=True, slots=True)
class AccountUse:
    """An internet account, until an instant (aware); `proposed_by` and `sponsor` are people.

    `employer` and `sponsor`, who answers for the person in the town, are of a contractor, empty of others.
    """

    person_kind: PersonKind
    employer: str
    sponsor: str
    until: datetime
    proposed_by: str

    @classmethod
    def from_json(cls, asked: Mapping[str, Any]) -> Self:
        """Read what `as_json` returns."""
        return cls(
            PersonKind(asked["person_kind"]),
            asked["employer"],
            asked["sponsor"],
            from_ms(asked["until"]),
            asked["proposed_by"],
        )

    def as_json(self) -> dict[str, object]:
        """Return what the database keeps of it."""
        return {
            "person_kind": self.person_kind.value,
            "employer": self.employer,
            "sponsor": self.sponsor,
            "until": to_ms(self.until),
            "proposed_by": self.proposed_by,
        }

    def details(self) -> dict[str, Detail]:
        """Return what the event of sending tells of it."""
        return {
            "person_kind": self.person_kind.value,
            "employer": self.employer,
            "sponsor": self.sponsor,
            "ends_at": self.until.isoformat(),
        }


type Asked = Window | SocialMediaUse | EmergencyUse | StandingUse | DeviceUse | AccountUse

_ASKED: Mapping[Kind, Callable[[Mapping[str, Any]], Asked] | None] = {
    Kind.SITE: None,
    Kind.PERSONAL_USE: Window.from_json,
    Kind.SOCIAL_MEDIA: SocialMediaUse.from_json,
    Kind.DOWNLOAD: None,
    Kind.EMERGENCY: EmergencyUse.from_json,
    Kind.STANDING: StandingUse.from_json,
    Kind.DEVICE: DeviceUse.from_json,
    Kind.INTERNET_ACCOUNT: AccountUse.from_json,
}


def until_of(asked: Asked | None) -> datetime | None:
    """Return when access ends that was asked for until a time, None where it was asked for how long."""
    return asked.until if asked is not None else None


def categories_of(asked: Asked | None) -> tuple[str, ...]:
    """Return the categories of sites that it asks for; none for a site."""
    return asked.categories if isinstance(asked, Window | StandingUse) else ()


def proposer_of(asked: Asked | None) -> str | None:
    """Return who proposes a person for it, None for what people ask for themselves."""
    return asked.proposed_by if isinstance(asked, SocialMediaUse | AccountUse) else None


def as_json(asked: Asked | None) -> dict[str, object]:
    """Return what `from_json` reads back; nothing for a site."""
    return asked.as_json() if asked is not None else {}


def from_json(kind: Kind, asked: Mapping[str, Any]) -> Asked | None:
    """Read what a request of a kind asks for."""
    read = _ASKED[kind]
    return read(asked) if read is not None else None


def details(asked: Asked | None) -> dict[str, Detail]:
    """Return what the event of sending tells of it."""
    return asked.details() if asked is not None else {}
