"""The town that Towngate is measured with: policy and category lists as they are in production."""

import os
import shutil
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from categories.entries import EntriesFile
from categories.publishing import publish
from categories.reading import read_edition
from categories.sources import Source, starter_source
from categories.taxonomy import taxonomy
from tests.published_town import PublishedTown
from tests.towns import DOCUMENT

BLOCKED = "pokerstars.com"
"""A site that both lists know and the policy blocks."""

POLICY = DOCUMENT.replace(
    "rules:\n", "rules:\n  - {id: inner-pages, categories: [hate], action: block, inspect: urls}\n"
)


def publish_town(
    folder: Path, admin_url: str, opened: Iterable[str], origin_roots: Path
) -> tuple[PublishedTown, Sequence[Path], str]:
    """Publish a town in `folder`; returns it, the entries of its lists, and what these are in words.

    The lists are the real UT1 edition where TOWNGATE_TEST_DATA names the folder of its archive,
    otherwise the starter list; and a small one with a URL of each of the sites `opened`, which has them
    looked into. Origin servers are trusted by `origin_roots`. Something must listen at `admin_url`, as
    admin does.
    """
    town = PublishedTown(folder / "state", admin_url, POLICY)
    shutil.copyfile(origin_roots, town.state.extra_roots)
    data = os.environ.get("TOWNGATE_TEST_DATA")
    source = starter_source() if data is None else Source("ut1", str(Path(data, "ut1.tar.xz")))
    pages = folder / "pages" / "agressif"
    pages.mkdir(parents=True)
    (pages / "urls").write_text("".join(f"{site}/never\n" for site in opened))
    now = datetime.now(UTC)
    paths = []
    for each in (source, Source("pages", str(pages.parent))):
        paths.append(folder / f"{each.name}.entries")
        read_edition(each, paths[-1], taxonomy(), now)
    with ExitStack() as stack:
        read = [stack.enter_context(EntriesFile(path)) for path in paths]
        publish(town.state.categories, read, now).close()
        return town, paths, f"{read[0].source.count:,} entries of {source.name}"
