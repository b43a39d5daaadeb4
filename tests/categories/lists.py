"""Lists as files, and a snapshot made of them, for the tests of this folder."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from categories.entries import EntriesFile
from categories.publishing import publish
from categories.reading import read_edition
from categories.snapshot import CategorySnapshot
from categories.sources import Source
from categories.taxonomy import taxonomy

AT = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)


def write_layout(folder: Path, files: Mapping[str, str]) -> Path:
    """Write files in squidGuard's layout, by paths like "gambling/domains"."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def kept(source: Source, folder: Path) -> EntriesFile:
    """Read a source and open what would be kept of it."""
    path = folder / f"{source.name}.entries"
    read_edition(source, path, taxonomy(), AT)
    return EntriesFile(path)


def publish_lists(published: Path, lists: Mapping[str, Path], scratch: Path) -> CategorySnapshot:
    """Publish a snapshot of these lists, by the names of their sources."""
    published.mkdir(exist_ok=True)
    scratch.mkdir(exist_ok=True)
    files: Sequence[EntriesFile] = [kept(Source(name, str(path)), scratch) for name, path in lists.items()]
    try:
        return publish(published, files, AT)
    finally:
        for file in files:
            file.close()
