"""What came of the last tries to bring a source up to date: a small file beside its entries.

An age counts from the last time that the entries in force were known to be the newest: fetched and
taken, or said by the server to be so still.
"""

import json
import os
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Self

from categories.validators import Validators

_FORMAT = 1


@dataclass(frozen=True, slots=True)
class SourceCheck:
    """How a source stands. Times are aware UTC.

    `good_at` is when its entries in force were last known to be the newest, None: never. `refused`
    says why the last try failed, None when it did not, and `was_fetched` whether there was an edition to
    judge; `failures` counts the tries in a row that failed.
    `validators` are what the server calls the entries in force, while they come from `location`
    with `category` as it is here.
    """

    location: str
    category: str | None
    tried_at: datetime
    good_at: datetime | None = None
    refused: str | None = None
    failures: int = 0
    validators: Validators = field(default_factory=Validators)
    was_fetched: bool = True

    def good(self, at: datetime, validators: Validators) -> Self:
        """Return the same after a try that went well."""
        return replace(
            self, tried_at=at, good_at=at, refused=None, was_fetched=True, failures=0, validators=validators
        )

    def failed(self, at: datetime, why: str, *, was_fetched: bool = True) -> Self:
        """Return the same after a try that did not; what is in force stays what it was."""
        return replace(self, tried_at=at, refused=why, was_fetched=was_fetched, failures=self.failures + 1)


def read_check(path: Path) -> SourceCheck | None:
    """Return what was noted, None when nothing was that can be read."""
    try:
        values = json.loads(path.read_bytes())
        if values.pop("format") != _FORMAT:
            return None
        good_at = values.pop("good_at")
        return SourceCheck(
            tried_at=datetime.fromisoformat(values.pop("tried_at")),
            good_at=datetime.fromisoformat(good_at) if good_at else None,
            validators=Validators(**values.pop("validators")),
            **values,
        )
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def write_check(path: Path, check: SourceCheck) -> None:
    """Note how a source stands, in place of what was noted before."""
    values = asdict(check) | {
        "format": _FORMAT,
        "tried_at": check.tried_at.isoformat(),
        "good_at": check.good_at.isoformat() if check.good_at else None,
    }
    partial = path.with_name(f".{path.name}")
    with partial.open("w") as file:
        json.dump(values, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
