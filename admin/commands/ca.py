"""`towngate ca`: the town's certificate authority, as workstations get it."""

import hashlib
import ssl
from pathlib import Path

import click

from admin.command import CommandError
from admin.state_folder import StateFolder


@click.group()
def ca() -> None:
    """Hand out the certificate that workstations must trust."""


@ca.command(epilog="Example: towngate ca export --state /var/lib/towngate > town-ca.pem")
@click.option("--state", type=Path, default=Path("var"), show_default=True, help="State folder.")
@click.option(
    *("--format", "form"),
    type=click.Choice(["pem", "der"]),
    default="pem",
    show_default=True,
    help="PEM is text; DER is what some stores want.",
)
def export(*, state: Path, form: str) -> None:
    """Write the town's certificate, never its key, to standard output; its fingerprint to the other.

    The browser shows the same fingerprint on a block page over https.
    """
    path = StateFolder(state).ca / "town-ca.pem"
    try:
        pem = path.read_text("ascii")
        der = ssl.PEM_cert_to_DER_cert(pem)
    except FileNotFoundError as error:
        raise CommandError(f"{path}: not there yet; the proxy makes it when it starts") from error
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}; run this as root or as the proxy's user") from error
    except ValueError as error:
        raise CommandError(f"{path}: is no certificate; restart the proxy, which writes it anew") from error
    digest = hashlib.sha256(der).hexdigest().upper()
    click.echo(f"SHA-256 {':'.join(digest[i : i + 2] for i in range(0, len(digest), 2))}", err=True)
    click.echo(ssl.DER_cert_to_PEM_cert(der) if form == "pem" else der, nl=False)
