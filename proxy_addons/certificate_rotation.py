"""`python -m proxy_addons.certificate_rotation`: from one certificate authority to the next.

`towngate ca rotate` and `towngate ca status` run it, since admin cannot read the CA's key. The next CA
is not signed by the present one: that may sign leaves only (path length 0), and a key that may have
been read must vouch for nothing. Workstations trust both for as long as the roll-out takes.
"""

import argparse
import json
import re
import sys
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

from policy.worker_facts import CA_WARNED_BEFORE
from proxy_addons.certificate_authority import (
    KEY_AND_CERTIFICATE,
    NEXT,
    NEXT_CERTIFICATE,
    PREVIOUS,
    CertificateAuthorityError,
    in_force,
    make,
    publish,
    read,
    usable,
    write,
)

_DATED = re.compile(r" \d{4}-\d{2}$")


def prepare(folder: Path) -> str:
    """Make the next authority, and publish its certificate; return what to do now.

    Raises CertificateAuthorityError where there is one already, or an intermediate is in use.
    """
    present = read(folder / KEY_AND_CERTIFICATE)
    if present.certificate.issuer != present.certificate.subject:
        raise CertificateAuthorityError(
            f"{folder / KEY_AND_CERTIFICATE}: an intermediate, which the town's own CA signs; have it sign "
            "the next one, and put that in its place"
        )
    if (folder / NEXT).exists():
        raise CertificateAuthorityError(f"{folder / NEXT}: there already; roll it out, then switch to it")
    undated = _DATED.sub("", _name(present.certificate))
    # RFC 5280 bounds a common name to 64 characters.
    make(folder / NEXT, f"{undated[:56]} {datetime.now(UTC):%Y-%m}")
    publish(folder / NEXT_CERTIFICATE, read(folder / NEXT))
    return (
        "The next CA is made. Roll its certificate out beside the present one "
        "(towngate ca export --only next), then run towngate ca rotate --switch."
    )


def switch(folder: Path) -> str:
    """Put the next authority into use; the present one is kept for the way back."""
    _exchange(folder, taken=folder / NEXT, kept=folder / PREVIOUS)
    (folder / NEXT_CERTIFICATE).unlink(missing_ok=True)
    return "The next CA is in force, in every worker within seconds. The way back: towngate ca rotate --back."


def back(folder: Path) -> str:
    """Put the authority of before into use again; the present one becomes the next."""
    _exchange(folder, taken=folder / PREVIOUS, kept=folder / NEXT)
    publish(folder / NEXT_CERTIFICATE, read(folder / NEXT))
    return "The CA of before is in force again, in every worker within seconds."


@dataclass(frozen=True, slots=True)
class Standing:
    """An authority and how it stands: `in force`, `next` or `before`. `ends_at` is aware UTC.

    `sha256` is the fingerprint of what workstations must trust for it.
    """

    standing: str
    name: str
    ends_at: datetime
    sha256: str

    @property
    def ends_soon(self) -> bool:
        """Whether it ends within 30 days, or has ended."""
        return self.ends_at - datetime.now(UTC) <= CA_WARNED_BEFORE


def status(folder: Path) -> list[Standing]:
    """Return the authorities there are, the one in force first."""
    places = (("in force", KEY_AND_CERTIFICATE), ("next", NEXT), ("before", PREVIOUS))
    return [
        Standing(
            standing,
            _name(authority.certificate),
            authority.ends_at,
            authority.anchor.fingerprint(hashes.SHA256()).hex(":").upper(),
        )
        for standing, name in places
        if standing == "in force" or (folder / name).exists()
        for authority in [read(folder / name)]
    ]


def _said(standings: list[Standing], *, as_json: bool) -> str:
    if as_json:
        return "\n".join(
            json.dumps({**asdict(found), "ends_at": found.ends_at.isoformat()}) for found in standings
        )
    lines = [
        f"{found.standing:<8}  {found.name}  ends {found.ends_at:%Y-%m-%d}  SHA-256 {found.sha256}"
        for found in standings
    ]
    warning = ["It ends soon: run towngate ca rotate, and roll the next one out."]
    return "\n".join(lines + (warning if standings[0].ends_soon else []))


def _exchange(folder: Path, *, taken: Path, kept: Path) -> None:
    """Put one authority into use and keep the present one, in an order that may be cut off anywhere.

    1. the one to take is read and judged
    2. the present one is copied to where it is kept
    3. the other takes its place, in one step
    4. its certificate is published
    """
    if not taken.exists():
        raise CertificateAuthorityError(f"{taken}: there is none; towngate ca status says what there is")
    usable(taken)
    write(kept, (folder / KEY_AND_CERTIFICATE).read_bytes(), mode=0o600)
    taken.replace(folder / KEY_AND_CERTIFICATE)
    in_force(folder)


def _name(certificate: x509.Certificate) -> str:
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else certificate.subject.rfc4514_string()


def main() -> None:
    """Do what is asked, and say so. Exit code 1 when the CA ends soon, 2 when it could not be done."""
    parser = argparse.ArgumentParser(prog="python -m proxy_addons.certificate_rotation", description=__doc__)
    parser.add_argument("action", choices=["prepare", "switch", "back", "status"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    is_well = True
    try:
        match arguments.action:
            case "status":
                standings = status(arguments.folder)
                said, is_well = _said(standings, as_json=arguments.json), not standings[0].ends_soon
            case "prepare":
                said = prepare(arguments.folder)
            case "switch":
                said = switch(arguments.folder)
            case _:
                said = back(arguments.folder)
    except (CertificateAuthorityError, OSError) as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    print(said)
    sys.exit(0 if is_well else 1)


if __name__ == "__main__":
    main()
