"""Corrections: what the town itself lists a site as, in place of every list.

A small overlay that travels with the policy snapshot, so that it is in force within a second and
no list has to be compiled again.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from categories.match import CategoryMatch

SOURCE = "town"
"""Stands in a match where another names its list."""


@dataclass(frozen=True, slots=True)
class Correction:
    """`site` (a canonical host) and its subdomains are listed as `categories` (ids) and nothing else.

    No categories: the site is listed as nothing.
    """

    site: str
    categories: tuple[str, ...]

    @property
    def matches(self) -> tuple[CategoryMatch, ...]:
        """The categories, as a list would give them."""
        return tuple(CategoryMatch(category, self.site, SOURCE) for category in self.categories)


class Corrections:
    """The corrections in force, by site; immutable once built."""

    __slots__ = ("_by_site", "_tails")

    def __init__(self, corrections: Iterable[Correction] = ()) -> None:
        self._by_site = {correction.site: correction for correction in corrections}
        self._tails = {_tail(site) for site in self._by_site}

    def nearest(self, host: str) -> Correction | None:
        """Return the correction of the host or of its nearest corrected parent, None if there is none."""
        # Nearly every host is of a domain without any correction, and this says so at once.
        tail = _tail(host)
        if tail not in self._tails and tail.partition(".")[2] not in self._tails:
            return None
        while (found := self._by_site.get(host)) is None and (dot := host.find(".")) >= 0:
            host = host[dot + 1 :]
        return found

    def apply(self, host: str, matches: tuple[CategoryMatch, ...]) -> tuple[CategoryMatch, ...]:
        """Return what a canonical host is listed as, given what the lists say."""
        correction = self.nearest(host)
        return matches if correction is None else correction.matches


def _tail(host: str) -> str:
    """Return the last two labels of a host, all of it where it has no more."""
    return host[host.rfind(".", 0, max(host.rfind("."), 0)) + 1 :]
