"""The town that Towngate is measured with: policy and category lists as they are in production."""

import os
import shutil
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from admin.state_folder import StateFolder
from categories.entries import EntriesFile
from categories.publishing import publish
from categories.reading import read_edition
from categories.snapshot import CategorySnapshot
from categories.sources import Source, starter_source
from categories.taxonomy import taxonomy
from tests.published_town import PublishedTown
from tests.towns import DOCUMENT

BLOCKED = "pokerstars.com"
"""A site that both lists know and the policy blocks."""

_POLICY = DOCUMENT.replace(
    "rules:\n", "rules:\n  - {id: inner-pages, categories: [hate], action: block, inspect: urls}\n"
)


def publish_town(
    folder: Path, admin_url: str, opened: Iterable[str], origin_roots: Path
) -> tuple[StateFolder, str]:
    """Publish a town in `folder`; returns its state folder and what its category lists are.

    The lists are the real UT1 edition where TOWNGATE_TEST_DATA names the folder of its archive,
    otherwise the starter list; and a small one with a URL of each of the sites `opened`, which has them
    looked into. Origin servers are trusted by `origin_roots`. Something must listen at `admin_url`, as
    admin does.
    """
    state = PublishedTown(folder / "state", admin_url, _POLICY).state
    shutil.copyfile(origin_roots, state.extra_roots)
    data = os.environ.get("TOWNGATE_TEST_DATA")
    source = starter_source() if data is None else Source("ut1", str(Path(data, "ut1.tar.xz")))
    pages = folder / "pages" / "agressif"
    pages.mkdir(parents=True)
    (pages / "urls").write_text("".join(f"{site}/never\n" for site in opened))
    now = datetime.now(UTC)
    read = []
    for each in (source, Source("pages", str(pages.parent))):
        path = folder / f"{each.name}.entries"
        read_edition(each, path, taxonomy(), now)
        read.append(EntriesFile(path))
    about = f"{read[0].source.count:,} entries of {source.name}"
    snapshot: CategorySnapshot = publish(state.categories, read, now)
    snapshot.close()
    for entries in read:
        entries.close()
    return state, about
