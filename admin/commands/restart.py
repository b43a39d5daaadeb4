"""`towngate restart`: new processes in the place of all that run, without a connection lost."""

from pathlib import Path

import click

from admin import restart_socket
from admin.command import CommandError
from admin.restart_socket import NobodyRunsError, RestartUnfinishedError
from admin.state_folder import StateFolder


@click.command(epilog="Example: towngate restart --state /var/lib/towngate")
@click.option("--state", type=Path, default=Path("var"), show_default=True, help="State folder.")
def restart(state: Path) -> None:
    """Replace every process of a running `towngate run` or `towngate proxy`, one by one.

    Also how a newer Towngate that has been installed over it is put to work. What cannot be replaced goes
    on as it was; then the exit code is 1. Options stay those that it was started with.
    """
    path = StateFolder(state.resolve()).restart_socket
    try:
        for went_well, text in restart_socket.ask(path):
            click.echo(text, err=not went_well)
    except NobodyRunsError as error:
        raise CommandError(
            f"{path}: {error}; no proxy runs with this state folder, or it is another user's: "
            "run this as that user or root"
        ) from error
    except RestartUnfinishedError as error:
        click.echo(f"Error: {error}", err=True)
        raise SystemExit(1) from error
