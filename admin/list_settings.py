"""The section `lists` of settings.yaml: which category lists are fetched, and when.

lists:
  update: {at: "03:00"}            # by the town's clock; or {every: 12h}
  sources:
    ut1: {location: "https://lists.example/ut1.tar.gz"}
    ads: {location: /srv/lists/hosts.txt, category: advertising}
  never_listed: [town.example, state.example]      # as anything that harms, or is not for the workplace
  canaries: {gambling: [casino.example]}           # what a list has as this, it must keep
  well_known: /srv/lists/top-sites.csv             # whose names others imitate, the most visited first
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from categories.host_name import canonical_host
from categories.sources import STARTER, Source, is_url
from categories.taxonomy import taxonomy
from policy import notation
from policy.document_value import Value

_HOURS = re.compile(r"(\d{1,3})h")
_LONGEST_HOURS = 7 * 24
_AT = time(3)


@dataclass(frozen=True, slots=True)
class ListSettings:
    """Which lists, fetched at `at` by the town's clock; or, where it is given, `every` so often.

    What the gate holds them to is in `never_listed` and `canaries`, as `categories.known_sites` has it.
    `well_known` is a file for `categories.look_alikes.ranked_names`.
    """

    sources: tuple[Source, ...] = ()
    at: time = _AT
    every: timedelta | None = None
    never_listed: frozenset[str] = frozenset()
    canaries: Mapping[str, frozenset[str]] = field(default_factory=dict)
    well_known: Path | None = None

    def next_after(self, last: datetime, zone: ZoneInfo) -> datetime:
        """Return when what was fetched at `last` (aware) is to be fetched next, aware UTC."""
        if self.every is not None:
            return last + self.every
        day = last.astimezone(zone).date()
        while True:
            at = datetime.combine(day, self.at, tzinfo=zone).astimezone(UTC)
            if at > last:
                return at
            day += timedelta(days=1)


def read_lists(value: Value, folder: Path) -> ListSettings:
    """Read the section; paths are as seen from `folder`. What is wrong is reported."""
    fields = value.fields(optional=("update", "sources", "never_listed", "canaries", "well_known"))
    well_known = fields["well_known"].text()
    update = fields["update"].fields(optional=("at", "every"))
    if update["at"].is_given and update["every"].is_given:
        fields["update"].report("'at' and 'every' are two ways to say it; write one")
    found = [_source(name, source, folder) for name, source in fields["sources"].entries()]
    return ListSettings(
        sources=tuple(source for source in found if source is not None),
        at=update["at"].parsed(notation.clock_time) or _AT,
        every=update["every"].parsed(_hours),
        never_listed=frozenset(fields["never_listed"].parsed_items(canonical_host)),
        canaries=_canaries(fields["canaries"]),
        well_known=folder / well_known if well_known else None,
    )


def _canaries(value: Value) -> dict[str, frozenset[str]]:
    found: dict[str, frozenset[str]] = {}
    for name, sites in value.entries():
        category = name.one_of(taxonomy().listable, "a category")
        if category:
            found[category] = frozenset(sites.parsed_items(canonical_host))
    return found


def _source(name: Value, value: Value, folder: Path) -> Source | None:
    fields = value.fields(required=("location",), optional=("category",))
    location = fields["location"].text()
    category = fields["category"].one_of(taxonomy().listable, "a category")
    id_ = name.new_id()
    if id_ == STARTER:
        name.report(f"{STARTER!r} is the list that ships with Towngate; choose another name")
        return None
    where = location if is_url(location) else str(folder / location)
    try:
        return Source(id_, where, category) if location else None
    except ValueError as error:
        name.report(str(error))
        return None


def _hours(text: str) -> timedelta:
    found = _HOURS.fullmatch(text)
    if not found or not 1 <= int(found[1]) <= _LONGEST_HOURS:
        raise ValueError(f"{text!r} is not a number of hours from 1h to {_LONGEST_HOURS}h; write it like 24h")
    return timedelta(hours=int(found[1]))
