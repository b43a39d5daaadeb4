"""The town's policy as values: what the YAML document means once it has been validated.

Built by `policy.document`, carried to the proxy by `policy.snapshot`, judged by `policy.deciding`.
Everything is immutable. Ids are the keys of the document.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, time, timedelta
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network

from pydantic import AwareDatetime

from categories.taxonomy import NEWLY_SEEN
from policy.access_duration import Duration
from policy.business_time import BusinessTime
from policy.decision import Verdict
from policy.schedule import Schedule

type Network = IPv4Network | IPv6Network


class Approver(StrEnum):
    """A role that can be asked to allow what a rule blocks."""

    DEPARTMENT_HEAD = "department_head"
    IT_SECURITY = "it_security"
    TOWN_ADMINISTRATOR = "town_administrator"


class UnknownAction(StrEnum):
    """What happens to a client that is neither person, device nor network."""

    BLOCK = "block"
    SIGN_IN = "sign_in"
    """The browser is asked for the person's proxy password (407)."""


class AfterApproval(StrEnum):
    """When access opens, once the last approver has agreed."""

    OPEN = "open"
    """At once; IT may stop it."""
    WAIT_FOR_IT = "wait_for_it"
    """When IT, working from the help desk's ticket, opens it."""


@dataclass(frozen=True, slots=True)
class PersonalUse:
    """Which categories people may ask for to use for themselves, for how long at once, and who decides."""

    categories: frozenset[str]
    longest: timedelta = timedelta(hours=2)
    approval: tuple[Approver, ...] = (Approver.DEPARTMENT_HEAD,)


class PersonKind(StrEnum):
    """What a person is to the town."""

    EMPLOYEE = "employee"
    CONTRACTOR = "contractor"
    VOLUNTEER = "volunteer"


@dataclass(frozen=True, slots=True)
class AccountTerms:
    """Who needs an internet account to reach the web at all, who agrees to one in turn, for how long at most.

    Nobody is kept from the web for it before `required_from` (the town's date; None: from the start).
    """

    required_for: frozenset[PersonKind]
    approval: tuple[Approver, ...] = (Approver.DEPARTMENT_HEAD, Approver.IT_SECURITY)
    longest: timedelta = timedelta(days=365)
    required_from: date | None = None


@dataclass(frozen=True, slots=True)
class SocialMedia:
    """How people are authorised for social media: who agrees, in turn, what they sign, for how long at most.

    `terms` is plain text, its paragraphs parted by empty lines; `version` is a digest of it. `coordinators`
    has by department who proposes people there, beside its head and delegates.
    """

    terms: str
    version: str
    approval: tuple[Approver, ...] = (Approver.DEPARTMENT_HEAD, Approver.TOWN_ADMINISTRATOR)
    longest: timedelta = timedelta(days=365)
    coordinators: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EmergencyAccess:
    """Who opens a site for themselves at once, for how long at most, and which role looks at it afterwards.

    `per_day` is how often one person may a day of the town's.
    """

    people: tuple[str, ...]
    reviewed_by: Approver
    longest: timedelta = timedelta(hours=1)
    per_day: int = 3


@dataclass(frozen=True, slots=True)
class StandingPermission:
    """Which departments may hold permissions for a case, who agrees, in turn, and for how long at most."""

    departments: tuple[str, ...]
    approval: tuple[Approver, ...] = (Approver.TOWN_ADMINISTRATOR,)
    longest: timedelta = timedelta(days=180)


