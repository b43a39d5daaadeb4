"""What a lookup answers."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CategoryMatch:
    """One reason why a host, or a URL of it, is in a category.

    `category` is an id of the taxonomy, `entry` the list entry that matched as the list has it
    (for a domain entry, the host itself or a parent of it), `source` the name of the list.
    """

    category: str
    entry: str
    source: str
