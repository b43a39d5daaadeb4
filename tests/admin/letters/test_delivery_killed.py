"""Sending as a process that is killed: no letter is lost, and only the one under way can come again."""

import asyncio
import random
import signal
import sys
from collections import Counter
from pathlib import Path

from admin import outbox
from admin.database import Database
from admin.outbox import Channel
from tests.admin.letters.test_delivery import receipt
from tests.admin.small_town import MONDAY
from tests.post_office import post_office

_LETTERS = 60
_KILLS = 4
_SEND = """
import asyncio, sys
from pathlib import Path
from admin.database import Database
from tests.admin.letters.test_delivery import Sending
from tests.post_office import PostOffice

async def main() -> None:
    office = PostOffice()
    office.port = int(sys.argv[2])
    async with Database.open(Path(sys.argv[1])) as db:
        await Sending(db, office).delivery.run()

asyncio.run(main())
"""


async def test_sending_killed_again_and_again_delivers_each_letter(tmp_path: Path) -> None:
    path = tmp_path / "towngate.db"
    async with Database.open(path) as db, db.transaction() as t:
        for n in range(_LETTERS):
            await outbox.put(t, receipt(str(n)), MONDAY)
    dice = random.Random(7)
    async with post_office() as office:
        for kill in range(_KILLS + 1):
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", _SEND, str(path), str(office.port), cwd=Path.cwd()
            )
            before = len(office.messages)
            async with asyncio.timeout(60):
                while len(office.messages) == before and kill < _KILLS:
                    await asyncio.sleep(0.001)
                await asyncio.sleep(dice.uniform(0.0, 0.1))
                while kill == _KILLS and await _waiting(path):
                    await asyncio.sleep(0.1)
            process.send_signal(signal.SIGKILL)
            await process.wait()
    came = Counter(message["Message-ID"] for message in office.messages)
    assert {message["Subject"] for message in office.messages} == {f"Your copy: {n}" for n in range(_LETTERS)}
    assert len(came) == _LETTERS
    assert sum(came.values()) - _LETTERS <= _KILLS


async def _waiting(path: Path) -> int:
    async with Database.open(path) as db:
        return (await outbox.depth(db, Channel.MAIL, MONDAY)).waiting
