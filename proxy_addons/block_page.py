"""The page a person sees in place of a site: what was stopped, why, and who can help.

One file of at most 8 kB without script and without any request of its own. It is shown under the
blocked site's name, so it names no path, no query and no address of the client.
"""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import assert_never
from urllib.parse import quote
from zoneinfo import ZoneInfo

from jinja2 import Environment, PackageLoader, StrictUndefined

from categories.match import CategoryMatch
from categories.taxonomy import Taxonomy
from policy.deciding import decide, next_edge_after
from policy.decision import Cause, Decision, Verdict
from policy.file_types import described
from policy.rule_matching import rule_matches
from policy.schedule import Schedule
from policy.state import State
from policy.town_policy import Approver, Policy, Rule, UnknownAction
from policy.town_time import ENGLISH, SPANISH, zone_of
from policy.visit import Visit
from proxy_addons.continuations import REMEMBERED
from proxy_addons.origin_certificate import OriginFault, OriginRefusal

_LONGEST_HOST = 200
_LARGEST_PAGE = 8192
_FRAMES = frozenset({"iframe", "frame", "object", "embed", "fencedframe"})
_LOOK_AHEAD = timedelta(days=7)
_SHOWN_SITES = 8
_DOCUMENT = "document"


class Variant(StrEnum):
    """Which page it is."""

    POLICY = "policy"
    WARN = "warn"
    VIEW_ONLY = "view_only"
    ACTING = "acting"
    DOWNLOAD = "download"
    NOTICE = "notice"
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


_SAID_FIRST = {Verdict.WARN: Variant.WARN, Verdict.VIEW_ONLY: Variant.VIEW_ONLY}


@dataclass(frozen=True, slots=True)
class Opening:
    """When the site opens next (aware), and the schedule that allows it then, if one does."""

    at: datetime
    schedule: Schedule | None


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
    two after it where there is nothing to say of the site;
    `continue_url` is where the form of a page to click through goes, on the host itself; a warning of a
    site that `is_risk`, a security risk, looks like danger.
    `file_types` are what a download was stopped for, empty where that cannot be told.
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
    rule: str = ""
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


def render(page: BlockPage) -> bytes:
    """Return the page as UTF-8 HTML."""
    return _PAGE.render(page=page).encode()


def render_short(town: str, destination: str) -> bytes:
    """Return what a frame or a part of a page gets instead of the whole page, as UTF-8 HTML.

    `destination` is the http_request's Sec-Fetch-Dest. A frame is told and can open the whole page
    in a window of its own; an image or a script has no reader and gets one line.
    """
    return _SHORT.render(town=town, is_frame=destination in _FRAMES).encode()


def is_document(destination: str | None) -> bool:
    """Whether Sec-Fetch-Dest asks for a page of its own: yes when a client does not say."""
    return destination in (None, "", _DOCUMENT)


def is_said_to_be_document(destination: str | None) -> bool:
    """Whether Sec-Fetch-Dest says that a page of its own is asked for."""
    return destination == _DOCUMENT


def page_for(
    decision: Decision,
    visit: Visit,
    policy: Policy,
    state: State,
    taxonomy: Taxonomy,
    *,
    admin_url: str | None,
    token: str | None,
    code: str,
    at: datetime,
    continue_url: str | None = None,
    origin_refusal: OriginRefusal | None = None,
) -> tuple[int, bytes]:
    """Return the status and the page for a visit that was not allowed.

    `admin_url` or `token` None: asking is not available, and the page says so.
    """
    match = _said_match(decision, policy)
    category = taxonomy.categories.get(match.category) if match else None
    variant = _SAID_FIRST.get(decision.verdict) or _variant(decision, policy)
    opening = _opening(decision, visit, policy) if variant is Variant.POLICY else None
    approval = _approval(decision, visit, policy)
    variant = variant if opening is None else Variant.LATER
    page = BlockPage(
        variant=variant,
        town=policy.town.name,
        host=visit.host,
        code=code,
        at=at,
        zone=zone_of(policy),
        phone=policy.town.help_desk_phone,
        mail=policy.town.help_desk_email,
        category=match.category if match else "",
        label=category.label if category else "",
        sites=category.sites if category else "",
        because=_because(variant, decision, policy),
        approval=approval,
        head=_head(visit, policy),
        ask_url=_ask_url(variant, approval, admin_url, token),
        **_reporting_urls(variant, match, admin_url, token),
        continue_url=continue_url,
        is_risk=match is not None and match.category in policy.security_categories,
        opening=opening,
        emergency=_emergency(variant, visit, policy, state),
        admin_url=admin_url,
        fault=origin_refusal.fault if origin_refusal else None,
        fault_at=origin_refusal.at if origin_refusal else None,
        port=visit.port,
        ports=tuple(sorted(policy.ports)),
        file_types=decision.file_types,
        rule=decision.rule or "",
        listed=f"{match.source}: {match.entry}, {match.category}" if match else "",
        seen_as=_seen_as(visit, policy),
    )
    html = render(page)
    if len(html) > _LARGEST_PAGE:
        # A host of hundreds of letters is in each link. "Did something not open?" has them, too.
        html = render(replace(page, wrong_category_url=None, accident_url=None))
    return page.variant.status, html


