"""Sending what the outbox holds: one letter after another, until each has arrived or never will.

1. Letters that are due are tried, oldest first; each is marked when its server has it.
2. One that was not taken is tried again after a pause that doubles, from a minute to an hour; after five
   days it has failed. Later ones to the same about the same wait for it.
3. One that was refused for good has failed at once.
4. When the carrier itself takes nothing, all wait, and it alone is tried again after a pause that doubles,
   from 5 seconds to 5 minutes: no letter is held responsible, however long it takes.
5. Where no server is set, letters wait for one for five days: a town that sets one up later does not
   send its people the news of months.

A mark that could not be written leaves the letter waiting: it is tried again under the same name
(`message_id`), by which its receiver can tell. Only one process sends: admin's, which holds its lock.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from admin import outbox
from admin.clock import Clock
from admin.database import Database, Transaction
from admin.letters.carrier import Carrier, CarrierError, NobodyError, PutOffError, RefusedError
from admin.outbox import Channel, PutLetter

logger = logging.getLogger(__name__)

_LOOK_EVERY_SECONDS = 0.5
_FIRST_PAUSE = timedelta(minutes=1)
_LONGEST_PAUSE = timedelta(hours=1)
_GIVE_UP_AFTER = timedelta(days=5)
_FIRST_CARRIER_PAUSE = timedelta(seconds=5)
_LONGEST_CARRIER_PAUSE = timedelta(minutes=5)


class Delivery:
    """Sends the letters of one channel.

    `problem` says why the carrier takes nothing, None while it does. `changed_at` is when it was last
    set to another target, None while it is what it was at the start.
    """

    def __init__(self, channel: Channel, carrier: Carrier, db: Database, clock: Clock) -> None:
        self.channel = channel
        self.problem: str | None = None
        self.changed_at: datetime | None = None
        self._carrier = carrier
        self._db = db
        self._clock = clock
        self._target = carrier.target
        self._pause = _FIRST_CARRIER_PAUSE
        self._rests_until: datetime | None = None

    async def run(self) -> None:
        """Send, for ever."""
        while True:
            await self.send_due()
            await asyncio.sleep(_LOOK_EVERY_SECONDS)

    async def send_due(self) -> None:
        """Try each letter that is due, once; none while the carrier rests or is not set up."""
        now = self._clock()
        self.notice_change(now)
        if not self._carrier.is_ready:
            await self._drop_old_news(now)
            return
        if self._rests_until is not None and now < self._rests_until:
            return
        held: set[tuple[str, str]] = set()
        for put in await outbox.due(self._db, self.channel, now):
            if put.thread in held:
                continue
            try:
                if not await self._send(put):
                    held.add(put.thread)
            except CarrierError as error:
                self._rest(str(error))
                return

    def notice_change(self, now: datetime) -> None:
        """Forget what is known of the carrier if it has another target."""
        if self._carrier.target != self._target:
            self._target = self._carrier.target
            self.changed_at = now
            self.recover()

    def recover(self) -> None:
        """Know that the carrier works, and let it rest no longer."""
        self.problem = None
        self._rests_until = None
        self._pause = _FIRST_CARRIER_PAUSE

    async def _drop_old_news(self, now: datetime) -> None:
        for put in await outbox.due(self._db, self.channel, now):
            if now - put.put_at <= _GIVE_UP_AFTER:
                return
            await self._end(put, outbox.mark_dropped, "no server was set for five days")

    async def _send(self, put: PutLetter) -> bool:
        """Try a letter; return whether it is done with, sent or not."""
        try:
            await self._carrier.carry(put)
        except PutOffError as error:
            await self._put_off(put, str(error))
            return False
        except NobodyError as error:
            await self._end(put, outbox.mark_dropped, str(error))
        except RefusedError as error:
            await self._end(put, outbox.mark_failed, str(error))
        else:
            self.recover()
            async with self._db.transaction() as t:
                await outbox.mark_sent(t, put, self._clock())
            logger.info("letter sent: channel=%s letter=%d kind=%s", self.channel, put.id, put.letter.kind)
        return True

    async def _end(
        self,
        put: PutLetter,
        mark: Callable[[Transaction, PutLetter, datetime, str], Awaitable[None]],
        why: str,
    ) -> None:
        logger.warning("letter ended: channel=%s letter=%d why=%s", self.channel, put.id, why)
        async with self._db.transaction() as t:
            await mark(t, put, self._clock(), why)

    async def _put_off(self, put: PutLetter, problem: str) -> None:
        now = self._clock()
        logger.warning("letter put off: channel=%s letter=%d why=%s", self.channel, put.id, problem)
        async with self._db.transaction() as t:
            if now - put.put_at > _GIVE_UP_AFTER:
                await outbox.mark_failed(t, put, now, problem)
            else:
                await outbox.put_off(t, put, now + pause_after(put.tries), problem)

    def _rest(self, problem: str) -> None:
        logger.warning("carrier away: channel=%s rests=%s why=%s", self.channel, self._pause, problem)
        self.problem = problem
        self._rests_until = self._clock() + self._pause
        self._pause = min(self._pause * 2, _LONGEST_CARRIER_PAUSE)


def pause_after(tries: int) -> timedelta:
    """Return how long a letter waits that was tried so often before this time."""
    return min(_FIRST_PAUSE * (1 << min(tries, 10)), _LONGEST_PAUSE)
