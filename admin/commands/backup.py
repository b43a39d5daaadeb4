"""`towngate backup` and `towngate restore`: all that a town remembers, in a folder."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.filesize import decimal

from admin.backup import BackupError, make_backup
from admin.command import CommandError
from admin.commands.acting import actor
from admin.commands.policy import published_policy
from admin.restoring import RestoreError
from admin.restoring import restore as restore_backup
from admin.state_folder import StateFolder

_state_option = click.option(
    "--state", type=Path, default=Path("var"), show_default=True, help="State folder."
)


@click.command(epilog="Example: towngate backup /srv/backups/towngate-$(date +%F) --state /var/lib/towngate")
@click.argument("folder", type=Path)
@_state_option
def backup(*, folder: Path, state: Path) -> None:
    """Back the town up to a new folder, while it runs or not.

    Database, policy, settings, secrets, lists and visits on their way, each with its digest; the key of the
    town's CA only if you can read it. Keep the folder as safe as the gate itself.
    """
    source = StateFolder(state.resolve())
    published = published_policy(source)
    town = published.policy.town.name if published else ""
    try:
        made = asyncio.run(
            make_backup(source, folder.absolute(), town=town, actor=actor(), at=datetime.now(UTC))
        )
    except BackupError as error:
        raise CommandError(str(error)) from error
    files = made.manifest.files
    click.echo(f"{len(files):,} files, {decimal(made.manifest.size_bytes)}, in {folder}.")
    if made.has_ca_key:
        click.echo(
            "The key of the town's CA is among them: whoever has it can pass for any site. Encrypt it."
        )
    else:
        click.echo(
            "Without the key of the town's CA, which you cannot read or which is not there yet: back up as"
            " root, or copy proxy/ca/ apart. Without it a restored town needs a new CA on every workstation."
        )
    for path in made.left_out:
        click.echo(f"Not in it, since it lies elsewhere: {path}, a secret that settings.yaml names.")


@click.command(epilog="Example: towngate restore /srv/backups/towngate-2026-03-02 --state /var/lib/towngate")
@click.argument("folder", type=Path)
@_state_option
@click.option("--replace", is_flag=True, help="Move a town that is there aside.")
def restore(*, folder: Path, state: Path, replace: bool) -> None:
    """Restore a town from a backup. It must not run.

    Every file's digest and the audit log are checked first; with a problem in them nothing is changed.
    """
    target = StateFolder(state.resolve())
    try:
        done = asyncio.run(
            restore_backup(folder.absolute(), target, replace=replace, actor=actor(), at=datetime.now(UTC))
        )
    except RestoreError as error:
        raise CommandError(str(error)) from error
    made_at = f"{done.manifest.made_at:%Y-%m-%d %H:%M} UTC"
    click.echo(f"{done.manifest.town or 'The town'} of {made_at} is restored in {target.root}.")
    click.echo(f"{len(done.manifest.files):,} files and {done.events:,} events of the audit log are whole.")
    if done.replaced is not None:
        click.echo(f"What was there before is in {done.replaced}; delete it when all is well.")
    if not done.has_ca:
        click.echo("Without the key of the town's CA: the next start makes a new one, to be rolled out.")
