"""Which edition it is, in a server's own words (RFC 9110 section 8.8)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Validators:
    """What a server calls the edition that it answered with, as it wrote it; None what it did not say."""

    etag: str | None = None
    last_modified: str | None = None

    def __bool__(self) -> bool:
        return bool(self.etag or self.last_modified)
