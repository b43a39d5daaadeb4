"""Sites of which it is known what they are, or what they are not: the gate holds every edition to them."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib import resources
from typing import Self

import yaml

from categories.taxonomy import Taxonomy

_SECURITY_RISK = "security_risk"
_HARMFUL = (_SECURITY_RISK, "evasion", "inappropriate")


@dataclass(frozen=True, slots=True)
class KnownSites:
    """Canonical hosts.

    No list may have one of `harmless` as a security risk, nor one of `own`, which are the town's and
    the state's, as anything that harms or is not for the workplace. Those of `canaries`, by category,
    stay listed where they were.
    """

    harmless: frozenset[str] = frozenset()
    own: frozenset[str] = frozenset()
    canaries: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @property
    def hosts(self) -> tuple[str, ...]:
        """All of them, in order."""
        return tuple(sorted(self.harmless.union(self.own, *self.canaries.values())))

    def adding(
        self, *, harmless: frozenset[str], own: frozenset[str], canaries: Mapping[str, frozenset[str]]
    ) -> Self:
        """Return the same with what a town knows besides."""
        both = dict(self.canaries)
        for category, sites in canaries.items():
            both[category] = both.get(category, frozenset()) | sites
        return replace(self, harmless=self.harmless | harmless, own=self.own | own, canaries=both)

    def never_in(self, category: str, words: Taxonomy) -> frozenset[str]:
        """Return the hosts that cannot be in a category."""
        group = words.categories[category].group
        harmless = self.harmless if group == _SECURITY_RISK else frozenset[str]()
        return harmless | self.own if group in _HARMFUL else harmless


@functools.cache
def known_sites() -> KnownSites:
    """Return those that everybody knows, which ship with Towngate."""
    document = yaml.safe_load(resources.files("categories").joinpath("known_sites.yaml").read_text("utf-8"))
    return KnownSites(
        harmless=frozenset(document["harmless"]),
        canaries={category: frozenset(sites) for category, sites in document["canaries"].items()},
    )
