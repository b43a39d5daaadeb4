"""Ingest as a process that is killed: nothing is lost, nothing comes twice."""

import asyncio
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from admin.database import Database
from admin.ingest import Ingest
from admin.sqlite_file import Row
from proxy_addons.spool import Spool
from tests.admin.small_town import MONDAY, visit_record
from tests.admin.visit_files import in_visit_files

_TAKE_IN = """
import asyncio, sys
from datetime import datetime
from pathlib import Path
from admin.database import Database
from admin.ingest import Ingest

async def main() -> None:
    async with Database.open(Path(sys.argv[1])) as db:
        ingest = Ingest(db, Path(sys.argv[2]), lambda: datetime.fromisoformat(sys.argv[3]))
        print("ready", flush=True)
        while True:
            await ingest.take_in()

asyncio.run(main())
"""


@pytest.mark.parametrize("is_shown", [True, False], ids=["each a visit", "one visit goes on"])
def test_ingest_killed_again_and_again_takes_each_record_once(tmp_path: Path, *, is_shown: bool) -> None:
    path, spool = tmp_path / "towngate.db", tmp_path / "spool"
    spool.mkdir()
    dice = random.Random(7)
    written = 0
    for _ in range(6):
        with subprocess.Popen(
            [sys.executable, "-c", _TAKE_IN, str(path), str(spool), MONDAY.isoformat()],
            stdout=subprocess.PIPE,
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            killed_at = time.monotonic() + dice.uniform(0.05, 0.4)
            while time.monotonic() < killed_at:
                worker = Spool(spool)
                for _ in range(40):
                    worker.append(visit_record(code=str(written), is_shown=is_shown).to_line())
                    worker.flush()
                    written += 1
                worker.close()
            process.send_signal(signal.SIGKILL)

    async def finish() -> list[Row]:
        async with Database.open(path) as db:
            await Ingest(db, spool, lambda: MONDAY).take_in()
            return await in_visit_files(db, "SELECT code, connections FROM visit_row")

    visits = asyncio.run(finish())
    if is_shown:
        assert sorted((row["code"] for row in visits), key=int) == [str(n) for n in range(written)]
    else:
        assert [(row["code"], row["connections"]) for row in visits] == [("0", written)]
    assert list(spool.iterdir()) == []
