"""What a worker tells its supervisor: that it serves, and from then on that it still answers."""

import asyncio
import os

BEAT_SECONDS = 2.0


class Reporting:
    """Writes a line to a pipe once the worker serves, and one every two seconds from its event loop.

    Whoever holds the other end may have enough after the first.
    """

    def __init__(self, report_fd: int) -> None:
        self._fd = report_fd
        self._beating: asyncio.Task[None] | None = None

    def running(self) -> None:
        """Begin."""
        os.write(self._fd, b"ready\n")
        # A supervisor that is being replaced reads nothing for a while, and must not hold the worker up.
        os.set_blocking(self._fd, False)
        self._beating = asyncio.create_task(self._beat(), name="report to the supervisor")

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            try:
                os.write(self._fd, b"alive\n")
            except BlockingIOError:
                continue
            except OSError:
                return