def _reporting_urls(
    variant: Variant, match: CategoryMatch | None, admin_url: str | None, token: str | None
) -> dict[str, str]:
    """Return the links by which a person says that the list is wrong, or that it was an accident."""
    if match is None or admin_url is None or token is None:
        return {}
    wrong_category = {"wrong_category_url": f"{admin_url}/wrong-category?token={token}"}
    match variant:
        case Variant.POLICY:
            return wrong_category | {"accident_url": f"{admin_url}/accident?token={token}"}
        case Variant.SECURITY | Variant.LATER | Variant.WARN | Variant.VIEW_ONLY:
            return wrong_category
        case _:
            return {}


def _ask_url(
    variant: Variant, approval: tuple[str, ...], admin_url: str | None, token: str | None
) -> str | None:
    """Return where the page's button leads; None where nothing can be asked, or not now."""
    if admin_url is None or token is None:
        return None
    if variant is Variant.NOTICE:
        return f"{admin_url}/notice?token={token}"
    return f"{admin_url}/ask?token={token}" if approval else None


def _because(variant: Variant, decision: Decision, policy: Policy) -> str:
    if variant is Variant.NOTICE and policy.notice is not None:
        return policy.notice.title
    return decision.because or ""


def _said_match(decision: Decision, policy: Policy) -> CategoryMatch | None:
    """Return the list entry that the page gives as the reason.

    None for a rule that is about people or hours and not about what the site is.
    """
    rule = _rule_of(decision, policy)
    return None if rule is not None and not rule.categories else decision.match


def _rule_of(decision: Decision, policy: Policy) -> Rule | None:
    return next((rule for rule in policy.rules if rule.id == decision.rule), None)


def _variant(decision: Decision, policy: Policy) -> Variant:  # noqa: PLR0911, PLR0912 - one answer a cause
    cause = decision.cause
    match cause:
        case Cause.SECURITY_RISK:
            return Variant.SECURITY
        case Cause.RULE:
            match = decision.match
            if match is not None and match.category in policy.security_categories:
                return Variant.SECURITY
            rule = _rule_of(decision, policy)
            if rule is not None and rule.file_types:
                return Variant.DOWNLOAD
            # Of a site that may be read, only what acts is ever stopped.
            is_readable = rule is not None and rule.action is Verdict.VIEW_ONLY
            return Variant.ACTING if is_readable else Variant.POLICY
        case Cause.DEFAULT | Cause.ADMIN_SITE | Cause.ESSENTIAL | Cause.EXEMPTION | Cause.FILTER_OFF:
            return Variant.POLICY
        case Cause.NOTICE:
            return Variant.NOTICE
        case Cause.LOCKDOWN:
            return Variant.LOCKDOWN
        case Cause.DEVICE_OFF:
            return Variant.DEVICE_OFF
        case Cause.UNKNOWN_CLIENT:
            asks = policy.unknown is UnknownAction.SIGN_IN
            return Variant.SIGN_IN if asks else Variant.UNKNOWN_CLIENT
        case Cause.PRIVATE_ADDRESS:
            return Variant.PRIVATE_ADDRESS
        case Cause.PORT:
            return Variant.PORT
        case Cause.MISMATCH:
            return Variant.MISMATCH
        case Cause.MALFORMED | Cause.NOT_TLS:
            return Variant.UNREADABLE
        case Cause.UNREACHABLE:
            return Variant.UNREACHABLE
        case Cause.CERTIFICATE:
            return Variant.CERTIFICATE
        case Cause.FAULT:
            return Variant.TROUBLE
        case _:
            assert_never(cause)


