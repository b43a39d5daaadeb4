"""How the admin site is reached: the options that `towngate run` and `towngate admin` share."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import click

from admin.command import CommandError
from admin.commands.address import AddressType
from admin.listening import Address

_LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True, slots=True)
class Site:
    """Where the admin site listens, under which URL people reach it, and its certificate."""

    address: Address
    url: str
    tls_cert: Path | None
    tls_key: Path | None

    @classmethod
    def checked(
        cls, address: Address, admin_url: str | None, tls_cert: Path | None, tls_key: Path | None
    ) -> "Site":
        """Return the site. Raises CommandError when passwords would cross a network in the clear."""
        if (tls_cert is None) != (tls_key is None):
            raise CommandError("--tls-cert and --tls-key belong together: give both or none")
        for path in (tls_cert, tls_key):
            if path is not None and not path.is_file():
                raise CommandError(f"{path}: no such file; it holds the admin site's certificate or key")
        if tls_cert is None and not is_loopback(address.host):
            raise CommandError(
                f"the admin site speaks plain HTTP on loopback only, and {address} is not; "
                "give --tls-cert and --tls-key, or put a TLS server in front of 127.0.0.1"
            )
        url = admin_url or f"http{'s' if tls_cert else ''}://{address}"
        return cls(address, _origin(url), tls_cert, tls_key)

    def arguments(self) -> tuple[str, ...]:
        """Return the same as words of a command line."""
        tls = ("--tls-cert", str(self.tls_cert), "--tls-key", str(self.tls_key)) if self.tls_cert else ()
        return ("--admin", str(self.address), "--admin-url", self.url, *tls)


def is_loopback(host: str | None) -> bool:
    """Whether only this machine reaches what listens on a host of this name."""
    return host in _LOOPBACK


def _origin(url: str) -> str:
    """Return a URL as an origin. Raises CommandError when it is not one: links would lead nowhere."""
    parts = urlsplit(url)
    try:
        is_origin = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        is_origin = False
    if not is_origin or parts.path not in ("", "/") or parts.query or parts.fragment or parts.username:
        raise CommandError(f"--admin-url: {url!r} is not like https://webaccess.town.example")
    return f"{parts.scheme}://{parts.netloc}".lower()


def site_options[F: Callable[..., object]](command: F) -> F:
    """Add the options --admin, --admin-url, --tls-cert and --tls-key."""
    for option in reversed(
        (
            click.option(
                *("--admin", "address"),
                type=AddressType(),
                default="127.0.0.1:8000",
                show_default=True,
                help="Where the admin site listens.",
            ),
            click.option("--admin-url", help="The site as people reach it.  [default: made from --admin]"),
            click.option(
                "--tls-cert", type=Path, help="Its certificate chain (PEM); without, only loopback is served."
            ),
            click.option("--tls-key", type=Path, help="Its key (PEM)."),
        )
    ):
        command = option(command)
    return command
