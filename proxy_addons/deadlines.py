"""Who waits for something, and until when: one dict in place of a timer for each."""


class Deadlines[Owner]:
    """Owners that wait for equally many seconds, in the order in which their time is over.

    What it knows of time is what it is told: seconds that never go back.
    """

    __slots__ = ("_ends", "seconds")

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._ends: dict[Owner, float] = {}

    def start(self, owner: Owner, now: float) -> None:
        """Have an owner wait from now on, also one that waits already."""
        self._ends.pop(owner, None)
        self._ends[owner] = now + self.seconds

    def stop(self, owner: Owner) -> None:
        """Have an owner wait no more; nothing happens when it does not."""
        self._ends.pop(owner, None)

    def over(self, now: float) -> list[Owner]:
        """Return those whose time is over, the longest first; they wait no more."""
        late = []
        for owner, end in self._ends.items():
            if end > now:
                break
            late.append(owner)
        for owner in late:
            del self._ends[owner]
        return late

    def __len__(self) -> int:
        return len(self._ends)
