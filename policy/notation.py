"""How a policy document writes times, days, amounts, addresses and hosts: from text to values.

Every function raises ValueError with a sentence for the person who wrote the text.
"""

import difflib
import re
import zoneinfo
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from ipaddress import ip_address, ip_network

from categories.host_name import canonical_host, is_address, registrable_domain
from policy.ip import parse_ip
from policy.town_policy import Network, Quota

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")
_AMOUNT_OF_TIME = re.compile(r"([1-9]\d{0,2})([hm])")
_NUMBER_OF_DAYS = re.compile(r"([1-9]\d{0,3})d")
_MOST_DAYS = 1825
_SIZE = re.compile(r"(\d{1,4}(?:\.\d{1,3})?) ?(kB|MB|GB|TB)")
_UNIT_BYTES = {"kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_LINE = re.compile(r"(\d{1,4}(?:\.\d{1,3})?) ?(Mbit|Gbit)")
_UNIT_BITS = {"Mbit": 10**6, "Gbit": 10**9}
_A_DAY = timedelta(days=1)
_MOST_SPAN = timedelta(days=30)
_MAIL = re.compile(r"[^\s<>@,;]+@[^\s<>@,;]+")


def clock_time(text: str) -> time:
    """Read "16:30", a time of the day."""
    found = _CLOCK.fullmatch(text)
    if not found:
        raise ValueError(f'{text!r} is not a time of the day; write it like "08:00" or "16:30"')
    return time(int(found[1]), int(found[2]))


def end_of_window(text: str) -> time:
    """Read a time of the day at which a window ends; "24:00" is midnight."""
    return time(0) if text == "24:00" else clock_time(text)


def days_of_week(text: str) -> frozenset[int]:
    """Read "mon-fri", "sat,sun" or "fri-mon, wed" as numbers, Monday 0."""
    days: set[int] = set()
    for part in text.lower().split(","):
        first, dash, last = (name.strip() for name in part.partition("-"))
        start = _day(first)
        end = _day(last) if dash else start
        days.update(day % 7 for day in range(start, end + (8 if end < start else 1)))
    return frozenset(days)


def day_of_week(text: str) -> int:
    """Read "mon", one day of the week; Monday is 0."""
    return _day(text.lower())


def _day(name: str) -> int:
    if name in _DAYS:
        return _DAYS.index(name)
    near = difflib.get_close_matches(name[:64], _DAYS, n=1)
    nearest = f"nearest: {near[0]!r}" if near else f"days are {', '.join(_DAYS)}"
    raise ValueError(f"{name!r} is not a day ({nearest})")


def time_zone(text: str) -> str:
    """Read the name of a time zone of the IANA database."""
    try:
        zoneinfo.ZoneInfo(text)
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError) as error:
        raise ValueError(f"{text!r} is not a time zone") from error
    return text


def moment(text: str, zone: zoneinfo.ZoneInfo) -> datetime:
    """Read "2026-03-02 10:00", or with seconds, by the zone's wall clock; UTC.

    Of an hour that comes twice, the first is meant.
    """
    seconds = ":%S" if text.count(":") == 2 else ""
    try:
        wall = datetime.strptime(text, f"%Y-%m-%d %H:%M{seconds}").replace(tzinfo=zone)
        at = wall.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError(f'{text!r} is not a date and time; write it like "2026-03-02 10:00"') from error
    if at.astimezone(zone).replace(tzinfo=None) != wall.replace(tzinfo=None):
        raise ValueError(f"{text!r} does not exist in {zone.key}: the clock skips it that day")
    return at


def date_of(text: str) -> date:
    """Read "2026-12-01"."""
    try:
        return datetime.strptime(text, "%Y-%m-%d").date()  # noqa: DTZ007 - a date has no zone
    except ValueError as error:
        raise ValueError(f'{text!r} is not a date; write it like "2026-12-01"') from error


def amount_of_time(text: str) -> timedelta:
    """Read "4h" or "30m"."""
    found = _AMOUNT_OF_TIME.fullmatch(text)
    if not found:
        raise ValueError(f'{text!r} is no amount of time; write it like "4h" or "30m"')
    return timedelta(hours=int(found[1])) if found[2] == "h" else timedelta(minutes=int(found[1]))


def number_of_days(text: str) -> timedelta:
    """Read "365d", at most five years."""
    found = _NUMBER_OF_DAYS.fullmatch(text)
    if not found or int(found[1]) > _MOST_DAYS:
        raise ValueError(f'{text!r} is no number of days up to {_MOST_DAYS}; write it like "365d"')
    return timedelta(days=int(found[1]))