@dataclass(frozen=True, slots=True)
class OwnDevice:
    """Who agrees, in turn, to a device of a person's own, and for how long at most."""

    approval: tuple[Approver, ...] = (Approver.DEPARTMENT_HEAD, Approver.IT_SECURITY)
    longest: timedelta = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class Asking:
    """How people ask for access, and by when they are answered.

    A request that nobody answers is brought to mind after `remind_after` of business time (`time`), and
    goes up after `pass_on_after`, to each role of `pass_on_to` in turn; the same roles answer where a
    role of the chain has nobody else. The form offers durations up to `longest`, with `usual` chosen
    beforehand (None: none is). `per_day` is how many requests one person may send a day of the town's.
    What is listed as a category of `never` nobody can ask for or allow. What is None
    (`personal_use` and the like) nobody can ask for.
    """

    time: BusinessTime = field(default_factory=BusinessTime)
    remind_after: timedelta = timedelta(hours=4)
    pass_on_after: timedelta = timedelta(hours=8)
    pass_on_to: tuple[Approver, ...] = (Approver.TOWN_ADMINISTRATOR, Approver.IT_SECURITY)
    usual: Duration | None = None
    longest: Duration = Duration.MONTH
    per_day: int = 50
    never: frozenset[str] = frozenset()
    personal_use: PersonalUse | None = None
    social_media: SocialMedia | None = None
    emergency_access: EmergencyAccess | None = None
    standing_permission: StandingPermission | None = None
    own_device: OwnDevice | None = None
    internet_account: AccountTerms | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """What people accept by name before they use the web: the acceptable-use policy, and what is
    monitored, where, why and under which law.

    `version` is a digest of all that is read. `text` is plain; an empty line parts its paragraphs.
    Until `required_from` (the town's date; None: from the start) it may be put off until tomorrow.
    """

    version: str
    title: str
    text: str
    law: str = ""
    required_from: date | None = None


@dataclass(frozen=True, slots=True)
class Town:
    """The town itself. `timezone` is an IANA name; `help_desk_phone` is shown on every page."""

    name: str
    timezone: str
    help_desk_email: str = ""
    help_desk_phone: str = ""


@dataclass(frozen=True, slots=True)
class DatedDelegate:
    """Who stands in for a head from the day `first` to the day `last` of the town's, both included."""

    person: str
    first: date
    last: date


@dataclass(frozen=True, slots=True)
class Department:
    """`head` and `delegates` are person ids; `networks` identify the department alone.

    `head` is "" where the head left and nobody stands in. Who is among the `dated_delegates` decides only
    where `policy.dated_delegates` has put them among the others. `stand_ins` are those of the `delegates`
    whom the head named, not the document.
    """

    name: str
    head: str
    delegates: tuple[str, ...] = ()
    networks: tuple[Network, ...] = ()
    dated_delegates: tuple[DatedDelegate, ...] = ()
    stand_ins: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Person:
    """`department` is None for those who belong to none (IT, the administrator)."""

    name: str
    mail: str = ""
    department: str | None = None
    kind: PersonKind = PersonKind.EMPLOYEE


@dataclass(frozen=True, slots=True)
class Device:
    """A workstation; `person` is who sits there, None for a shared one.

    One of a person's own is theirs until `expires_at`; what the document lists has no end.
    """

    name: str
    person: str | None = None
    department: str | None = None
    expires_at: AwareDatetime | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """The first rule whose every given condition holds decides.

    `categories` are ids, groups already expanded; empty means any site, as do empty `departments`
    and `people` any client and an empty `when` any time. `when` names a schedule.
    `inspects_urls`: what lists have as URLs in its categories is looked for inside HTTPS, too.
    With `file_types` (`policy.file_types`) it decides about downloads of these types and not about visits.
    """

    id: str
    action: Verdict
    categories: frozenset[str] = frozenset()
    departments: frozenset[str] = frozenset()
    people: frozenset[str] = frozenset()
    when: str | None = None
    because: str | None = None
    approval: tuple[Approver, ...] = ()
    inspects_urls: bool = False
    file_types: frozenset[str] = frozenset()

    @property
    def opens_sites(self) -> bool:
        """Whether sites may be opened for it, to be looked into."""
        stops_downloads = bool(self.file_types) and self.action is Verdict.BLOCK
        return self.inspects_urls or stops_downloads or self.action is Verdict.VIEW_ONLY


class LimitAction(StrEnum):
    """What is done about what is over a limit."""

    BLOCK = "block"
    WARN = "warn"
    """Whoever was told may go on by themselves."""
    ASK = "ask"
    """Blocked, and the roles of `approval` may lift the limit for a while."""


class Per(StrEnum):
    """Whose use is added up for a quota."""

    PERSON = "person"
    """Whoever sits at the address where nobody is known."""
    DEPARTMENT = "department"


