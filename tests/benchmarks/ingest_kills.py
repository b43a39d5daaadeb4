"""Ingest killed again and again while visits come in: a part of `make bench-visits`.

A VisitLog writes so many visits a second, as a worker does; a process takes them in, and is killed
(SIGKILL) at random moments. At the end every visit has to be in the log once.
"""

import asyncio
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from admin.clock import utc_now
from admin.database import Database
from admin.ingest import Ingest
from categories.taxonomy import taxonomy
from policy.decision import Lane
from proxy_addons.judge import Judgement
from proxy_addons.spool import Spool
from proxy_addons.visit_log import VisitLog

_FLUSH_SECONDS = 0.5
_STEP_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Taken:
    """What came of it: visits that were written, those that the log lacks, and those that it has twice."""

    written: int
    seconds: float
    lost: int
    doubled: int


def killed_ingest(folder: Path, judgement: Judgement, kills: int, per_second: int = 500) -> Taken:
    """Write visits while ingest is killed so often, half a second to two seconds after it began."""
    path, spool = folder / "killed" / "towngate.db", folder / "killed" / "spool"
    spool.mkdir(parents=True)
    dice = random.Random(7)
    codes: list[str] = []
    began = time.monotonic()
    with _writing(spool, judgement, per_second, codes):
        for _ in range(kills):
            command = [sys.executable, "-m", "tests.benchmarks.ingest_kills", str(path), str(spool)]
            with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
                assert process.stdout is not None
                process.stdout.readline()
                time.sleep(dice.uniform(0.5, 2))
                process.kill()
    seconds = time.monotonic() - began
    found = Counter(asyncio.run(_codes(path, spool)))
    lost, doubled = sum(code not in found for code in codes), sum(found.values()) - len(found)
    return Taken(len(codes), seconds, lost, doubled)


@contextmanager
def _writing(spool: Path, judgement: Judgement, per_second: int, codes: list[str]) -> Iterator[None]:
    log, over = VisitLog(Spool(spool), taxonomy()), threading.Event()

    def write() -> None:
        began = flushed = time.monotonic()
        while not over.wait(_STEP_SECONDS):
            now = time.monotonic()
            for _ in range(int((now - began) * per_second) - len(codes)):
                visit = log.begin(judgement, Lane.TUNNEL, lambda: None)
                # Or it would go on with the one before.
                visit.is_shown = True
                codes.append(visit.code)
                log.end(visit)
            if now - flushed >= _FLUSH_SECONDS:
                log.flush()
                flushed = now
        log.close()

    worker = threading.Thread(target=write)
    worker.start()
    try:
        yield
    finally:
        over.set()
        worker.join()


async def _codes(path: Path, spool: Path) -> list[str]:
    """Take in what is left; return the codes of all visits in the log."""
    async with Database.open(path) as db:
        await Ingest(db, spool, utc_now).take_in()
        found: list[str] = []
        for month in await db.visits.months():
            async with db.visits.reading(month) as file:
                found += [row["code"] for row in await file.fetch_all("SELECT code FROM visit_row")]
        return found


async def _take_in(path: Path, spool: Path) -> None:
    """Be the process that is killed."""
    async with Database.open(path) as db:
        ingest = Ingest(db, spool, utc_now)
        print("ready", flush=True)
        await ingest.run()


if __name__ == "__main__":
    asyncio.run(_take_in(*map(Path, sys.argv[1:])))
