"""The command `towngate`: subcommands are found by name and imported only when called."""

import importlib
import sys
from typing import cast

import click

# name -> (module:function, one line of help). A proxy host has no web framework and an admin host
# no mitmproxy, so nothing of a subcommand is imported before it is called.
_SUBCOMMANDS = {
    "run": ("admin.commands.run:run", "Run proxy, admin site and metrics listener on this machine."),
    "proxy": ("admin.commands.proxy:proxy", "Run the proxy alone, with what was published."),
    "admin": ("admin.commands.admin:admin", "Run the admin site alone."),
    "restart": ("admin.commands.restart:restart", "Replace every process of what runs, one by one."),
    "categories": ("admin.commands.categories:categories", "Keep the category lists up to date and right."),
    "policy": (
        "admin.commands.policy:policy",
        "Check a policy document, put it in force, show that in force.",
    ),
    "explain": ("admin.commands.explain:explain", "Say what the proxy would do with a visit, and why."),
    "visits": ("admin.commands.visits:visits", "Show the visit log."),
    "why": ("admin.commands.why:why", "Say why a visit was decided as it was."),
    "lockdown": ("admin.commands.emergency:lockdown", "Limit the web to what must go on."),
    "device": ("admin.commands.emergency:device", "Take a device off the web, or let it back."),
    "filter": ("admin.commands.emergency:filter_", "Switch the filter off for a while."),
    "never-inspect": (
        "admin.commands.never_inspect:never_inspect",
        "Say which sites are not opened, whatever a rule says.",
    ),
    "notice": ("admin.commands.notice:notice", "Show how the notice stands, and who accepted it."),
    "audit": ("admin.commands.audit:audit", "Check the log of what people decided."),
    "backup": ("admin.commands.backup:backup", "Back the town up to a new folder."),
    "restore": ("admin.commands.backup:restore", "Restore a town from a backup."),
    "ca": ("admin.commands.ca:ca", "Hand out the town's certificate, and make the next."),
    "password": ("admin.commands.password:password", "Set people's passwords."),
    "people": ("admin.commands.people:people", "Take people from a file, close who leaves."),
}


class Group(click.Group):
    """Commands whose help is a whole sentence each in the list of them; click cuts what is over a line."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, self.line_of(ctx, name)) for name in self.list_commands(ctx)])

    def line_of(self, ctx: click.Context, name: str) -> str:
        """Return what the list of commands says of one of them."""
        command = self.get_command(ctx, name)
        return command.get_short_help_str(limit=200) if command is not None else ""


class _LazyGroup(Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_SUBCOMMANDS)

    def line_of(self, ctx: click.Context, name: str) -> str:
        return _SUBCOMMANDS[name][1]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _SUBCOMMANDS:
            return None
        module, _, name = _SUBCOMMANDS[cmd_name][0].partition(":")
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
