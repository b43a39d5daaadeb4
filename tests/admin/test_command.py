"""The command line as others script it: help, examples, options and exit codes."""

import subprocess
import sys
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


def test_list_of_commands_cuts_no_sentence_and_each_has_a_line() -> None:
    groups = {words.rpartition(" ")[0] for words in COMMANDS}
    for words in map(str.split, groups):
        shown = CliRunner().invoke(cli, [*words, "--help"]).output.partition("Commands:")[2]
        assert shown and "..." not in shown, words
    lines = CliRunner().invoke(cli, ["--help"]).output.partition("Commands:\n")[2].splitlines()
    assert [line.split()[0] for line in lines] == cli.list_commands(click.Context(cli)), "a line each"


def test_help_and_version_need_nothing_of_what_a_proxy_host_lacks() -> None:
    lacked = ("starlette", "uvicorn", "httpx", "authlib")
    program = f"import sys; sys.modules.update(dict.fromkeys({lacked})); from admin.command import cli; cli()"
    for option in ("--help", "--version"):
        words = [sys.executable, "-c", program, option]
        done = subprocess.run(words, check=False, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", sorted(COMMANDS.keys() - _WITHOUT_JSON))
def test_a_command_that_prints_data_can_print_json(name: str) -> None:
    assert any("--json" in option.opts for option in COMMANDS[name].params)


def test_a_word_that_is_no_command_is_exit_code_2() -> None:
    result = CliRunner().invoke(cli, ["brows"])
    assert result.exit_code == 2
    assert "No such command 'brows'" in result.output