@dataclass(frozen=True, slots=True)
class Quota:
    """How much may be used in one day of the town's: bytes both ways, or time. Exactly one is given."""

    per: Per = Per.PERSON
    size_bytes: int | None = None
    duration: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Limit:
    """What holds, beside the rules, for every allowed visit that meets its conditions.

    The conditions are as a rule's, and `hosts`, with their subdomains. Exactly one of `larger_than`
    (bytes), `file_types` (`policy.file_types`) and `quota` is given: what is more, or of these types, is over
    the limit. Limits have ids that no rule has.
    """

    id: str
    action: LimitAction
    larger_than: int | None = None
    file_types: frozenset[str] = frozenset()
    quota: Quota | None = None
    categories: frozenset[str] = frozenset()
    hosts: frozenset[str] = frozenset()
    departments: frozenset[str] = frozenset()
    people: frozenset[str] = frozenset()
    when: str | None = None
    because: str | None = None
    approval: tuple[Approver, ...] = ()


@dataclass(frozen=True, slots=True)
class Attempts:
    """Who is told of what people were stopped at, and from how many visits on.

    The roles of `tell` hear of a person who was stopped more than `more_than` times `within` a span of time
    at sites of `categories`, and of each visit that was stopped as a security risk. None of `categories` is
    one.
    """

    more_than: int
    within: timedelta
    categories: frozenset[str]
    tell: tuple[Approver, ...] = (Approver.DEPARTMENT_HEAD, Approver.IT_SECURITY)


class SecondPerson(StrEnum):
    """When another person must agree before somebody sees names in the visit log."""

    NEVER = "never"
    SEARCHES = "searches"
    """To a search by a person's name."""
    ALWAYS = "always"


@dataclass(frozen=True, slots=True)
class KeptAddresses:
    """At sites of which categories the full addresses of pages are kept, and whether with their queries."""

    categories: frozenset[str]
    with_queries: bool = False


@dataclass(frozen=True, slots=True)
class WeeklyReport:
    """When the report on the week before is sent: on a day of the week (Monday 0), by the town's clock.

    With `names_shown` a department's report names people of it; the town's never does.
    """

    day: int = 0
    at: time = time(7)
    names_shown: bool = False


@dataclass(frozen=True, slots=True)
class Policy:
    """A whole, valid policy. `version` is a digest of the document it was read from.

    `essentials` are host names that are never blocked, subdomains included; `works_in_lockdown`
    others that a lockdown leaves to the rules. `ports` are the only
    ones that a client may reach. `internal_networks` are the private addresses that it may.
    `roles` gives the people of each role that is not a department's (it_security,
    town_administrator, help_desk, auditor). What `never_inspect_sites` (subdomains included) and
    `never_inspect_categories` name is never decrypted to be looked into. A site is newly seen for
    `newly_seen_days` from its first visit in the town on. `asking` is carried whole, though the proxy
    needs only what is never allowed of it: after a restart the policy that was published last goes on.
    `line_bits_per_second` is what the town's line carries, None where nobody said. Where `attempts` is None
    nobody is told of visits that were stopped, and where `weekly_report` is, none is sent. `second_person`
    says when somebody else agrees before names are shown. Where `addresses` is None no full address is kept.
    """

    version: str
    town: Town
    departments: Mapping[str, Department] = field(default_factory=dict)
    people: Mapping[str, Person] = field(default_factory=dict)
    devices: Mapping[str, Device] = field(default_factory=dict)
    roles: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    schedules: Mapping[str, Schedule] = field(default_factory=dict)
    essentials: frozenset[str] = frozenset()
    works_in_lockdown: frozenset[str] = frozenset()
    ports: frozenset[int] = frozenset({80, 443})
    internal_networks: tuple[Network, ...] = ()
    unknown: UnknownAction = UnknownAction.BLOCK
    security_categories: frozenset[str] = frozenset()
    never_inspect_sites: frozenset[str] = frozenset()
    never_inspect_categories: frozenset[str] = frozenset()
    rules: tuple[Rule, ...] = ()
    default: Verdict = Verdict.ALLOW
    after_approval: AfterApproval = AfterApproval.OPEN
    asking: Asking = field(default_factory=Asking)
    notice: Notice | None = None
    newly_seen_days: int = 7
    limits: tuple[Limit, ...] = ()
    line_bits_per_second: int | None = None
    attempts: Attempts | None = None
    weekly_report: WeeklyReport | None = None
    second_person: SecondPerson = SecondPerson.SEARCHES
    addresses: KeptAddresses | None = None

    @property
    def names_newly_seen(self) -> bool:
        """Whether a rule asks when a site was first visited."""
        return any(NEWLY_SEEN in rule.categories for rule in self.rules)
