"""Times, amounts and states as the pages say them."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal, assert_never
from zoneinfo import ZoneInfo

from markupsafe import Markup

from admin.api_tokens import ApiToken
from admin.asked import Kind, Level, categories_of
from admin.asking import AccessRequest, State
from admin.site_reports import Answer, ReportKind, SiteReport
from admin.visits import VisitRow
from categories.taxonomy import taxonomy
from policy import amounts
from policy.decision import Cause, Lane, Verdict
from policy.file_types import FILE_TYPES, described, refused_types
from policy.limiting import Use
from policy.schedule import Schedule
from policy.town_policy import Policy, Quota
from policy.town_time import ENGLISH, said_end
from policy.visit_record import NOT_TRUSTED

NO_BREAK = "\u00a0"
DECISIONS = {
    "allow": "Allowed",
    "inspect": "Allowed and checked inside",
    "view_only": "Read only",
    "warn": "Warned",
    "block": "Blocked",
}
"""What comes of visits, as they are shown and looked for; "inspect" is allowed in that lane."""
STATES: Mapping[str, str] = {
    State.SUBMITTED: "Waiting",
    State.AWAITS_SIGNATURE: "Approved, the terms are to be signed",
    State.AWAITS_OPENING: "Approved, waiting for IT to open it",
    State.APPROVED: "Allowed",
    State.DENIED: "Not approved",
    State.WITHDRAWN: "Withdrawn",
    State.STOPPED: "Stopped",
    State.ENDED: "Ended",
}
"""Where requests stood, where no more is to say of it than `request_status` says."""
LEVELS: Mapping[str, str] = {Level.VIEW: "To read", Level.FULL: "Full use"}
LANES: Mapping[Lane, str] = {
    Lane.TUNNEL: "not decrypted",
    Lane.INSPECT: "decrypted",
    Lane.PLAIN: "not encrypted",
    Lane.BLOCK: "a page was shown",
    Lane.REFUSE: "closed",
}
"""What became of a visit's connection."""
_LONGEST_HOST = 200
_STATUS_ICONS = {
    "ok": "check_circle",
    "wait": "schedule",
    "warn": "warning",
    "danger": "shield",
    "no": "do_not_disturb",
    "off": "remove",
}
amount = amounts.size


@dataclass(frozen=True, slots=True)
class Status:
    """A state for people: words (perhaps with a `<time>`), and the icon and tint of its kind."""

    kind: Literal["ok", "wait", "warn", "danger", "no", "off"]
    words: str

    @property
    def icon(self) -> str:
        """The icon's name in the sprite."""
        return _STATUS_ICONS[self.kind]


@dataclass(frozen=True, slots=True)
class Times:
    """Says times in the town's zone, as seen at `now` (aware)."""

    zone: ZoneInfo
    now: datetime

    def moment(self, at: datetime) -> Markup:
        """Return date and hour: "Fri, March 6, 5 PM"."""
        return _time(at, ENGLISH.moment(at, self.zone, self.now))

    def until(self, ends_at: datetime) -> Markup:
        """Return the moment of an end; of midnight, "Fri, March 6, 11:59 PM"."""
        return self.moment(said_end(ends_at, self.zone))

    def last_day(self, ends_at: datetime) -> Markup:
        """Return the last date before an end: "Fri, March 6"."""
        return self.day(said_end(ends_at, self.zone))

    def day(self, at: datetime) -> Markup:
        """Return the date alone: "Fri, March 6"."""
        return _time(at, ENGLISH.day(self._local_date(at), self._local_date(self.now)))

    def clock(self, at: datetime) -> Markup:
        """Return the hour alone: "10:14 AM"."""
        return _time(at, ENGLISH.clock(at.astimezone(self.zone)))

    def to_the_second(self, at: datetime) -> Markup:
        """Return when something came into force: "10:14:07 AM"."""
        local = at.astimezone(self.zone)
        hour, half = ENGLISH.clock(local.replace(minute=0)).split(NO_BREAK)
        return _time(at, f"{hour}:{local:%M:%S}{NO_BREAK}{half}")

    def exact_clock(self, at: datetime) -> Markup:
        """Return the hour for logs: "10:14:07"."""
        return _time(at, f"{at.astimezone(self.zone):%H:%M:%S}")

    def near(self, at: datetime) -> Markup:
        """Return the hour with "today" or "tomorrow" before it, the date where it is neither."""
        days = (self._local_date(at) - self._local_date(self.now)).days
        if days not in (0, 1):
            return self.moment(at)
        words = f"{('today', 'tomorrow')[days]}, {ENGLISH.clock(at.astimezone(self.zone))}"
        return _time(at, words.replace(" ", NO_BREAK))

    def since(self, at: datetime) -> Markup:
        """Return the hour of a time of today, the whole moment of another day."""
        return self.clock(at) if self.is_same_day(at, self.now) else self.moment(at)

    def is_midnight(self, at: datetime) -> bool:
        """Whether a day of the town begins at an instant."""
        return at.astimezone(self.zone).time() == time()

    def is_same_day(self, first: datetime, second: datetime) -> bool:
        """Whether both instants are of one day in the town."""
        return self._local_date(first) == self._local_date(second)

    def _local_date(self, at: datetime) -> date:
        return at.astimezone(self.zone).date()


