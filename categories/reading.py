"""One edition of a list: its files read, their format found out, their entries written down."""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path, PurePosixPath

from categories.adblock import adblock_keys, is_adblock_list
from categories.domain_lists import DomainLists, is_domain_list
from categories.entries import EntriesWriter, KeptSource, Section
from categories.list_files import Alias, ListFile, ListFileError, list_files
from categories.parsing import (
    Problems,
    domain_keys,
    expression_keys,
    hosts_file_keys,
    is_hosts_file,
    url_keys,
)
from categories.resolver_files import is_resolver_file, resolver_keys
from categories.response_policy import is_response_policy_zone, response_policy_keys
from categories.snapshot import NAMES, URLS
from categories.sources import Source, SourceError
from categories.taxonomy import TOWN_LIST, Taxonomy

LAYOUT_FORMAT = "ut1"
"""squidGuard's layout, with UT1's names of categories; the taxonomy maps them."""
PLAIN_FORMAT = "plain"
"""One file without categories, in any of the formats that are one file."""
DOMAIN_LISTS_FORMAT = "v2fly"
"""v2fly's lists, with its names of categories."""

_SAYS_WHAT = "category-"
_HTML = re.compile(r"\s*(?:<!--.*?-->\s*)*<(?:!doctype|html|head|body|script|\?xml)\b", re.I | re.S)


@dataclass(slots=True)
class Edition:
    """What was read of a source, not yet in force.

    `unused` are the list's categories that the taxonomy has no use for, each with the reason.
    `is_cut` says that a file ends in the middle of a line.
    """

    source: KeptSource
    problems: Problems = field(default_factory=Problems)
    unused: dict[str, str] = field(default_factory=dict)
    is_cut: bool = False


def read_edition(
    source: Source, target: Path, words: Taxonomy, at: datetime, fetched: Path | None = None
) -> Edition:
    """Read a list and write its entries to the file `target`.

    The list is at `fetched`, which came from the source's location, or at the location itself. `at`
    (aware UTC) is when it was. Raises SourceError when it is not a list or ends early.
    """
    path = Path(source.location) if fetched is None else fetched
    problems = Problems()
    category, list_format, is_cut = source.category, LAYOUT_FORMAT, False
    aliases: list[Alias] = []
    problems_of_domain_lists = Problems()
    domain_lists = DomainLists(problems_of_domain_lists)
    with EntriesWriter(target) as writer:
        try:
            for file in list_files(path, source.location):
                if isinstance(file, Alias):
                    aliases.append(file)
                    continue
                if _HTML.match(file.beginning()):
                    what = f"{file.path} in it" if file.name else "it"
                    raise SourceError(f"{source.location}: {what} looks like a web page, not a list")
                if file.is_domain_list:
                    domain_lists.add(file.name, file.path, file.lines())
                    continue
                if not file.name:
                    list_format = PLAIN_FORMAT
                    category = category or words.for_list_category(LAYOUT_FORMAT, source.name) or TOWN_LIST
                _write_section(file, writer, problems)
                is_cut = is_cut or file.is_cut
        except ListFileError as error:
            raise SourceError(str(error)) from error
        if not writer.sections and domain_lists.names():
            list_format, problems = DOMAIN_LISTS_FORMAT, problems_of_domain_lists
            _write_domain_lists(domain_lists, words, writer)
        sections = _with_short_names(writer.sections, source.name)
        kept = KeptSource(source.name, source.location, category, list_format, at, sections)
        writer.close(kept)
    unused = {
        section.category: words.why_left_out(list_format, section.category) or "no category of the town's"
        for section in sections
        if category is None and words.for_list_category(list_format, section.category) is None
    }
    # A link is another name of what is read where it lies.
    folders = {section.category for section in writer.sections}
    unused |= {alias.folder: f"another name of {alias.of}" for alias in aliases if alias.of in folders}
    return Edition(kept, problems, unused, is_cut)


def _write_section(file: ListFile, writer: EntriesWriter, problems: Problems) -> None:
    match file.name:
        case "domains":
            writer.write(file.folder, NAMES, domain_keys(file.blocks(), file.path, problems))
        case "urls":
            writer.write(file.folder, URLS, url_keys(file.lines(), file.path, problems))
        case "expressions":
            writer.write(file.folder, URLS, expression_keys(file.lines(), file.path, problems))
        case _:
            writer.write("", NAMES, _keys_of_one_file(file, problems))


def _keys_of_one_file(file: ListFile, problems: Problems) -> Iterable[str]:
    beginning = file.beginning()
    if is_response_policy_zone(beginning):
        return response_policy_keys(file.lines(), file.path, problems)
    if is_resolver_file(beginning):
        return resolver_keys(file.lines(), file.path, problems)
    if is_hosts_file(beginning):
        return hosts_file_keys(file.lines(), file.path, problems)
    if is_adblock_list(beginning):
        return adblock_keys(file.lines(), file.path, problems)
    if is_domain_list(beginning):
        alone = DomainLists(problems)
        alone.add("", file.path, file.lines())
        return alone.keys("")
    return domain_keys(file.blocks(), file.path, problems)


def _write_domain_lists(lists: DomainLists, words: Taxonomy, writer: EntriesWriter) -> None:
    """Write the lists that say what a site is; most others say whose it is, and are only taken from."""
    for name in lists.names():
        if name.startswith(_SAYS_WHAT) or words.for_list_category(DOMAIN_LISTS_FORMAT, name):
            writer.write(name, NAMES, lists.keys(name))


def _with_short_names(sections: list[Section], source_name: str) -> tuple[Section, ...]:
    """Name categories by their folders, without the part of the path that they all lie below."""
    folders = {section.category for section in sections}
    parents = [PurePosixPath("/", folder).parent.as_posix() for folder in folders]
    root = os.path.commonpath(parents) if parents else "/"
    names = {folder: PurePosixPath("/", folder).relative_to(root).as_posix() for folder in folders}
    return tuple(
        replace(section, category=source_name if name == "." else name)
        for section in sections
        for name in (names[section.category],)
    )
