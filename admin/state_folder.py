"""Where Towngate keeps what it must remember.

policy.yaml   the town's policy, edited by IT
people.csv    people of the town, beside those that policy.yaml names
settings.yaml how this installation sends mail and tickets, edited by IT
proxy/        ca/, metrics/ and continued/: the proxy's user only; spool/: shared with admin by its group
admin/        database and secrets: admin's user only
published/    snapshots: admin writes, the proxy reads

Where proxy and admin run as users of their own, deploy/systemd/ makes these folders beforehand.
"""

import fcntl
import os
from dataclasses import dataclass
from enum import Flag, auto
from pathlib import Path

from policy import state_names


class StateFolderError(Exception):
    """The state folder cannot be used; nothing was started."""


class Side(Flag):
    """Who writes to a folder: the proxy, admin, or both."""

    PROXY = auto()
    ADMIN = auto()
    BOTH = PROXY | ADMIN


@dataclass(frozen=True, slots=True)
class StateFolder:
    """The paths below one state folder."""

    root: Path

    @property
    def policy_document(self) -> Path:
        """The policy as IT writes it (YAML)."""
        return self.root / "policy.yaml"

    @property
    def people_list(self) -> Path:
        """People beside those that the policy document names (CSV); it need not be there."""
        return self.root / "people.csv"

    @property
    def settings_document(self) -> Path:
        """How this installation reaches others (YAML); it need not be there."""
        return self.root / "settings.yaml"

    @property
    def proxy(self) -> Path:
        """All that is the proxy's own."""
        return self.root / "proxy"

    @property
    def ca(self) -> Path:
        """The certificate authority: key and certificate."""
        return self.root / state_names.CA

    @property
    def extra_roots(self) -> Path:
        """Certificate authorities of the town's own that origin servers are trusted by; there may be none."""
        return self.root / state_names.EXTRA_ROOTS

    @property
    def spool(self) -> Path:
        """Visit records on their way to the database."""
        return self.root / state_names.SPOOL

    @property
    def metrics(self) -> Path:
        """The workers' metric values, one file a process."""
        return self.root / state_names.METRICS

    @property
    def restart_socket(self) -> Path:
        """Where a running supervisor is asked to restart."""
        return self.proxy / "restart.sock"

    @property
    def admin(self) -> Path:
        """All that is admin's own."""
        return self.root / "admin"

    @property
    def database(self) -> Path:
        """The SQLite database."""
        return self.admin / "towngate.db"

    @property
    def audit_heads(self) -> Path:
        """The audit log's heads, unless the settings name another file."""
        return self.admin / "audit-heads"

    @property
    def reset_key(self) -> Path:
        """The key that signs links to set a password: 32 random bytes."""
        return self.admin / "reset-links.key"

    @property
    def visits(self) -> Path:
        """The visit log: a SQLite database for each month (`admin.visit_log`)."""
        return self.admin / "visits"

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
    def first_visits(self) -> Path:
        """When each site was first visited (`categories.first_visits`)."""
        return self.root / state_names.FIRST_VISITS

    @property
    def admin_metrics(self) -> Path:
        """What admin tells Prometheus, as text."""
        return self.published / "admin.prom"

    @property
    def ask_token_key(self) -> Path:
        """The key that signs ask tokens: 32 random bytes."""
        return self.root / state_names.ASK_TOKEN_KEY

    @property
    def categories(self) -> Path:
        """Category snapshots, a folder each, and the pointer to the current one."""
        return self.root / state_names.CATEGORIES

    def create(self, side: Side = Side.BOTH) -> None:
        """Make every folder that is missing, with its rights; `side` is what the caller runs.

        Raises StateFolderError when one cannot be made, or that side cannot write to one of its own.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            for folder, mode, _ in self._folders():
                if not folder.exists():
                    folder.mkdir()
                    folder.chmod(mode)
        except OSError as error:
            raise StateFolderError(
                f"{error.filename}: {error.strerror}; choose another with --state, or change its rights"
            ) from error
        self.check(side)

    def check(self, side: Side) -> None:
        """Raise StateFolderError when that side cannot write to one of its folders that is there."""
        for folder, _, writers in self._folders():
            if side & writers and folder.exists() and not os.access(folder, os.W_OK | os.X_OK):
                raise StateFolderError(f"{folder}: cannot be written to; check its owner and rights")

    def hold_proxy_lock(self, *, alone: bool = False) -> int:
        """Say that a proxy runs here, or with `alone` that none may; until the descriptor is closed.

        Raises BlockingIOError when a proxy runs and `alone` is asked for, or someone is alone.
        """
        descriptor = os.open(self.proxy / "proxy.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise
        return descriptor

    def _folders(self) -> tuple[tuple[Path, int, Side], ...]:
        return (
            (self.proxy, 0o710, Side.PROXY),
            (self.ca, 0o700, Side.PROXY),
            (self.spool, 0o2770, Side.BOTH),
            (self.metrics, 0o750, Side.PROXY),
            (self.admin, 0o700, Side.ADMIN),
            (self.published, 0o750, Side.ADMIN),
            (self.categories, 0o750, Side.ADMIN),
        )
