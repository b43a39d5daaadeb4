"""`towngate ca`: the town's certificate authority, as workstations get it, and the next one."""

import hashlib
import ssl
import subprocess
import sys
from pathlib import Path

import click

from admin.command import CommandError, Group
from admin.state_folder import StateFolder

_FILES = {"present": "town-ca.pem", "next": "town-ca-next.pem"}
_SAID = {"present": "the town's certificate", "next": "the next certificate"}
_MADE_BY = {"present": "the proxy makes it when it starts", "next": "towngate ca rotate makes it"}
_state = click.option("--state", type=Path, default=Path("var"), show_default=True, help="State folder.")


@click.group(cls=Group)
def ca() -> None:
    """Hand out the certificate that workstations must trust, and go on to the next."""


@ca.command(epilog="Example: towngate ca export --state /var/lib/towngate > town-ca.pem")
@_state
@click.option(
    *("--format", "form"),
    type=click.Choice(["pem", "der"]),
    default="pem",
    show_default=True,
    help="PEM is text; DER is what some stores want.",
)
@click.option("--only", type=click.Choice(list(_FILES)), help="One of two, while the next is rolled out.")
def export(*, state: Path, form: str, only: str | None) -> None:
    """Write the town's certificate, never its key, to standard output; its fingerprint to the other.

    While the next one is rolled out these are two: workstations must trust both. The browser shows the
    same fingerprint on a block page over https.
    """
    folder = StateFolder(state).ca
    both = only is None and (folder / _FILES["next"]).exists()
    if both and form == "der":
        raise CommandError("DER holds one certificate, and there are two: say --only present or --only next")
    ders = {which: _read(folder, which) for which in (_FILES if both else [only or "present"])}
    for which, der in ders.items():
        digest = hashlib.sha256(der).hexdigest().upper()
        fingerprint = ":".join(digest[i : i + 2] for i in range(0, len(digest), 2))
        click.echo(f"Fingerprint of {_SAID[which]}, SHA-256 {fingerprint}", err=True)
        click.echo(ssl.DER_cert_to_PEM_cert(der) if form == "pem" else der, nl=False)


@ca.command(epilog="Example: towngate ca rotate --switch --state /var/lib/towngate")
@_state
@click.option("--switch", "action", flag_value="switch", help="Use the next CA now; keep the present one.")
@click.option("--back", "action", flag_value="back", help="Use the CA of before the switch again.")
def rotate(*, state: Path, action: str | None) -> None:
    """Make the next CA, to be rolled out while the present one is in use; then switch to it.

    Run it as root or as the proxy's user. Workers take a switch up without a restart.
    """
    _run(action or "prepare", state)


@ca.command(epilog="Example: towngate ca status --state /var/lib/towngate")
@_state
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def status(*, state: Path, as_json: bool) -> None:
    """Say which CA is in force and when it ends, and which others there are.

    Exit code 1 in its last 30 days. Run it as root or as the proxy's user.
    """
    _run("status", state, *(["--json"] if as_json else []))


def _read(folder: Path, which: str) -> bytes:
    path = folder / _FILES[which]
    try:
        return ssl.PEM_cert_to_DER_cert(path.read_text("ascii"))
    except FileNotFoundError as error:
        raise CommandError(f"{path}: not there yet; {_MADE_BY[which]}") from error
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}; run this as root or as the proxy's user") from error
    except ValueError as error:
        raise CommandError(f"{path}: is no certificate; restart the proxy, which writes it anew") from error


def _run(action: str, state: Path, *options: str) -> None:
    """Have the proxy's side do it: admin's knows nothing of the CA's key."""
    folder = StateFolder(state).ca
    command = [sys.executable, "-m", "proxy_addons.certificate_rotation", action, str(folder), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own
    if done.returncode not in (0, 1) or done.stderr:
        raise CommandError(done.stderr.strip().rpartition("\n")[2])
    click.echo(done.stdout, nl=False)
    sys.exit(done.returncode)
