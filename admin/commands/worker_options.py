"""Options of the commands that run proxy workers."""

from collections.abc import Callable
from pathlib import Path

import click

_DRAIN_SECONDS = 600
_WORKER_MEMORY_MIB = 512


def worker_options[F: Callable[..., object]](command: F) -> F:
    """Add the options of the workers, from --workers to --drain-seconds."""
    for option in reversed(
        (
            click.option(
                "--workers", type=click.IntRange(1, 64), default=2, show_default=True, help="Proxy processes."
            ),
            click.option(
                "--hosts", type=Path, help="Names answered before DNS: lines NAME:PORT ADDRESS:PORT"
            ),
            click.option(
                "--connections", type=click.IntRange(1), help="Connections one address may have open (500)."
            ),
            click.option(
                "--lane/--no-lane",
                "has_lane",
                default=True,
                show_default=True,
                help="Carry allowed tunnels past mitmproxy's layers; the verdicts are the same without.",
            ),
            click.option(
                "--worker-memory",
                type=click.IntRange(1),
                default=_WORKER_MEMORY_MIB,
                show_default=True,
                help="A worker that holds more is replaced (MiB, without the lists, which all share).",
            ),
            click.option(
                "--drain-seconds",
                type=click.IntRange(0),
                default=_DRAIN_SECONDS,
                show_default=True,
                help="How long connections may go on in a worker that is replaced.",
            ),
        )
    ):
        command = option(command)
    return command
