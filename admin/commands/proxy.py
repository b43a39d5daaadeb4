"""`towngate proxy`: the proxy's workers and the metrics listener, without the admin site."""

import asyncio
from pathlib import Path

import click

from admin.command import CommandError
from admin.commands.address import AddressType
from admin.commands.worker_options import worker_options
from admin.handover import taken
from admin.listening import Address
from admin.state_folder import Side, StateFolder, StateFolderError
from admin.supervisor import Parts, StartError, Supervisor
from admin.worker_figures import folder_in_memory
from policy.log_lines import configure_logging


@click.command(epilog="Example: towngate proxy --state /var/lib/towngate --proxy 10.0.0.5:8080")
@click.option("--state", type=Path, default=Path("var"), show_default=True, help="State folder.")
@click.option(
    "--proxy", "address", type=AddressType(), default="127.0.0.1:8080", show_default=True, help="Proxy."
)
@click.option(
    "--metrics", type=AddressType(), default="127.0.0.1:9464", show_default=True, help="For Prometheus."
)
@worker_options
def proxy(
    *,
    state: Path,
    address: Address,
    metrics: Address,
    workers: int,
    hosts: Path | None,
    connections: int | None,
    has_lane: bool,
    worker_memory: int,
    drain_seconds: int,
) -> None:
    """Run the proxy with what has been published in the state folder, until SIGTERM or Ctrl-C."""
    configure_logging("supervisor")
    folder = StateFolder(state.resolve())
    parts = Parts(
        folder,
        address,
        metrics,
        None,
        workers,
        worker_memory << 20,
        drain_seconds,
        hosts,
        has_lane=has_lane,
        connections=connections,
        figures=folder_in_memory(folder),
    )
    handover = taken()
    try:
        if not folder.policy_snapshot.exists():
            raise StateFolderError(
                f"{folder.root}: no policy has been published here; "
                "start `towngate admin` with this state folder first"
            )
        if handover is None:
            folder.create(Side.PROXY)
        asyncio.run(Supervisor(parts, handover).run(lambda: click.echo("ready")))
    except (StateFolderError, StartError) as error:
        raise CommandError(str(error)) from error
