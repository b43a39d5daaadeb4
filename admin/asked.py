"""What an access request can ask for beside one site, as values and as the JSON that the database keeps."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

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
    """That for a while no limit of the policy holds for a site that is open."""
    EMERGENCY = "emergency"
    """One site, opened at once by the person themselves, and reviewed by another."""
    STANDING = "standing"
    """One site, or categories of sites, for a department with a case number."""
    DEVICE = "device"
    """To be known at a device of one's own."""
    INTERNET_ACCOUNT = "internet_account"
    """The web at all, for one person, proposed by the department."""


@dataclass(frozen=True, slots=True)
class Window:
    """What personal use is asked for: these categories while begins_at <= at < ends_at (aware)."""

    categories: tuple[str, ...]
    begins_at: datetime
    ends_at: datetime


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
class SocialMediaUse:
    """What a department proposes a person for, until an instant (aware); `proposed_by` is a person."""

    level: Level
    authorisations: tuple[Authorisation, ...]
    until: datetime
    proposed_by: str


@dataclass(frozen=True, slots=True)
class EmergencyUse:
    """A site that the person opened for themselves, until an instant (aware)."""

    until: datetime


@dataclass(frozen=True, slots=True)
class StandingUse:
    """What a department asks to hold for a case, until an instant (aware); a site has no categories."""

    case_number: str
    categories: tuple[str, ...]
    until: datetime


@dataclass(frozen=True, slots=True)
class DeviceUse:
    """A device of one's own, at an IP address (in its one spelling), until an instant (aware)."""

    name: str
    address: str
    until: datetime


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


type Asked = Window | SocialMediaUse | EmergencyUse | StandingUse | DeviceUse | AccountUse


def until_of(asked: Asked | None) -> datetime | None:
    """Return when access ends that was asked for until a time, None where it was asked for how long."""
    match asked:
        case None:
            return None
        case Window():
            return asked.ends_at
        case SocialMediaUse() | EmergencyUse() | StandingUse() | DeviceUse() | AccountUse():
            return asked.until


def categories_of(asked: Asked | None) -> tuple[str, ...]:
    """Return the categories of sites that it asks for; none for a site."""
    return asked.categories if isinstance(asked, Window | StandingUse) else ()


def proposer_of(asked: Asked | None) -> str | None:
    """Return who proposes a person for it, None for what people ask for themselves."""
    return asked.proposed_by if isinstance(asked, SocialMediaUse | AccountUse) else None


def as_json(asked: Asked | None) -> dict[str, object]:  # noqa: PLR0911 - one a kind
    """Return what `from_json` reads back; nothing for a site."""
    match asked:
        case None:
            return {}
        case Window():
            return {
                "categories": list(asked.categories),
                "begins_at": to_ms(asked.begins_at),
                "ends_at": to_ms(asked.ends_at),
            }
        case SocialMediaUse():
            return {
                "level": asked.level.value,
                "authorisations": [each.value for each in asked.authorisations],
                "until": to_ms(asked.until),
                "proposed_by": asked.proposed_by,
            }
        case EmergencyUse():
            return {"until": to_ms(asked.until)}
        case StandingUse():
            return {
                "case_number": asked.case_number,
                "categories": list(asked.categories),
                "until": to_ms(asked.until),
            }
        case DeviceUse():
            return {"name": asked.name, "address": asked.address, "until": to_ms(asked.until)}
        case AccountUse():
            return {
                "person_kind": asked.person_kind.value,
                "employer": asked.employer,
                "sponsor": asked.sponsor,
                "until": to_ms(asked.until),
                "proposed_by": asked.proposed_by,
            }


def from_json(kind: Kind, asked: Mapping[str, Any]) -> Asked | None:  # noqa: PLR0911 - one a kind
    """Read what a request of a kind asks for."""
    match kind:
        case Kind.SITE | Kind.DOWNLOAD:
            return None
        case Kind.PERSONAL_USE:
            return Window(tuple(asked["categories"]), from_ms(asked["begins_at"]), from_ms(asked["ends_at"]))
        case Kind.SOCIAL_MEDIA:
            return SocialMediaUse(
                Level(asked["level"]),
                tuple(Authorisation(each) for each in asked["authorisations"]),
                from_ms(asked["until"]),
                asked["proposed_by"],
            )
        case Kind.EMERGENCY:
            return EmergencyUse(from_ms(asked["until"]))
        case Kind.STANDING:
            return StandingUse(asked["case_number"], tuple(asked["categories"]), from_ms(asked["until"]))
        case Kind.DEVICE:
            return DeviceUse(asked["name"], asked["address"], from_ms(asked["until"]))
        case Kind.INTERNET_ACCOUNT:
            return AccountUse(
                PersonKind(asked["person_kind"]),
                asked["employer"],
                asked["sponsor"],
                from_ms(asked["until"]),
                asked["proposed_by"],
            )


def details(asked: Asked | None) -> dict[str, Detail]:
    """Return what the event of sending tells of it."""
    match asked:
        case None | Window():
            return {}
        case SocialMediaUse():
            return {
                "level": asked.level.value,
                "authorisations": [each.value for each in asked.authorisations],
                "ends_at": asked.until.isoformat(),
            }
        case EmergencyUse():
            return {"ends_at": asked.until.isoformat()}
        case StandingUse():
            return {
                "case_number": asked.case_number,
                "categories": list(asked.categories),
                "ends_at": asked.until.isoformat(),
            }
        case DeviceUse():
            return {
                "device": asked.name,
                "address": asked.address,
                "ends_at": asked.until.isoformat(),
            }
        case AccountUse():
            return {
                "person_kind": asked.person_kind.value,
                "employer": asked.employer,
                "sponsor": asked.sponsor,
                "ends_at": asked.until.isoformat(),
            }
