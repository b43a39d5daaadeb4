"""What came of a visit, as one line of the spool."""

import secrets
from dataclasses import dataclass
from datetime import datetime

from pydantic import TypeAdapter, ValidationError

from policy.decision import Cause, Lane, Verdict

# Without I, L, O, U, 0 and 1: read aloud over the phone.
_CODE_ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXYZ"


def new_code() -> str:
    """Return a short code for a visit, like "K7M-4QP"; 1 in 729 million to be met twice."""
    letters = [secrets.choice(_CODE_ALPHABET) for _ in range(6)]
    return "".join(letters[:3]) + "-" + "".join(letters[3:])


class VisitRecordError(Exception):
    """A spool line is not a visit record; it is counted and passed over."""


@dataclass(frozen=True, slots=True)
class VisitRecord:
    """One visit. Times aware UTC, bytes as the client sees them (up = towards the origin server).

    `host` is a canonical name; `code` is what the block page showed, or made for the log;
    `refusal` says in words why a connection was refused or an origin server not reached.
    `policy_sequence`, `policy_version` and `category_version` name the snapshots that decided.
    """

    code: str
    started_at: datetime
    ended_at: datetime
    address: str
    person: str | None
    device: str | None
    department: str | None
    scheme: str
    host: str
    port: int
    verdict: Verdict
    lane: Lane
    cause: Cause
    rule: str | None
    exemption: str | None
    category: str | None
    entry: str | None
    source: str | None
    refusal: str | None
    bytes_up: int
    bytes_down: int
    policy_sequence: int
    policy_version: str
    category_version: str

    def to_line(self) -> bytes:
        """Return the record as one line of JSON, newline included."""
        return _ADAPTER.dump_json(self) + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> "VisitRecord":
        """Read a line back. Raises VisitRecordError when it is not a whole record."""
        try:
            return _ADAPTER.validate_json(line)
        except ValidationError as error:
            raise VisitRecordError(f"not a visit record: {line[:80]!r}") from error


_ADAPTER = TypeAdapter(VisitRecord)
