"""The filters of the visit log in its page's address: what they mean, in words, and with one more or less."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from typing import Any
from urllib.parse import quote, urlencode
from zoneinfo import ZoneInfo

from admin.visit_log.searching import MOST_LEFT_OUT, LeftOut, VisitFilter
from admin.visits import FIRST_YEAR, LAST_YEAR
from admin.web.people import People
from admin.web.words import DECISIONS, Times, host
from categories.host_name import HostNameError, canonical_host
from categories.taxonomy import taxonomy
from policy.decision import Lane, Verdict
from policy.town_policy import Policy
from policy.visit_record import read_code

SPANS = {"hour": "Last hour", "today": "Today", "week": "Last 7 days", "month": "Last 30 days"}
# In an address, values that are left out are separated by commas: not_host=a.example,b.example
LEAVE_OUT = ("host", "department", "category", "rule")
FILTERS = (
    *("span", "since", "until", "department", "host", "category", "verdict", "rule", "code", "person"),
    *(f"not_{name}" for name in LEAVE_OUT),
)


@dataclass(frozen=True, slots=True)
class Filters:
    """The filters of an address: all that are `typed`, and those `given` that hold, which `where` is.

    `wrong` says of each of the others that it means nothing, and what is shown without it.
    """

    typed: Mapping[str, str]
    given: Mapping[str, str]
    where: VisitFilter
    wrong: tuple[str, ...]


class _NoFilterError(ValueError):
    """What an address has for a filter means nothing."""


def read(query: Mapping[str, str], now: datetime, zone: ZoneInfo) -> Filters:
    """Read the filters of an address."""
    typed = {name: query[name].strip() for name in FILTERS if query.get(name, "").strip()}
    where, given, wrong = VisitFilter(), {}, []
    for name, text in typed.items():
        try:
            where = _with(where, name, text, now, zone)
        except _NoFilterError as error:
            wrong.append(str(error))
        else:
            given[name] = text
    return Filters(typed, given, where, tuple(wrong))


def _with(where: VisitFilter, name: str, text: str, now: datetime, zone: ZoneInfo) -> VisitFilter:
    changed: dict[str, Any]
    match name:
        case "span":
            changed = {"since": _since(text, now, zone)}
        case "since":
            since = _time(text, zone, "From")
            changed = {"since": since if where.since is None else max(since, where.since)}
        case "until":
            changed = {"until": _time(text, zone, "Until")}
        case "host":
            changed = {"host": _host(text)}
        case "verdict":
            changed = _verdict(text)
        case "code":
            changed = {"code": _code(text)}
        case "department" | "category" | "rule" | "person":
            changed = {name: text}
        case _:
            changed = {"left_out": _leaving_out(where.left_out, name.removeprefix("not_"), text)}
    return replace(where, **changed)


def _host(text: str) -> str:
    try:
        return canonical_host(text)
    except HostNameError as error:
        raise _NoFilterError(
            f"“{host(text)}” is not a site's name. Enter it like library.example; all are shown."
        ) from error


def _verdict(text: str) -> dict[str, Any]:
    if text == Lane.INSPECT:
        return {"verdict": Verdict.ALLOW, "lane": Lane.INSPECT}
    if text not in DECISIONS:
        raise _NoFilterError(f"“{host(text)}” is no decision. Choose one; all are shown.")
    return {"verdict": Verdict(text)}


def _code(text: str) -> str:
    try:
        return read_code(text)
    except ValueError as error:
        raise _NoFilterError(
            f"“{host(text)}” is no page code. Enter it like K7M-4QP; all visits are shown."
        ) from error


def _leaving_out(left_out: LeftOut, name: str, text: str) -> LeftOut:
    values = _values(text)
    if len(values) > MOST_LEFT_OUT:
        raise _NoFilterError(f"Leave out {MOST_LEFT_OUT} at most; choose what to show instead.")
    match name:
        case "host":
            try:
                return replace(left_out, hosts=tuple(canonical_host(one) for one in values))
            except HostNameError as error:
                raise _NoFilterError(
                    "What is left out is not a site's name, like library.example; no site is left out."
                ) from error
        case "department":
            return replace(left_out, departments=values)
        case "category":
            return replace(left_out, categories=values)
        case _:
            return replace(left_out, rules=values)


def unknown(given: Mapping[str, str], policy: Policy) -> list[str]:
    """Say which filters name what is not there now: visits from when it was are still found by them."""
    rules = {*(rule.id for rule in policy.rules), *(limit.id for limit in policy.limits)}
    there = (
        ("department", policy.departments, "is no department of the policy"),
        ("category", taxonomy().categories, "is no category"),
        ("rule", rules, "is no rule of the policy"),
        ("person", policy.people, "is nobody in the policy"),
    )
    return [
        f"“{host(given[name])}” {is_none}."
        for name, ids, is_none in there
        if name in given and given[name] not in ids
    ]


def chips(given: Mapping[str, str], policy: Policy, times: Times) -> list[tuple[str, str]]:
    """Return each filter in words, and the address without it."""
    found = []
    for name, value in given.items():
        kind = name.removeprefix("not_")
        if kind == name:
            found.append((_said(name, value, policy, times), address(without(given, name))))
            continue
        values = _values(value)
        for one in values:
            others = ",".join(other for other in values if other != one)
            rest = {**given, name: others} if others else without(given, name)
            found.append((f"Not {_said(kind, one, policy, times)}", address(rest)))
    return found


def and_not(given: Mapping[str, str], name: str) -> str:
    """Return the page's address with room at its end for one more value to leave out."""
    left_out = "".join(f"{value}," for value in _values(given.get(f"not_{name}", "")))
    return f"{address(without(given, f'not_{name}'), open_ended=True)}not_{name}={quote(left_out)}"


