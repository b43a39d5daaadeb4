"""Keeps the worker's mint up to date: `towngate ca rotate --switch` needs no restart."""

import logging
from contextlib import suppress
from pathlib import Path

from proxy_addons import certificate_authority, egress_metrics
from proxy_addons.certificate_authority import (
    KEY_AND_CERTIFICATE,
    NEXT,
    PREVIOUS,
    Authority,
    CertificateAuthorityError,
)
from proxy_addons.leaf_certificates import LeafMint
from proxy_addons.origin_certificate import public_key

logger = logging.getLogger(__name__)


class AuthorityWatch:
    """Holds the mint of the authority in force. One that cannot be used is refused; the old one stays.

    Raises CertificateAuthorityError when there is none to begin with.
    """

    def __init__(self, folder: Path, town_name: str) -> None:
        self._folder = folder
        self._use(certificate_authority.ensure(folder, town_name))
        self._stamps = self._seen()

    @property
    def own_keys(self) -> frozenset[bytes]:
        """The public keys (DER) of the CAs that Towngate signs with: they vouch for nothing outside."""
        return self._own_keys

    @property
    def has_next(self) -> bool:
        """Whether the authority that comes next is made, and can be read."""
        return self._has_next

    def look(self) -> None:
        """Take another authority into use, if one has been put there."""
        stamps = self._seen()
        if stamps == self._stamps:
            return
        self._stamps = stamps
        try:
            authority = certificate_authority.in_force(self._folder)
        except CertificateAuthorityError as error:
            logger.error("certificate authority refused, the one in force stays: %s", error)
            return
        if authority.certificates == self.mint.authority.certificates:
            # Another one was made beside it, or has gone.
            self._read_others(authority)
            return
        self._use(authority)
        logger.info("certificate authority in force: ends=%s", authority.ends_at.isoformat())

    def _use(self, authority: Authority) -> None:
        egress_metrics.CA_EXPIRES.set(authority.ends_at.timestamp())
        self.mint = LeafMint(authority)
        self._read_others(authority)

    def _read_others(self, authority: Authority) -> None:
        """Take up the keys of the authority in force, and of the next and the one before."""
        others = {}
        for name in (NEXT, PREVIOUS):
            with suppress(CertificateAuthorityError):
                others[name] = certificate_authority.read(self._folder / name)
        self._has_next = NEXT in others
        self._own_keys = frozenset(public_key(one.certificate) for one in (authority, *others.values()))

    def _seen(self) -> tuple[tuple[int, int] | None, ...]:
        return tuple(_stamp(self._folder / name) for name in (KEY_AND_CERTIFICATE, NEXT, PREVIOUS))


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_mtime_ns, found.st_ino
