"""The gate: an edition of a list that cannot be right is never used, one to doubt only when forced."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping

from categories.entries import EntriesFile, KeptSource, Section
from categories.entry_key import HOST_EXPRESSION, exact_key, host_key
from categories.expressions import ExpressionSet
from categories.known_sites import KnownSites
from categories.reading import LAYOUT_FORMAT, Edition
from categories.snapshot import NAMES
from categories.sources import SourceError
from categories.taxonomy import Taxonomy

_MOST_GROWTH = 10
# A category of fewer entries may well double or halve from one day to the next.
_FEW = 100
_SHOWN = 3


def judge(edition: Edition) -> None:
    """Raise SourceError, saying why, when the edition is no list: nothing makes it one.

    No entries; or more lines that were not understood than entries.
    """
    source = edition.source
    found, lost = source.count, edition.problems.count
    if lost > found:
        raise SourceError(
            f"{source.location}: not a list that can be read here: {lost} lines were not understood, "
            f"{found} were; the first: {edition.problems.first[0]}"
        )
    if not found:
        raise SourceError(f"{source.location}: it is empty: no entries in it{_where_looked_for(source)}")


def _where_looked_for(source: KeptSource) -> str:
    """Return where a folder or an archive was searched, as its layout may be another; empty for one file."""
    if source.list_format != LAYOUT_FORMAT:
        return ""
    return (
        "; in a folder or an archive they are looked for in CATEGORY/domains, CATEGORY/urls and"
        " CATEGORY/expressions, as UT1 has them, or in data/CATEGORY, as v2fly has"
    )


def doubts_about_size(edition: Edition, former: KeptSource, words: Taxonomy) -> tuple[str, ...]:
    """Return why the edition, by the number of its entries, can hardly follow the former one.

    Fewer than half as many entries, or over ten times as many, in all or in a category that is used
    for something; fewer than before and an end in the middle of a line.
    """
    found = edition.source.count
    if found < former.count / 2:
        return (f"it shrank to under half: {found} entries, {former.count} before",)
    if edition.is_cut and found < former.count:
        return (
            f"it is cut: it ends in the middle of a line, with {found} entries where {former.count} "
            "were before",
        )
    if found > _MOST_GROWTH * max(former.count, _FEW):
        return (f"it grew more than tenfold: {found} entries, {former.count} before",)
    counts, were = _by_category(edition.source, words), _by_category(former, words)
    return tuple(_drifted(counts, were))


def doubts_about_sites(
    edition: EntriesFile, former: EntriesFile | None, known: KnownSites, words: Taxonomy
) -> tuple[str, ...]:
    """Return what the edition has wrong of the sites that are known.

    A site, or a parent of it, in a category that it is never in, unless the former edition had it
    there, too, which somebody then has accepted; a canary of which the former edition knew the
    category, and this one does not.
    """
    wanted = {
        category: known.never_in(category, words) | known.canaries.get(category, frozenset())
        for category in words.categories
    }
    listed = _listed(edition, wanted, words)
    were = _listed(former, wanted, words) if former is not None else defaultdict(set)
    wrong = [
        f"it lists {site} as {category}"
        for category in sorted(listed)
        for site in sorted(known.never_in(category, words).intersection(listed[category] - were[category]))
    ]
    lost = [
        f"it no longer lists {site} as {category}"
        for category, sites in sorted(known.canaries.items())
        for site in sorted(sites.intersection(were[category] - listed[category]))
    ]
    return (*_some(wrong), *_some(lost))


def _by_category(source: KeptSource, words: Taxonomy) -> Counter[str]:
    """Return the number of entries per category of the list's own that is used for something."""
    counts = Counter[str]()
    for section in source.sections:
        if source.category_of(section, words) is not None:
            counts[section.category] += section.count
    return counts


def _drifted(counts: Mapping[str, int], were: Mapping[str, int]) -> Iterator[str]:
    for category, before in sorted(were.items()):
        now = counts.get(category, 0)
        if before >= _FEW and now < before / 2:
            yield f"{category} shrank to under half: {now} entries, {before} before"
        elif now > _MOST_GROWTH * max(before, _FEW):
            yield f"{category} grew more than tenfold: {now} entries, {before} before"


def _listed(
    entries: EntriesFile, wanted: Mapping[str, frozenset[str]], words: Taxonomy
) -> defaultdict[str, set[str]]:
    """Return, per category, which of the wanted hosts the entries cover."""
    found = defaultdict[str, set[str]](set)
    for section in entries.source.sections:
        category = entries.source.category_of(section, words)
        if category is None or section.kind != NAMES or not wanted[category]:
            continue
        keys = _keys_covering(wanted[category])
        for key in entries.find(section, keys):
            found[category].update(keys[key])
        if entries.source.list_format != LAYOUT_FORMAT:
            found[category].update(_matched(entries, section, wanted[category]))
    return found


def _matched(entries: EntriesFile, section: Section, hosts: Iterable[str]) -> set[str]:
    """Return which of the hosts the section's expressions for hosts match."""
    keys = entries.keys(section)
    expressions = ExpressionSet(key[1:] for key in keys if key.startswith(HOST_EXPRESSION))
    return {host for host in hosts if expressions.matching(host)}


def _keys_covering(hosts: Iterable[str]) -> dict[str, list[str]]:
    """Return every key that covers one of the hosts, with those that it covers."""
    keys = defaultdict[str, list[str]](list)
    for host in hosts:
        keys[exact_key(host)].append(host)
        covering = host
        while covering:
            keys[host_key(covering)].append(host)
            covering = covering.partition(".")[2]
    return keys


def _some(doubts: list[str]) -> list[str]:
    more = len(doubts) - _SHOWN
    return doubts if more <= 1 else [*doubts[:_SHOWN], f"and {more} more like that"]
