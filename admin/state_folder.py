"""Where Towngate keeps what it must remember.

policy.yaml   the town's policy, edited by IT
proxy/        ca/ and spool/: the proxy's user only (spool/ shared with admin by its group)
admin/        database and secrets: admin's user only
published/    snapshots: admin writes, the proxy reads
"""

import os
from dataclasses import dataclass
from pathlib import Path

from policy import state_names


class StateFolderError(Exception):
    """The state folder cannot be used; nothing was started."""


@dataclass(frozen=True, slots=True)
class StateFolder:
    """The paths below one state folder."""

    root: Path

    @property
    def policy_document(self) -> Path:
        """The policy as IT writes it (YAML)."""
        return self.root / "policy.yaml"

    @property
    def proxy(self) -> Path:
        """All that is the proxy's own."""
        return self.root / "proxy"

    @property
    def ca(self) -> Path:
        """The certificate authority: key and certificate."""
        return self.root / state_names.CA

    @property
    def spool(self) -> Path:
        """Visit records on their way to the database."""
        return self.root / state_names.SPOOL

    @property
    def metrics(self) -> Path:
        """The workers' metric values, one file a process."""
        return self.root / state_names.METRICS

    @property
    def admin(self) -> Path:
        """All that is admin's own."""
        return self.root / "admin"

    @property
    def database(self) -> Path:
        """The SQLite database."""
        return self.admin / "towngate.db"

    @property
    def category_sources(self) -> Path:
        """The last good entries of every category source."""
        return self.admin / "category-sources"

    @property
    def published(self) -> Path:
        """What admin publishes for the proxy to read."""
        return self.root / "published"

    @property
    def policy_snapshot(self) -> Path:
        """The policy snapshot (`policy.snapshot`)."""
        return self.root / state_names.POLICY_SNAPSHOT

    @property
    def ask_token_key(self) -> Path:
        """The key that signs ask tokens: 32 random bytes."""
        return self.root / state_names.ASK_TOKEN_KEY

    @property
    def categories(self) -> Path:
        """Category snapshots, a folder each, and the pointer to the current one."""
        return self.root / state_names.CATEGORIES

    def create(self) -> None:
        """Make every folder, with its rights.

        Raises StateFolderError when one cannot be made or written to.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            for folder, mode in (
                (self.proxy, 0o710),
                (self.ca, 0o700),
                (self.spool, 0o2770),
                (self.metrics, 0o750),
                (self.admin, 0o700),
                (self.published, 0o750),
                (self.categories, 0o750),
            ):
                if not folder.exists():
                    folder.mkdir()
                    folder.chmod(mode)
                if not os.access(folder, os.W_OK | os.X_OK):
                    raise StateFolderError(f"{folder}: cannot be written to; check its owner and rights")
        except OSError as error:
            raise StateFolderError(
                f"{error.filename}: {error.strerror}; choose another with --state, or change its rights"
            ) from error
