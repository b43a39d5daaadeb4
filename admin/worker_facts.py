"""What proxy workers say of themselves, read from the spool: untrusted, as all there is."""

import os
from datetime import datetime, timedelta
from pathlib import Path

from admin.spool_reader import open_plain_file
from policy.state_names import WORKER_FACTS_SUFFIX
from policy.worker_facts import MAX_BYTES, WorkerFacts, WorkerFactsError

_MOST_FILES = 64
_CLOCKS_DIFFER_BY = timedelta(minutes=5)


def newest_facts(spool: Path, now: datetime) -> WorkerFacts | None:
    """Return what a worker said last, perhaps long ago; None when none has said a thing.

    What is no worker's facts is passed over, and what claims to be of a time to come.
    """
    return max(_believed(spool, now), key=lambda facts: facts.written_at, default=None)


def facts_since(spool: Path, since: datetime, now: datetime) -> list[WorkerFacts]:
    """Return what each worker said last, of those that said something since an instant."""
    return [facts for facts in _believed(spool, now) if facts.written_at >= since]


def _believed(spool: Path, now: datetime) -> list[WorkerFacts]:
    found = (_read(path) for path in sorted(spool.glob(f"*{WORKER_FACTS_SUFFIX}"))[:_MOST_FILES])
    return [facts for facts in found if facts and facts.written_at <= now + _CLOCKS_DIFFER_BY]


def _read(path: Path) -> WorkerFacts | None:
    try:
        descriptor = open_plain_file(path)
        try:
            return WorkerFacts.from_bytes(os.pread(descriptor, MAX_BYTES + 1, 0))
        finally:
            os.close(descriptor)
    except (OSError, WorkerFactsError):
        return None
