"""Times as the database keeps them: integer milliseconds since 1970, UTC."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

type Clock = Callable[[], datetime]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def utc_now() -> datetime:
    """Return the time of day, aware UTC."""
    return datetime.now(UTC)


def is_within(duration: timedelta, since: datetime, now: datetime) -> bool:
    """Whether `now` is less than `duration` after `since`. Before it, the clock was set back: it is not."""
    return timedelta(0) <= now - since < duration


def to_ms(at: datetime) -> int:
    """Return whole milliseconds since 1970 of an aware time; the rest is cut off.

    Raises ValueError for a time without a zone: it could mean two instants.
    """
    if at.tzinfo is None:
        raise ValueError(f"{at.isoformat()} has no time zone")
    since = at - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1000 + since.microseconds // 1000


def from_ms(milliseconds: int) -> datetime:
    """Return the aware UTC time of milliseconds since 1970."""
    return _EPOCH + milliseconds * _MILLISECOND
