"""What came of a visit, as one line of the spool."""

import re
import secrets
from datetime import UTC, datetime, timedelta
from typing import Annotated

import msgspec
from msgspec import Meta, Struct
from pydantic import AfterValidator, AwareDatetime

from policy.decision import Cause, Lane, Verdict

# Without I, L, O, U, 0 and 1: read aloud over the phone.
CODE_ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = [first + second for first in CODE_ALPHABET for second in CODE_ALPHABET]
_SIGNS = re.compile(r"[0-9A-Z]{6}", re.ASCII)
_MAX_LINE_BYTES = 64 * 1024
_MAX_TEXT_LENGTH = 2000

MOST_ADDRESSES = 20
"""More pages of one visit have no address kept."""
LONGEST_ADDRESS = _MAX_TEXT_LENGTH


NOT_TRUSTED = "the program did not accept the town's certificate"
"""The refusal of a visit to a program that does not trust the town's CA."""


def new_code() -> str:
    """Return a short code for a visit, like "K7M-4QP"; 1 in 729 million to be met twice."""
    # Every visit has one. Of 64 bits, what codes are a little likelier by is nothing; asked for in one go.
    number = int.from_bytes(secrets.token_bytes(8))
    number, first = divmod(number, len(_PAIRS))
    middle, last = divmod(number % len(_PAIRS) ** 2, len(_PAIRS))
    middles = _PAIRS[middle]
    return f"{_PAIRS[first]}{middles[0]}-{middles[1]}{_PAIRS[last]}"


def read_code(text: str) -> str:
    """Return the code that somebody typed, or heard on the telephone: "k7m 4qp" is "K7M-4QP".

    Raises ValueError for what is none.
    """
    signs = "".join(text.upper().replace("-", " ").split())
    if not _SIGNS.fullmatch(signs):
        raise ValueError(f"“{text[:60]}” is no page code; one is like K7M-4QP")
    return f"{signs[:3]}-{signs[3:]}"


class VisitRecordError(Exception):
    """A spool line is not a visit record; it is counted and passed over."""


def _in_utc(at: datetime) -> datetime:
    if at.utcoffset() != timedelta(0):
        raise ValueError("not in UTC")
    return at


type Moment = Annotated[AwareDatetime, AfterValidator(_in_utc)]
"""An instant that another process wrote: aware UTC, or refused."""

# A line comes from another process, and goes into a database: what is in it must fit there.
_Text = Annotated[str, Meta(max_length=_MAX_TEXT_LENGTH)]
_Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
_Instant = Annotated[datetime, Meta(tz=True)]


# By msgspec, and not by pydantic as elsewhere: one is written for every visit there is, and read.
class VisitRecord(Struct, frozen=True, omit_defaults=True, gc=False):
    """One visit. Times aware UTC, bytes as the client sees them (up = towards the origin server).

    `host` is a canonical name; `code` is what the block page showed, or made for the log;
    `refusal` says in words why a connection was refused or an origin server not reached.
    `policy_sequence`, `policy_version` and `category_version` name the snapshots that decided.
    `connections` are those that began with it, `requests` those that could be seen, `pages` those of them
    that the client went to, and no page pulled in by itself. `is_shown`: a person was shown the code.
    `addresses` are the full ones of pages that were gone to, where the policy has them kept.
    `is_running`: the visit goes on, and this is what is known at `ended_at`; its own record follows.
    """

    code: _Text
    started_at: _Instant
    ended_at: _Instant
    address: _Text
    person: _Text | None
    device: _Text | None
    department: _Text | None
    scheme: _Text
    host: _Text
    port: Annotated[int, Meta(ge=0, le=65535)]
    verdict: Verdict
    lane: Lane
    cause: Cause
    rule: _Text | None
    exemption: _Text | None
    category: _Text | None
    entry: _Text | None
    source: _Text | None
    refusal: _Text | None
    bytes_up: _Count
    bytes_down: _Count
    policy_sequence: _Count
    policy_version: _Text
    category_version: _Text
    is_running: bool = False
    connections: _Count = 1
    requests: _Count = 0
    pages: _Count = 0
    is_shown: bool = False
    addresses: Annotated[tuple[_Text, ...], Meta(max_length=MOST_ADDRESSES)] = ()

    def to_line(self) -> bytes:
        """Return the record as one line of JSON, newline included; long reasons are cut."""
        record = self
        if any(text is not None and len(text) > _MAX_TEXT_LENGTH for text in (self.entry, self.refusal)):
            record = msgspec.structs.replace(self, entry=_cut(self.entry), refusal=_cut(self.refusal))
        return _ENCODER.encode(record) + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> "VisitRecord":
        """Read a line back. Raises VisitRecordError when it is not a whole record."""
        if len(line) > _MAX_LINE_BYTES:
            raise VisitRecordError(f"not a visit record: {len(line):,} bytes long")
        try:
            record = _DECODER.decode(line)
            # What msgspec reads as UTC is this very zone; all that is left is looked at.
            for at in (record.started_at, record.ended_at):
                if at.tzinfo is not UTC:
                    _in_utc(at)
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            raise VisitRecordError(f"not a visit record: {line[:80]!r}") from error
        return record


def _cut(text: str | None) -> str | None:
    return text and text[:_MAX_TEXT_LENGTH]


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(VisitRecord)