def window(schedule: Schedule) -> str:
    """Return a schedule: "12 to 1 PM, Mon to Fri"."""
    return ENGLISH.window(schedule)


def quota_left(quota: Quota, left: Use) -> str:
    """Return what is left of a quota: "30 minutes", "1.4 GB"."""
    return amounts.size(left.size_bytes) if quota.duration is None else amounts.minutes(left.duration)


def lasted(duration: timedelta) -> str:
    """Return a duration in its two largest units: "0 s", "12 s", "3 min", "2 h 5 min"."""
    seconds = max(0, round(duration.total_seconds()))
    if seconds < 60:
        return f"{seconds}{NO_BREAK}s"
    minutes = seconds // 60
    if minutes < 60:
        return f"{minutes}{NO_BREAK}min"
    hours, minutes = divmod(minutes, 60)
    rest = f" {minutes} min" if minutes else ""
    return f"{hours:,} h{rest}".replace(" ", NO_BREAK)


def span(duration: timedelta) -> str:
    """Return for how long something holds, as people say it: "one hour", "30 minutes", "7 days"."""
    days, rest = divmod(duration, timedelta(days=1))
    if days and not rest:
        words = "one day" if days == 1 else f"{days} days"
    else:
        words = "one hour" if duration == timedelta(hours=1) else amounts.minutes(duration)
    return words.replace(" ", NO_BREAK)


def number(count: int, one: str = "", many: str = "") -> str:
    """Return a count with its word: "1 try", "18,204 visits"; the bare number without words."""
    word = one if count == 1 else many
    return f"{count:,}{NO_BREAK}{word}" if word else f"{count:,}"


def counted(row: VisitRow) -> str:
    """Say of how much a visit is made: connections, and what could be seen in them."""
    parts = [number(row.connections, "connection", "connections")] if row.connections else []
    if row.requests:
        went = number(row.pages, "page gone to", "pages gone to") if row.pages else "none for a page gone to"
        parts.append(f"{number(row.requests, 'request', 'requests')} ({went})")
    return ", ".join(parts)


def subject(request: AccessRequest) -> str:
    """Return what is asked for, within a sentence.

    The site or a page of it, "one download from" it, "personal use: Shopping, Sports", "sites listed as
    Gambling", "social media: facebook.com, to read".
    """
    if request.kind is Kind.DOWNLOAD:
        return f"{'one download' if request.is_once else 'downloads'} from {host(request.host)}"
    if request.social_media is not None:
        sites = ", ".join(map(host, (request.host, *request.hosts)))
        return f"social media: {sites}{', to read' if request.social_media.level is Level.VIEW else ''}"
    if request.account is not None:
        return "an internet account"
    if request.host:
        return address(request)
    if request.device is not None:
        return f"device {request.device.name} at {request.device.address}"
    known = taxonomy().categories
    labels = ", ".join(known[id_].label if id_ in known else id_ for id_ in categories_of(request.asked))
    return f"personal use: {labels}" if request.window is not None else f"sites listed as {labels}"


def title(request: AccessRequest) -> str:
    """Return the same as a line begins with it: a site stays as it is, "Personal use: Shopping, Sports"."""
    said = subject(request)
    return said if said == address(request) else said[0].upper() + said[1:]


def address(request: AccessRequest) -> str:
    """Return the site that is asked for, with the path of its page where that alone is, whole."""
    return host(request.host) + request.path


def host(name: str) -> str:
    """Return a host name, cut to 200 letters."""
    return name if len(name) <= _LONGEST_HOST else name[:_LONGEST_HOST] + "…"


def request_status(request: AccessRequest, times: Times, waits_for: str, decided_by: str) -> Status:
    """Return where a request stands.

    `waits_for` and `decided_by` say, within a sentence, who answers next and who answered last.
    """
    state = request.state_at(times.now)
    match state:
        case State.SUBMITTED | State.AWAITS_OPENING | State.AWAITS_SIGNATURE:
            return Status("wait", _waiting(request, waits_for))
        case State.APPROVED:
            return _in_force(request, times)
        case State.DENIED:
            return Status("no", STATES[state])
        case State.WITHDRAWN:
            return Status("off", STATES[state])
        case State.STOPPED:
            return _stopped(request, decided_by)
        case State.ENDED:
            return Status(
                "off",
                Markup("Ended {}").format(times.day(request.over_at or times.now)),
            )
        case _:
            assert_never(state)


def _waiting(request: AccessRequest, waits_for: str) -> str:
    if request.state is not State.SUBMITTED:
        return STATES[request.state]
    is_passed_on = request.passed_on_at(request.step) > 0 and waits_for != "you"
    return f"{'No answer yet, passed on to' if is_passed_on else 'Waiting for'} {waits_for}"