def without(given: Mapping[str, str], *names: str) -> dict[str, str]:
    """Return the filters but these."""
    return {other: value for other, value in given.items() if other not in names}


def address(given: Mapping[str, str], *, open_ended: bool = False) -> str:
    """Return the page's address; `open_ended` leaves room for one more filter at its end."""
    query = urlencode(given)
    if open_ended:
        return f"/visits?{query}{'&' if query else ''}"
    return f"/visits?{query}" if query else "/visits"


def export_address(given: Mapping[str, str]) -> str:
    """Return where the visits of filters are exported."""
    return f"/visits/export{address(given).removeprefix('/visits')}"


def local(text: str, zone: ZoneInfo) -> str:
    """Return a time of an address as a form has it, by the town's clock; "" for what is none."""
    try:
        return f"{_instant(text, zone).astimezone(zone):%Y-%m-%dT%H:%M}"
    except ValueError:
        return ""


def _said(name: str, value: str, policy: Policy, times: Times) -> str:
    """Return a filter in words."""
    people = People(policy)
    match name:
        case "since" | "until":
            return ("From " if name == "since" else "Until ") + times.moment(_instant(value, times.zone))
        case "span" | "verdict":
            return {**SPANS, **DECISIONS}[value]
        case "department":
            return people.department(value)
        case "person":
            return people.name(value)
        case "category":
            category = taxonomy().categories.get(value)
            return category.label if category else host(value)
        case _:
            return host(value)


def _values(text: str) -> tuple[str, ...]:
    """Return the values of a kind that an address leaves out."""
    return tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))


def _since(span: str, now: datetime, zone: ZoneInfo) -> datetime:
    match span:
        case "hour":
            return now - timedelta(hours=1)
        case "today":
            return datetime.combine(now.astimezone(zone).date(), time(), tzinfo=zone)
        case "week":
            return now - timedelta(days=7)
        case "month":
            return now - timedelta(days=30)
        case _:
            raise _NoFilterError(f"“{host(span)}” is no time to choose. Visits of any time are shown.")


def _time(text: str, zone: ZoneInfo, label: str) -> datetime:
    try:
        return _instant(text, zone)
    except ValueError as error:
        raise _NoFilterError(
            f"{label}: “{host(text)}” is no time. A time is written like 2026-03-02 10:00."
        ) from error


def _instant(text: str, zone: ZoneInfo) -> datetime:
    """Read a time of an address: the town's, unless it says which zone. Raises ValueError."""
    at = datetime.fromisoformat(text)
    if not FIRST_YEAR <= at.year <= LAST_YEAR:
        raise ValueError(f"{text!r} is no time of the visit log")
    return (at.replace(tzinfo=zone) if at.tzinfo is None else at).astimezone(UTC)
