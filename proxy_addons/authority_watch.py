"""Keeps the worker's mint up to date: `towngate ca rotate --switch` needs no restart."""

import logging
from pathlib import Path

from proxy_addons import certificate_authority, egress_metrics
from proxy_addons.certificate_authority import KEY_AND_CERTIFICATE, Authority, CertificateAuthorityError
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
        self._stamp = self._seen()

    @property
    def own_keys(self) -> frozenset[bytes]:
        """The public keys (DER) of the CAs that Towngate signs with: they vouch for nothing outside."""
        return self._own_keys

    def look(self) -> None:
        """Take another authority into use, if one has been put there."""
        stamp = self._seen()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            authority = certificate_authority.in_force(self._folder)
        except CertificateAuthorityError as error:
            logger.error("certificate authority refused, the one in force stays: %s", error)
            return
        self._use(authority)
        logger.info("certificate authority in force: ends=%s", authority.ends_at.isoformat())

    def _use(self, authority: Authority) -> None:
        egress_metrics.CA_EXPIRES.set(authority.ends_at.timestamp())
        self.mint = LeafMint(authority)
        self._own_keys = frozenset({public_key(authority.certificate)})

    def _seen(self) -> tuple[int, int] | None:
        try:
            found = (self._folder / KEY_AND_CERTIFICATE).stat()
        except FileNotFoundError:
            return None
        return found.st_mtime_ns, found.st_ino