def span_of_time(text: str) -> timedelta:
    """Read "30m", "4h" or "7d", at most 30 days."""
    try:
        span = number_of_days(text) if text.endswith("d") else amount_of_time(text)
    except ValueError:
        span = _MOST_SPAN + _A_DAY
    if span > _MOST_SPAN:
        raise ValueError(f'{text!r} is no span of up to 30 days; write it like "1d", "4h" or "30m"')
    return span


def size(text: str) -> int:
    """Read "500MB" or "4.2 GB", in powers of 1000; bytes."""
    found = _SIZE.fullmatch(text)
    size_bytes = round(Decimal(found[1]) * _UNIT_BYTES[found[2]]) if found else 0
    if not size_bytes:
        raise ValueError(f'{text!r} is no size; write it like "500MB" or "4.2GB" (kB, MB, GB, TB)')
    return size_bytes


def quota(text: str) -> Quota:
    """Read "2GB/day" or "30m/day"; per person."""
    amount, _, per = text.partition("/")
    try:
        if per.strip() == "day":
            if not _AMOUNT_OF_TIME.fullmatch(amount):
                return Quota(size_bytes=size(amount))
            duration = amount_of_time(amount)
            if duration < _A_DAY:
                return Quota(duration=duration)
    except ValueError:
        pass
    raise ValueError(f'{text!r} is no quota; write it like "2GB/day" or "30m/day", of less than 24h')


def line_capacity(text: str) -> int:
    """Read "500Mbit" or "2.5Gbit"; bits a second."""
    found = _LINE.fullmatch(text)
    bits = round(Decimal(found[1]) * _UNIT_BITS[found[2]]) if found else 0
    if not bits:
        raise ValueError(f'{text!r} is not what a line carries; write it like "500Mbit" or "2.5Gbit"')
    return bits


def address(text: str) -> str:
    """Read an IP address in its one spelling."""
    try:
        return str(parse_ip(text))
    except ValueError as error:
        raise ValueError(f"{text!r} is not an IP address") from error


def network(text: str) -> Network:
    """Read "10.10.20.0/24"; a single address is a network of one."""
    try:
        found = ip_network(text, strict=False)
    except ValueError as error:
        raise ValueError(f"{text!r} is not a network; write it like 10.10.20.0/24") from error
    if "/" in text and ip_address(text.partition("/")[0]) != found.network_address:
        raise ValueError(f"{text!r} is an address in a network; write the network: {found}")
    return found


def site(text: str) -> str:
    """Read a host name whose subdomains are meant too."""
    if "://" in text:
        raise ValueError(f"{text!r} is a whole address; write the host name alone")
    if text.startswith(("*.", ".")):
        raise ValueError(f"{text!r}: subdomains are included; write {text.lstrip('*.')!r}")
    host = canonical_host(text)
    if not is_address(host) and registrable_domain(host) is None and "." in host:
        raise ValueError(f"{text!r} would open every site under it; name the site")
    return host


def port(text: str) -> int:
    """Read a TCP port."""
    if not text.isascii() or not text.isdigit() or len(text) > 5 or not 1 <= int(text) <= 65535:
        raise ValueError(f"{text!r} is not a port; ports are numbers from 1 to 65535")
    return int(text)


def days_of_newness(text: str) -> int:
    """Read for how many days a site is newly seen."""
    if not text.isascii() or not text.isdigit() or len(text) > 3 or not 1 <= int(text) <= 365:
        raise ValueError(f"{text!r} is no number of days from 1 to 365")
    return int(text)


def requests_per_day(text: str) -> int:
    """Read how many requests one person may send a day."""
    if not text.isascii() or not text.isdigit() or len(text) > 4 or not 1 <= int(text) <= 1000:
        raise ValueError(f"{text!r} is no number of requests from 1 to 1000")
    return int(text)


def number_of_visits(text: str) -> int:
    """Read how many visits somebody may be stopped at before others are told."""
    if not text.isascii() or not text.isdigit() or len(text) > 5 or not 1 <= int(text) <= 10_000:
        raise ValueError(f"{text!r} is no number of visits from 1 to 10,000")
    return int(text)


def mail_address(text: str) -> str:
    """Read one mail address."""
    if not _MAIL.fullmatch(text) or not text.isprintable():
        raise ValueError(f"{text!r} is not a mail address")
    return text
