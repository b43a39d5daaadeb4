"""The command line as others script it: help, examples, options and exit codes."""

from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from admin.command import cli

# They act, or print what is a document of its own.
_WITHOUT_JSON = {
    *("run", "proxy", "admin", "password set", "policy publish", "policy show"),
    *("backup", "restore", "restart", "ca export", "ca rotate"),
}


def _commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from _commands(command, (*path, name))
        else:
            yield " ".join((*path, name)), command


COMMANDS = dict(_commands(cli))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example_and_takes_a_state_folder(name: str) -> None:
    result = CliRunner().invoke(cli, [*name.split(), "--help"])
    assert result.exit_code == 0
    assert f"Example: towngate {name}" in result.output.replace("\n", " ")
    assert "--state" in result.output


@pytest.mark.parametrize("name", sorted(COMMANDS.keys() - _WITHOUT_JSON))
def test_a_command_that_prints_data_can_print_json(name: str) -> None:
    assert any("--json" in option.opts for option in COMMANDS[name].params)


def test_a_word_that_is_no_command_is_exit_code_2() -> None:
    result = CliRunner().invoke(cli, ["brows"])
    assert result.exit_code == 2
    assert "No such command 'brows'" in result.output
