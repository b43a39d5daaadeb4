"""What a lookup answers."""

from typing import NamedTuple


class CategoryMatch(NamedTuple):
    """One reason why a host, or a URL of it, is in a category.

    `category` is an id of the taxonomy, `entry` the list entry that matched as the list has it
    (for a domain entry, the host itself or a parent of it), `source` the name of the list.
    """

    # A tuple: half of what is visited is listed, and a frozen dataclass takes twice as long to make.
    category: str
    entry: str
    source: str