def _stopped(request: AccessRequest, decided_by: str) -> Status:
    if request.decided_by in request.askers:
        return Status("off", f"Ended by {decided_by}")
    return Status("danger" if decided_by == "IT" else "no", f"Stopped by {decided_by}")


def _in_force(request: AccessRequest, times: Times) -> Status:
    if request.paused_for:
        return Status("danger", paused_for(request.paused_for))
    if request.used_at is not None:
        return Status("off", Markup("Used {}").format(times.moment(request.used_at)))
    ends_at = request.expires_at or times.now
    was_long = ends_at - (request.decided_at or ends_at) > timedelta(days=1)
    if was_long and ends_at - times.now < timedelta(days=1):
        return Status("warn", Markup("Ends {}").format(times.near(said_end(ends_at, times.zone))))
    until = times.last_day(ends_at) if request.proposed_by is not None else times.until(ends_at)
    return Status("ok", Markup("Allowed until {}").format(until))


def paused_for(categories: Collection[str]) -> str:
    """Return what is said of access that does not count, as its site is listed as these now."""
    is_risk = not taxonomy().members("security_risk").isdisjoint(categories)
    return "Paused: now a security risk" if is_risk else "Paused: now never allowed"


def report_status(report: SiteReport) -> Status:
    """Return where a report of a site stands."""
    match report.answer:
        case None if report.kind is ReportKind.ACCIDENT:
            return Status("wait", "Reported")
        case None:
            return Status("wait", "Waiting for IT")
        case Answer.CORRECTED:
            category = taxonomy().categories.get(report.answered_category or "")
            return Status("ok", f"Corrected: {category.label if category else 'not listed'}")
        case Answer.KEPT:
            return Status("no", "The category is right")
        case Answer.BLOCKED:
            return Status("ok", "Reported, and blocked for everyone")
        case Answer.NO_PROBLEM:
            return Status("ok", "Reported, no problem")
        case _:
            assert_never(report.answer)


def token_status(token: ApiToken, times: Times) -> Status:
    """Return whether a token still opens something, and until when."""
    if token.works_at(times.now):
        return Status("ok", Markup("Works until {}").format(times.last_day(token.ends_at)))
    if times.now >= token.ends_at:
        return Status("off", Markup("Ended {}").format(times.last_day(token.ends_at)))
    return Status("off", "Ended: a duty or the password changed")


def plain(words: str) -> str:
    """Return words of a page as text alone, without `<time>` and no-break spaces."""
    text = words.striptags() if isinstance(words, Markup) else words
    return text.replace(NO_BREAK, " ")


def visit_status(row: VisitRow, policy: Policy) -> Status:
    """Return what came of a visit."""
    is_allowed = row.verdict in (Verdict.ALLOW, Verdict.VIEW_ONLY)
    is_out_of_reach = row.cause in (Cause.UNREACHABLE, Cause.CERTIFICATE)
    if is_out_of_reach or (is_allowed and row.refusal == NOT_TRUSTED):
        return Status("no", "Not connected")
    match row.verdict:
        case Verdict.ALLOW:
            return Status("ok", DECISIONS["inspect" if row.lane is Lane.INSPECT else "allow"])
        case Verdict.VIEW_ONLY | Verdict.WARN:
            return Status("warn", DECISIONS[row.verdict])
        case Verdict.BLOCK:
            if row.cause is Cause.SECURITY_RISK or row.category in policy.security_categories:
                return Status("danger", "Blocked for security")
            return Status("no", DECISIONS[row.verdict])
        case _:
            assert_never(row.verdict)


def kinds_of_files(types: Iterable[str]) -> list[str]:
    """Return types of files (`policy.file_types`) in words: "programs"."""
    return sorted(FILE_TYPES[id_].label for id_ in types)


def stopped_file(row: VisitRow) -> str:
    """Return what a download is that was stopped, in words: "an executable file"; empty for other visits."""
    types = refused_types(row.refusal)
    return "" if types is None else described(types)


def rule_status(action: Verdict) -> Status:
    """Return what a rule does, as everyone reads it."""
    match action:
        case Verdict.ALLOW:
            return Status("ok", "Open")
        case Verdict.VIEW_ONLY:
            return Status("warn", "Read only")
        case Verdict.WARN:
            return Status("warn", "Warns first")
        case Verdict.BLOCK:
            return Status("no", "Not open")
        case _:
            assert_never(action)


def decided(verdict: Verdict) -> str:
    """Return what was decided, within a sentence: "it was allowed"."""
    match verdict:
        case Verdict.ALLOW:
            return "allowed"
        case Verdict.VIEW_ONLY:
            return "allowed for reading"
        case Verdict.WARN:
            return "held up by a warning"
        case Verdict.BLOCK:
            return "blocked"
        case _:
            assert_never(verdict)


def _time(at: datetime, words: str) -> Markup:
    utc = at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return Markup('<time datetime="{}">{}</time>').format(utc, words)
