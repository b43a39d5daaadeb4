"""A state folder as admin leaves it: policy, categories and key published, nothing running."""

import tempfile
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from admin.atomic_file import write_atomically
from admin.measures import InForce
from admin.state_folder import StateFolder
from categories.entries import EntriesFile, EntriesWriter, KeptSource
from categories.entry_key import host_key, url_key
from categories.first_visits import FirstVisits
from categories.publishing import publish
from categories.taxonomy import taxonomy
from policy.correction import Correction
from policy.document import load_document
from policy.snapshot import PolicySnapshot
from policy.state import Exemption
from policy.town_policy import Policy
from policy.visit_record import VisitRecord
from tests.towns import DOCUMENT

CATEGORIES: Mapping[str, Iterable[str]] = {
    "gambling": ["cardroom.example", "pokerstars.com"],
    "phishing": ["phish.example"],
    "shopping": ["shop.example"],
    "press": ["news.example"],
    "streaming": ["video.example"],
}


def policy_of(document: str) -> Policy:
    """Return the policy that a document means."""
    return load_document(document, taxonomy()).policy


def publish_lists(
    state: StateFolder,
    names: Mapping[str, Iterable[str]],
    urls: Mapping[str, Iterable[tuple[str, str]]] | None,
) -> str:
    """Publish a category snapshot in a state folder, as `PublishedTown.publish_categories` does."""
    now = datetime.now(UTC)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "test.zip"
        writer = EntriesWriter(path)
        for category, hosts in names.items():
            writer.write(category, "names", sorted(host_key(host) for host in hosts))
        for category, pages in (urls or {}).items():
            writer.write(category, "urls", sorted(url_key(host, path) for host, path in pages))
        writer.close(KeptSource("test", "made up", None, "towngate", now, tuple(writer.sections)))
        entries = EntriesFile(path)
        snapshot = publish(state.categories, [entries], now)
        snapshot.close()
        entries.close()
        return snapshot.version


def unpublished_town(root: Path) -> StateFolder:
    """Make a state folder with categories and a document; no policy was published."""
    state = PublishedTown(root).state
    state.policy_snapshot.unlink()
    state.policy_document.write_text(DOCUMENT)
    return state


class PublishedTown:
    """Writes what admin would publish, and reads what the proxy spools."""

    def __init__(self, root: Path, admin_url: str = "http://127.0.0.1:9", document: str = DOCUMENT) -> None:
        self.state = StateFolder(root)
        self.state.create()
        self.admin_url = admin_url
        self.ask_key = b"k" * 32
        self.sequence = 0
        """Of the policy snapshot published last."""
        write_atomically(self.state.ask_token_key, self.ask_key)
        self.publish_categories(CATEGORIES)
        self.publish_policy(document)

    def publish_policy(
        self,
        policy: str | Policy = DOCUMENT,
        exemptions: Iterable[Exemption] = (),
        proxy_passwords: Mapping[str, str] | None = None,
        *,
        emergency: InForce | None = None,
        corrections: Iterable[Correction] = (),
        never_inspect: Iterable[str] = (),
        ended_visits: Iterable[str] = (),
    ) -> None:
        """Publish a policy snapshot; `policy` may be a document."""
        emergency = emergency or InForce()
        self.sequence += 1
        snapshot = PolicySnapshot(
            self.sequence,
            datetime.now(UTC),
            policy_of(policy) if isinstance(policy, str) else policy,
            self.admin_url,
            tuple(exemptions),
            proxy_passwords or {},
            corrections=tuple(corrections),
            lockdowns=emergency.lockdowns,
            devices_off=emergency.devices_off,
            filter_off=emergency.filter_off,
            never_inspect=tuple(never_inspect),
            ended_visits=tuple(ended_visits),
        )
        write_atomically(self.state.policy_snapshot, snapshot.to_bytes())

    def publish_first_visits(self, first_visits: Mapping[str, datetime]) -> None:
        """Publish when sites were first visited."""
        found = FirstVisits.of(first_visits, datetime.now(UTC))
        write_atomically(self.state.first_visits, found.to_bytes())

    def publish_categories(
        self, names: Mapping[str, Iterable[str]], urls: Mapping[str, Iterable[tuple[str, str]]] | None = None
    ) -> str:
        """Publish a category snapshot of one source called "test"; return its version.

        `names` are hosts by category, `urls` pairs of host and path.
        """
        return publish_lists(self.state, names, urls)

    def spooled(self, since: Mapping[Path, int] | None = None) -> list[VisitRecord]:
        """Return every visit record on disk, in the order written; only those `since` some sizes."""
        return [
            VisitRecord.from_line(line)
            for segment in self._segments()
            for line in segment.read_bytes()[(since or {}).get(segment, 0) :].splitlines(keepends=True)
            # One that is being written is not there yet.
            if line.endswith(b"\n")
        ]

    def spool_sizes(self) -> dict[Path, int]:
        """Return how long each segment of the spool is now."""
        return {segment: segment.stat().st_size for segment in self._segments()}

    def _segments(self) -> list[Path]:
        return sorted(self.state.spool.glob("*.visits"))
