"""Reads segments of the spool, which is untrusted: the proxy that wrote them may be anyone's.

A segment `*.visits` holds one visit record a line and is only ever appended to. Its writer holds
an exclusive flock on it while it lives; a segment that can be locked is finished.
"""

import fcntl
import functools
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from admin.clock import to_ms
from admin.sqlite_file import Value
from admin.visit_log.arrived import Arrived
from admin.visit_log.taking_in import BadLine, Batch, Place, site_key
from policy.decision import Cause, Lane, Verdict
from policy.visit_record import LONGEST_ADDRESS, VisitRecord, VisitRecordError

SUFFIX = ".visits"
MAX_LINE_BYTES = 64 << 10
# Of a backlog: the larger it is, the less often the same pages of indexes are written.
_BATCH_BYTES = 4 << 20

# What a gate could have seen: from before there was one to long after this is replaced.
_EARLIEST = datetime(2020, 1, 1, tzinfo=UTC)
_LATEST = datetime(2100, 1, 1, tzinfo=UTC)
_MOST_BYTES = 1 << 53
_MAX_TEXT = 512
_KNOWN = 50_000


@dataclass(frozen=True, slots=True)
class Segments:
    """The segments of a spool with their `sizes`, oldest first, and the names of those that are `misnamed`.

    No writer gives a name that cannot be printed: neither the database nor a log takes it as it is.
    """

    sizes: Mapping[str, int]
    misnamed: tuple[str, ...]


def segments(folder: Path) -> Segments:
    """Return the segments of a spool. Raises OSError when it cannot be read."""
    with os.scandir(folder) as entries:
        found = sorted(
            (entry.name, entry.stat(follow_symlinks=False).st_size)
            for entry in entries
            if entry.name.endswith(SUFFIX) and not entry.name.startswith(".")
        )
    return Segments(
        {name: size for name, size in found if name.isprintable()},
        tuple(name for name, _ in found if not name.isprintable()),
    )


def read_batch(path: Path, place: Place) -> Batch:
    """Read on in a segment from a place, about four mebibytes.

    1. finished? Asked before reading: what is read after the writer let go is all there will be
    2. whole lines; one longer than 64 KiB is given up and skipped
    3. a rest without a newline waits for the writer; in a finished segment it was cut

    Raises OSError when it cannot be read or is no plain file.
    """
    descriptor = open_plain_file(path)
    try:
        is_finished = _is_finished(descriptor)
        data = os.pread(descriptor, _BATCH_BYTES, place.position)
        rest_is_empty = len(data) < _BATCH_BYTES
    finally:
        os.close(descriptor)
    batch = Batch([], [], place, is_last=False)
    end = _read_lines(data, batch)
    rest = data[end:]
    position = place.position + end
    in_long_line = place.is_in_long_line and end == 0
    if len(rest) > MAX_LINE_BYTES or in_long_line:
        if not in_long_line:
            batch.bad_lines.append(BadLine(position, f"longer than {MAX_LINE_BYTES} bytes", rest[:80]))
        position, in_long_line, rest = position + len(rest), True, b""
    is_last = is_finished and rest_is_empty
    if is_last and rest:
        batch.bad_lines.append(BadLine(position, "cut: its end was never written", rest[:80]))
        position += len(rest)
    return Batch(batch.rows, batch.bad_lines, Place(position, in_long_line), is_last)


def open_plain_file(path: Path) -> int:
    """Open a file of the spool for reading. Raises OSError when it cannot be read or is no plain file."""
    # Not a link to elsewhere, nor a pipe that would make us wait.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(f"{path}: is not a plain file")
    return descriptor


def _is_finished(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read_lines(data: bytes, batch: Batch) -> int:
    """Add the whole lines in `data`; return where the last one ends."""
    start = 0
    is_rest_of_long_line = batch.place.is_in_long_line
    for end in _newlines(data):
        position = batch.place.position + start
        line = data[start:end]
        start = end + 1
        if is_rest_of_long_line:
            is_rest_of_long_line = False
        elif len(line) > MAX_LINE_BYTES:
            batch.bad_lines.append(BadLine(position, f"longer than {MAX_LINE_BYTES} bytes", line[:80]))
        else:
            try:
                batch.rows.append(_row(VisitRecord.from_line(line)))
            except VisitRecordError:
                batch.bad_lines.append(BadLine(position, "not a visit record", line[:80]))
            except ValueError as error:
                batch.bad_lines.append(BadLine(position, str(error), line[:80]))
    return start


def _newlines(data: bytes) -> Iterator[int]:
    end = data.find(b"\n")
    while end >= 0:
        yield end
        end = data.find(b"\n", end + 1)


def _row(record: VisitRecord) -> Arrived:
    """Return a record as it is written. Raises ValueError for what cannot have happened."""
    for at in (record.started_at, record.ended_at):
        if not _EARLIEST <= at < _LATEST:
            raise ValueError(f"a time that cannot be: {at.isoformat()}")
    counted = record.connections, record.requests, record.pages
    if max(record.bytes_up, record.bytes_down, *counted) >= _MOST_BYTES:
        raise ValueError("a number that cannot be")
    return Arrived(
        to_ms(record.started_at),
        # A clock that was set back never makes a visit end before it began.
        to_ms(max(record.started_at, record.ended_at)),
        _text(record.code),
        _client(record.address, record.person, record.device, record.department),
        _site(record.host),
        _decision(
            record.scheme,
            record.port,
            record.verdict,
            record.lane,
            record.cause,
            record.rule,
            record.exemption,
            record.category,
            record.entry,
            record.source,
        ),
        _versions(record.policy_sequence, record.policy_version, record.category_version),
        _text_or_none(record.refusal),
        record.bytes_up,
        record.bytes_down,
        record.is_running,
        *counted,
        record.is_shown,
        record.addresses and tuple(_text(address, LONGEST_ADDRESS) for address in record.addresses),
    )


# Few of them differ from visit to visit; what was made safe once is.
@functools.lru_cache(_KNOWN)
def _client(
    address: str, person: str | None, device: str | None, department: str | None
) -> tuple[str, str | None, str | None, str | None]:
    return _text(address), _text_or_none(person), _text_or_none(device), _text_or_none(department)


@functools.lru_cache(_KNOWN)
def _site(host: str) -> str:
    return site_key(_text(host))


@functools.lru_cache(_KNOWN)
def _decision(
    scheme: str, port: int, verdict: Verdict, lane: Lane, cause: Cause, *texts: str | None
) -> tuple[Value, ...]:
    return _text(scheme), port, verdict.value, lane.value, cause.value, *map(_text_or_none, texts)


@functools.lru_cache(_KNOWN)
def _versions(policy_sequence: int, policy_version: str, category_version: str) -> tuple[int, str, str]:
    return policy_sequence, _text(policy_version), _text(category_version)


def _text(text: str, longest: int = _MAX_TEXT) -> str:
    """Return a text that is safe to store and to print: cut, without control characters."""
    cut = text[:longest]
    return cut if cut.isprintable() else "".join(c if c.isprintable() else "\ufffd" for c in cut)


def _text_or_none(text: str | None) -> str | None:
    return None if text is None else _text(text)
