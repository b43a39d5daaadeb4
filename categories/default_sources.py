"""The sources that a new town is offered: default_sources.yaml, which says what each is good for."""

import functools
from dataclasses import dataclass
from importlib import resources

import yaml

from categories.sources import Source


@dataclass(frozen=True, slots=True)
class DefaultSource:
    """A list that others keep, and its facts.

    A new town fetches it where `is_on`; else `off_because` says why not. `category` is the id that
    every entry gets, None where the list has its own (`taxonomy.yaml` maps them).
    """

    name: str
    location: str
    licence: str
    good_for: str
    is_on: bool
    category: str | None = None
    off_because: str | None = None

    @property
    def source(self) -> Source:
        """The same as what is fetched."""
        return Source(self.name, self.location, self.category)


@functools.cache
def default_sources() -> tuple[DefaultSource, ...]:
    """Return the sources that ship with Towngate, in the order of their file."""
    text = resources.files("categories").joinpath("default_sources.yaml").read_text("utf-8")
    return tuple(
        DefaultSource(name=name, is_on="off_because" not in facts, **facts)
        for name, facts in yaml.safe_load(text).items()
    )
