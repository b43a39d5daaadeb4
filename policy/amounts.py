"""Amounts as pages, mails and commands say them; their parts are held together by no-break spaces."""

from datetime import timedelta

NO_BREAK = "\u00a0"


def size(size_bytes: int) -> str:
    """Return a size of data in powers of 1000: "0 B", "412 kB", "1.4 GB"."""
    return _in_thousands(size_bytes, ("B", "kB", "MB", "GB", "TB"))


def speed(bytes_per_second: float) -> str:
    """Return how much flows, as lines are sold: "0 bit/s", "8.4 Mbit/s"."""
    return _in_thousands(8 * bytes_per_second, ("bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s"))


def minutes(duration: timedelta) -> str:
    """Return an amount of time, in whole minutes: "30 minutes", "1 hour 30 minutes"."""
    hours, rest = divmod(int(duration.total_seconds()) // 60, 60)
    parts = [(hours, "hour"), (rest, "minute")] if hours else [(rest, "minute")]
    words = [
        f"{count} {name}{'' if count == 1 else 's'}" for count, name in parts if count or len(parts) == 1
    ]
    return " ".join(words).replace(" ", NO_BREAK)


def _in_thousands(amount: float, units: tuple[str, ...]) -> str:
    value, unit = float(amount), units[0]
    for larger in units[1:]:
        # 999.5 and up would be said as 1000.
        if value < 999.5:
            break
        value, unit = value / 1000, larger
    digits = f"{value:.1f}" if unit != units[0] and value < 9.95 else f"{value:.0f}"
    return f"{digits.removesuffix('.0')}{NO_BREAK}{unit}"
