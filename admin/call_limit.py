"""How often something may be called: a bucket of calls for each caller, which fills up again."""

from datetime import datetime, timedelta

# Two calls a second for as long as the caller likes, and so many at once.
MOST_AT_ONCE = 120
AGAIN_EVERY = timedelta(seconds=0.5)


class TooManyCallsError(Exception):
    """The caller called too often: again in `seconds`."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"too many calls; again in {seconds} s")
        self.seconds = seconds


class CallLimit:
    """Counts the calls of each caller, by a number of theirs: of a token, or of a session."""

    def __init__(self) -> None:
        self._full_at: dict[int, datetime] = {}

    def count(self, caller: int, at: datetime) -> None:
        """Count a call. Raises TooManyCallsError, and the call does not count."""
        allowed = MOST_AT_ONCE * AGAIN_EVERY
        before = self._full_at.get(caller, at)
        # Further away than any call puts it, it is of before the clock was set back.
        full_at = (before if at < before <= at + allowed else at) + AGAIN_EVERY
        over = full_at - at - allowed
        if over > timedelta(0):
            raise TooManyCallsError(-(-over // timedelta(seconds=1)))
        # What is full again is as good as new.
        self._full_at = {id_: full for id_, full in self._full_at.items() if full > at} | {caller: full_at}
