"""The town's words for what a site is: categories and groups, and what the lists' names mean in them."""

import difflib
import functools
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources

import yaml

UNCATEGORISED = "uncategorised"
"""What a rule calls a site that is listed as nothing; no list has it."""
NEWLY_SEEN = "newly_seen"
"""What a rule calls a site that was first visited in this town a few days ago, whatever lists say of it."""
UNLISTED = frozenset({UNCATEGORISED, NEWLY_SEEN})
"""What only rules name: no list, correction or report says that a site is one of these."""
TOWN_LIST = "town_list"
"""The category of a plain list whose name says nothing about what is in it."""


@dataclass(frozen=True, slots=True)
class Group:
    """Categories that a rule can name in one word. `label` is shown to people."""

    id: str
    label: str


@dataclass(frozen=True, slots=True)
class Category:
    """What a site can be.

    `label` is the word on a page ("Gambling"), `sites` what fills the sentence "The town does not
    allow {sites} on its computers." ("gambling sites"), `group` the id of its one group.
    """

    id: str
    label: str
    sites: str
    description: str
    group: str


@dataclass(frozen=True, slots=True)
class Taxonomy:
    """Every category and group by its id, and per list format the meaning of the list's names."""

    categories: Mapping[str, Category]
    groups: Mapping[str, Group]
    lists: Mapping[str, Mapping[str, str]]
    left_out: Mapping[str, Mapping[str, str]]

    @property
    def listable(self) -> Mapping[str, Category]:
        """What a site can be listed as or corrected to, by id: all but what only rules name."""
        return {id_: category for id_, category in self.categories.items() if id_ not in UNLISTED}

    def members(self, group_id: str) -> frozenset[str]:
        """Return the ids of the group's categories; KeyError when there is no such group."""
        if group_id not in self.groups:
            raise KeyError(group_id)
        return frozenset(c.id for c in self.categories.values() if c.group == group_id)

    def nearest(self, word: str) -> str | None:
        """Return the category or group id that `word` was most likely meant to be, if any is near."""
        near = difflib.get_close_matches(word.lower(), [*self.categories, *self.groups], n=1)
        return near[0] if near else None

    def for_list_category(self, list_format: str, name: str) -> str | None:
        """Return our id for a list's own name of a category; None when it is used for nothing.

        Where the format does not say, a name that is one of our ids means that category.
        """
        if name in self.left_out.get(list_format, ()):
            return None
        mapped = self.lists.get(list_format, {}).get(name)
        return mapped if mapped is not None else (name if name in self.listable else None)

    def why_left_out(self, list_format: str, name: str) -> str | None:
        """Return why a list's category is used for nothing; None when nobody decided that."""
        return self.left_out.get(list_format, {}).get(name)


@functools.cache
def taxonomy() -> Taxonomy:
    """Return the taxonomy that ships with Towngate."""
    text = resources.files("categories").joinpath("taxonomy.yaml").read_text("utf-8")
    document = yaml.safe_load(text)
    return Taxonomy(
        categories={id_: Category(id=id_, **fields) for id_, fields in document["categories"].items()},
        groups={id_: Group(id=id_, **fields) for id_, fields in document["groups"].items()},
        lists=document["lists"],
        left_out=document["left_out"],
    )
