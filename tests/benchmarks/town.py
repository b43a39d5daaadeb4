"""The town that Towngate is measured with: policy and category lists as they are in production."""

import os
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

BLOCKED = "pokerstars.com"
"""A site that both lists know and the policy blocks."""


def publish_town(folder: Path, admin_url: str) -> tuple[StateFolder, str]:
    """Publish a town in `folder`; returns its state folder and what its category lists are.

    The lists are the real UT1 edition where TOWNGATE_TEST_DATA names the folder of its archive,
    otherwise the starter list. Something must listen at `admin_url`, as admin does.
    """
    state = PublishedTown(folder / "state", admin_url).state
    data = os.environ.get("TOWNGATE_TEST_DATA")
    source = starter_source() if data is None else Source("ut1", str(Path(data, "ut1.tar.xz")))
    now = datetime.now(UTC)
    path = folder / "list.entries"
    read_edition(source, path, taxonomy(), now)
    entries = EntriesFile(path)
    snapshot: CategorySnapshot = publish(state.categories, [entries], now)
    about = f"{len(snapshot):,} entries of {source.name}"
    snapshot.close()
    entries.close()
    return state, about
