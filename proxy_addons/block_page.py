"""What a page says in place of a site, as plain values: what was stopped, why, and who can help.

It is shown under the blocked site's name, so it names no path, no query and no address of the client.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from urllib.parse import quote
from zoneinfo import ZoneInfo

from policy.file_types import described
from policy.schedule import Schedule
from proxy_addons.continuations import REMEMBERED
from proxy_addons.origin_certificate import OriginFault

_LONGEST_HOST = 200


class Variant(StrEnum):
    """Which page it is."""

    POLICY = "policy"
    WARN = "warn"
    VIEW_ONLY = "view_only"
    ACTING = "acting"
    DOWNLOAD = "download"
    LARGE = "large"
    NOTICE = "notice"
    NO_ACCOUNT = "no_account"
    SECURITY = "security"
    LATER = "later"
    UNKNOWN_CLIENT = "unknown_client"
    SIGN_IN = "sign_in"
    PRIVATE_ADDRESS = "private_address"
    PORT = "port"
    MISMATCH = "mismatch"
    UNREADABLE = "unreadable"
    UNREACHABLE = "unreachable"
    CERTIFICATE = "certificate"
    LOCKDOWN = "lockdown"
    DEVICE_OFF = "device_off"
    TROUBLE = "trouble"

    @property
    def status(self) -> int:
        """The HTTP status the page is sent with."""
        match self:
            case Variant.UNREADABLE:
                return 400
            case Variant.UNREACHABLE | Variant.CERTIFICATE:
                return 502
            case Variant.TROUBLE:
                return 503
            case _:
                return 403


@dataclass(frozen=True, slots=True)
class Opening:
    """When the site opens next (aware), and the schedules that allow it, if one does then: that one first."""

    at: datetime
    schedules: tuple[Schedule, ...] = ()


@dataclass(frozen=True, slots=True)
class OverLimit:
    """What of a limit the page says.

    `size` is a download's ("4.2 GB"), `most` what is let through at once; `slows_until` (aware) when the
    limit ends by the clock, None where it does not, `in_business_hours` whether its hours are those of the
    town's offices. Of a quota, `minutes` or `amount` ("2 GB") are used for
    today, by the person or the department.
    """

    size: str = ""
    most: str = ""
    slows_until: datetime | None = None
    in_business_hours: bool = False
    minutes: int = 0
    amount: str = ""
    is_departments: bool = False


@dataclass(frozen=True, slots=True)
class Emergency:
    """What IT did, in its own words, since when (aware), and which sites go on meanwhile.

    `more_works` counts those of them that are not named. `next_news_at` is None when nobody said, or
    when it has passed.
    """

    since: datetime
    because: str
    still_works: tuple[str, ...] = ()
    more_works: int = 0
    next_news_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class BlockPage:
    """Everything a page says, as plain values.

    `at` is aware; `zone` is the town's. `category` is its id in the taxonomy, `label` and `sites`
    the taxonomy's words for it, `because` the policy's own clause, `approval` the roles that may
    allow it in turn (empty: nobody can be asked). `ask_url` is None while asking is not available, the
    two after it where there is nothing to say of the site, `remind_url` where there is nothing to wait for;
    `continue_url` is where the form of a page to click through goes, on the host itself; a warning of a
    site that `is_risk`, a security risk, looks like danger.
    `file_types` are what a download was stopped for, empty where that cannot be told.
    `over_limit` is of what a limit has stopped, `kind` what the person is to the town.
    `seen_as` is who the client is taken for, `listed` where the site was found; both are for the
    help desk's eyes. `emergency` is None, too, where it has ended since.
    `admin_url` is None while the admin site does not answer. `fault` is what an origin server did not
    prove, `fault_at` (aware) when its certificate ended or begins.
    """

    variant: Variant
    town: str
    host: str
    code: str
    at: datetime
    zone: ZoneInfo
    phone: str = ""
    mail: str = ""
    category: str = ""
    label: str = ""
    sites: str = ""
    because: str = ""
    approval: tuple[str, ...] = ()
    head: str = ""
    ask_url: str | None = None
    wrong_category_url: str | None = None
    accident_url: str | None = None
    remind_url: str | None = None
    continue_url: str | None = None
    is_risk: bool = False
    opening: Opening | None = None
    emergency: Emergency | None = None
    admin_url: str | None = None
    fault: OriginFault | None = None
    fault_at: datetime | None = None
    port: int | None = None
    ports: tuple[int, ...] = ()
    file_types: tuple[str, ...] = ()
    over_limit: OverLimit | None = None
    rule: str = ""
    kind: str = ""
    listed: str = ""
    seen_as: str = ""

    @property
    def wants_asking(self) -> bool:
        """Whether the page is one that leads on to the admin site, while that answers."""
        return bool(self.approval) or self.variant is Variant.NOTICE

    @property
    def remembered_hours(self) -> int:
        """For how many hours a page to click through is not shown again."""
        return REMEMBERED // timedelta(hours=1)

    @property
    def file(self) -> str:
        """What the download is, in words: "an executable file"; empty where that cannot be told."""
        return described(self.file_types) if self.file_types else ""

    @property
    def tell_url(self) -> str | None:
        """Where a person tells IT of a site that cannot prove who it is: a mail that says which."""
        if self.variant is not Variant.CERTIFICATE or not self.mail:
            return None
        return f"mailto:{quote(self.mail, safe='@')}?subject={quote(f'{self.code}: {self.shown_host}')}"

    @property
    def shown_host(self) -> str:
        """The host, cut to 200 letters."""
        return self.host if len(self.host) <= _LONGEST_HOST else self.host[:_LONGEST_HOST] + "…"
