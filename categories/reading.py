"""One edition of a list: its files read, their format found out, their entries written down."""

import os
import re
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path, PurePosixPath

from categories.entries import EntriesWriter, KeptSource, Section
from categories.list_files import ListFile, ListFileError, list_files
from categories.parsing import (
    Problems,
    domain_keys,
    hosts_file_keys,
    is_hosts_file,
    unused_lines,
    url_keys,
)
from categories.snapshot import NAMES, URLS
from categories.sources import Source, SourceError
from categories.taxonomy import TOWN_LIST, Taxonomy

LAYOUT_FORMAT = "ut1"
"""squidGuard's layout, with UT1's names of categories; the taxonomy maps them."""
PLAIN_FORMAT = "plain"
"""One file without categories: names, or a hosts file."""

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
    with EntriesWriter(target) as writer:
        try:
            for file in list_files(path, source.location):
                if _HTML.match(file.beginning()):
                    what = f"{file.path} in it" if file.name else "it"
                    raise SourceError(f"{source.location}: {what} looks like a web page, not a list")
                if not file.name:
                    list_format = PLAIN_FORMAT
                    category = category or words.for_list_category(LAYOUT_FORMAT, source.name) or TOWN_LIST
                _write_section(file, writer, problems)
                is_cut = is_cut or file.is_cut
        except ListFileError as error:
            raise SourceError(str(error)) from error
        sections = _with_short_names(writer.sections, source.name)
        kept = KeptSource(source.name, source.location, category, list_format, at, sections)
        writer.close(kept)
    unused = {
        section.category: words.why_left_out(list_format, section.category) or "no category of the town's"
        for section in sections
        if category is None and words.for_list_category(list_format, section.category) is None
    }
    return Edition(kept, problems, unused, is_cut)


def _write_section(file: ListFile, writer: EntriesWriter, problems: Problems) -> None:
    match file.name:
        case "domains":
            writer.write(file.folder, NAMES, domain_keys(file.blocks(), file.path, problems))
        case "urls":
            writer.write(file.folder, URLS, url_keys(file.lines(), file.path, problems))
        case "expressions":
            unused_lines(file.lines(), file.path, problems, "expressions are not used")
        case _:
            if is_hosts_file(file.beginning()):
                keys = hosts_file_keys(file.lines(), file.path, problems)
            else:
                keys = domain_keys(file.blocks(), file.path, problems)
            writer.write("", NAMES, keys)


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
