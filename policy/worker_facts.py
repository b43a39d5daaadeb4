"""What a proxy worker says of itself, as the bytes of a file: admin cannot look into the proxy's folder.

A fact is a field with a default, so that one side may know more facts than the other.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from policy.decision import Lane
from policy.visit_record import Moment

MAX_BYTES = 512 << 10
MOST_HEAVY = 100

CA_WARNED_BEFORE = timedelta(days=30)
"""How long before its end the town's certificate authority is warned of."""


# A device's name in the policy is of 500 characters at most.
type _Text = Annotated[str, Field(max_length=500)]
type _Count = Annotated[int, Field(ge=0, lt=2**63)]


class WorkerFactsError(Exception):
    """The bytes are no worker's facts; they are passed over."""


@dataclass(frozen=True, slots=True)
class HeavyVisit:
    """An open visit that has carried much, or carries much now (a second, both ways).

    Bytes are as in `VisitRecord`.
    """

    code: _Text
    started_at: Moment
    address: _Text
    person: _Text | None
    device: _Text | None
    department: _Text | None
    host: _Text
    category: _Text | None
    lane: Lane
    bytes_up: _Count
    bytes_down: _Count
    bytes_per_second: _Count


@dataclass(frozen=True, slots=True)
class WorkerFacts:
    """Facts as of `written_at`, by the worker's clock. Times aware UTC.

    `ca_ends_at`: when the town's certificate authority ends; a leaf is never signed after.
    `has_next_ca`: the one that comes next is made, and being rolled out. `heavy` are at most MOST_HEAVY, what
    carries most now first; `bytes_per_second` is of all visits, both ways.
    """

    written_at: Moment
    ca_ends_at: Moment | None = None
    has_next_ca: bool = False
    heavy: tuple[HeavyVisit, ...] = ()
    bytes_per_second: _Count = 0

    def to_bytes(self) -> bytes:
        """Return them as JSON."""
        return _ADAPTER.dump_json(self) + b"\n"

    @classmethod
    def from_bytes(cls, data: bytes) -> "WorkerFacts":
        """Read them back; facts not known here are passed over. Raises WorkerFactsError."""
        if len(data) > MAX_BYTES:
            raise WorkerFactsError(f"no worker's facts: longer than {MAX_BYTES} bytes")
        try:
            return _ADAPTER.validate_json(data, strict=True)
        except ValidationError as error:
            raise WorkerFactsError(f"no worker's facts: {data[:80]!r}") from error


_ADAPTER = TypeAdapter(WorkerFacts)
