"""The command `towngate`: subcommands are found by name and imported only when called."""

import importlib
import sys
from typing import cast

import click

# name -> (module:function, one line of help). A proxy host has no web framework and an admin host
# no mitmproxy, so nothing of a subcommand is imported before it is called.
_SUBCOMMANDS = {
    "run": "admin.commands.run:run",
    "proxy": "admin.commands.proxy:proxy",
    "admin": "admin.commands.admin:admin",
    "restart": "admin.commands.restart:restart",
    "categories": "admin.commands.categories:categories",
    "policy": "admin.commands.policy:policy",
    "explain": "admin.commands.explain:explain",
    "visits": "admin.commands.visits:visits",
    "why": "admin.commands.why:why",
    "lockdown": "admin.commands.emergency:lockdown",
    "device": "admin.commands.emergency:device",
    "filter": "admin.commands.emergency:filter_",
    "never-inspect": "admin.commands.never_inspect:never_inspect",
    "notice": "admin.commands.notice:notice",
    "audit": "admin.commands.audit:audit",
    "backup": "admin.commands.backup:backup",
    "restore": "admin.commands.backup:restore",
    "ca": "admin.commands.ca:ca",
    "password": "admin.commands.password:password",
    "people": "admin.commands.people:people",
}


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_SUBCOMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        target = _SUBCOMMANDS.get(cmd_name)
        if target is None:
            return None
        module, _, name = target.partition(":")
        return cast(click.Command, getattr(importlib.import_module(module), name))


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="towngate")
def cli() -> None:
    """Towngate, a town's gate to the web.

    Exit codes: 0 done, 1 the thing checked has problems, 2 it could not be done.
    """


class CommandError(click.ClickException):
    """A command could not do what was asked: one line says why and what to do. Exit code 2."""

    exit_code = 2


def main() -> None:
    """Run the command line."""
    sys.exit(cli())


if __name__ == "__main__":
    main()
