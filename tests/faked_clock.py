"""A wall clock that tests move: libfaketime (Debian's) preloaded into the processes under test.

The processes are the real ones; only what they read as the date is moved. Their monotonic clock,
by which timers run, is left alone.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

_LIBRARY = "faketime/libfaketimeMT.so.1"


class FakedClock:
    """Give `environment` to a process, then `advance` it."""

    def __init__(self, library: Path, control: Path) -> None:
        self._control = control
        self._offset = timedelta()
        self.environment = {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(control),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            # A repair of monotonic clocks: with it, threads that wait keep a fifth of a core busy.
            "FAKETIME_FORCE_MONOTONIC_FIX": "0",
            # Nothing here compares a file's time with the clock, and faking them takes as long as all else.
            "NO_FAKE_STAT": "1",
        }
        self.advance(timedelta())

    def advance(self, by: timedelta) -> None:
        """Move the clock forward for every process that has the environment."""
        self._offset += by
        partial = self._control.with_suffix(".new")
        partial.write_text(f"{self._offset.total_seconds():+.0f}\n")
        partial.rename(self._control)

    def now(self) -> datetime:
        """Return what these processes take the time for (aware UTC)."""
        return datetime.now(UTC) + self._offset

    def set_to(self, at: datetime) -> None:
        """Move the clock to an instant (aware), for the same processes."""
        self.advance(at - self.now())


@pytest.fixture
def faked_clock(tmp_path: Path) -> FakedClock:
    """Return a clock to move. Skips where Debian's libfaketime is not installed."""
    library = next(Path("/usr/lib").glob(f"*/{_LIBRARY}"), None)
    if library is None:
        pytest.skip("needs libfaketime: make test-setup installs it")
    return FakedClock(library, tmp_path / "faked-clock")
