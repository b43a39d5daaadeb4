"""Options of the commands that run proxy workers."""

import click

lane_option = click.option(
    "--lane/--no-lane",
    "has_lane",
    default=True,
    show_default=True,
    help="Carry allowed tunnels past mitmproxy's layers; the verdicts are the same without.",
)

connections_option = click.option(
    "--connections", type=click.IntRange(1), help="Connections one address may have open (500)."
)
