"""The option of the commands that run proxy workers: whether tunnels have a lane of their own."""

import click

lane_option = click.option(
    "--lane/--no-lane",
    "has_lane",
    default=True,
    show_default=True,
    help="Carry allowed tunnels past mitmproxy's layers; the verdicts are the same without.",
)