def _approval(decision: Decision, visit: Visit, policy: Policy) -> tuple[str, ...]:
    """Return the roles asked in turn: nobody is asked about a request of their own."""
    department = policy.departments.get(visit.client.department or "")
    is_own = department is None or department.head in (visit.client.person, "")
    roles = (
        Approver.TOWN_ADMINISTRATOR.value if role == Approver.DEPARTMENT_HEAD and is_own else role
        for role in decision.approval
    )
    return tuple(dict.fromkeys(roles))


def _emergency(variant: Variant, visit: Visit, policy: Policy, state: State) -> Emergency | None:
    """Return what IT did that keeps this client from the web, None for other pages."""
    if variant is Variant.DEVICE_OFF:
        off = state.device_off_at(visit.client.address)
        return Emergency(off.since, off.because) if off else None
    lockdown = state.lockdown_for(visit.client.department) if variant is Variant.LOCKDOWN else None
    if lockdown is None:
        return None
    works = sorted(policy.essentials | policy.works_in_lockdown)
    news_at = lockdown.next_news_at
    return Emergency(
        lockdown.since,
        lockdown.because,
        still_works=tuple(works[:_SHOWN_SITES]),
        more_works=len(works[_SHOWN_SITES:]),
        next_news_at=news_at if news_at is not None and news_at > visit.at else None,
    )


def _head(visit: Visit, policy: Policy) -> str:
    department = policy.departments.get(visit.client.department or "")
    head = policy.people.get(department.head) if department else None
    return head.name if head else ""


def _seen_as(visit: Visit, policy: Policy) -> str:
    client = visit.client
    person = policy.people.get(client.person or "")
    department = policy.departments.get(client.department or "")
    names = (person.name if person else client.device, department.name if department else None)
    return ", ".join(name for name in names if name)


def _opening(decision: Decision, visit: Visit, policy: Policy) -> Opening | None:
    """Return when the clock alone will open the site for this client, within a week."""
    categories = {match.category for match in rule_matches(visit, policy)}
    timed = {
        rule.id: policy.schedules[rule.when]
        for rule in policy.rules
        if rule.when is not None and (not rule.categories or rule.categories & categories)
    }
    at = next_edge_after(visit.at, policy, State()) if timed else None
    while at is not None and at - visit.at <= _LOOK_AHEAD:
        then = decide(replace(visit, at=at), policy, State())
        if then.is_allowed:
            # The site opens because an allowing rule begins, or because the blocking one ends.
            return Opening(at, timed.get(then.rule or ""))
        at = next_edge_after(at, policy, State())
    return None


def _digest(style: str) -> str:
    return base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()


_ENVIRONMENT = Environment(
    loader=PackageLoader("proxy_addons", "pages"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.globals["languages"] = {"en": ENGLISH, "es": SPANISH}
_PAGE = _ENVIRONMENT.get_template("block_page.html")
_SHORT = _ENVIRONMENT.get_template("short.html")
_STYLES = " ".join(
    f"'sha256-{_digest(_ENVIRONMENT.get_template(name).render())}'"
    for name in ("block_page.css", "short.css")
)

PAGE_HEADERS: Mapping[str, str] = {
    "Content-Type": "text/html; charset=utf-8",
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        f"default-src 'none'; base-uri 'none'; form-action 'none'; style-src {_STYLES}"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""The headers every page is sent with: never kept, and nothing loaded from anywhere."""

CONTINUE_HEADERS: Mapping[str, str] = {
    **PAGE_HEADERS,
    "Content-Security-Policy": (
        "default-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
        f"style-src {_STYLES}"
    ),
}
"""The headers of a page to click through: its one form goes to the host itself, and no page frames it."""
