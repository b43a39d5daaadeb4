"""deploy/README.md: names what is there, and says commands that exist."""

import re
from pathlib import Path

import click
import pytest

from admin.command import cli
from admin.state_folder import StateFolder

DEPLOY = Path(__file__).parents[2] / "deploy"
PAGES = [DEPLOY / "README.md", DEPLOY / "pac" / "README.md", *sorted((DEPLOY / "ca-rollout").glob("*.md"))]


def test_every_folder_is_named() -> None:
    text = PAGES[0].read_text()
    assert [path.name for path in DEPLOY.iterdir() if path.is_dir() and f"`{path.name}/`" not in text] == []


def test_rights_say_of_each_file_beside_the_folders_that_root_writes_it() -> None:
    state = StateFolder(Path("/var/lib/towngate"))
    rights = PAGES[0].read_text().partition("| below /var/lib/towngate |")[2].partition("\n\n")[0]
    for path in (state.policy_document, state.people_list, state.settings_document):
        line = next(line for line in rights.splitlines() if f"`{path.name}`" in line)
        assert "root writes" in line


@pytest.mark.parametrize("page", PAGES, ids=lambda page: f"{page.parent.name}/{page.name}")
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)]+)\)", page.read_text()):
        assert (page.parent / link).exists(), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: f"{page.parent.name}/{page.name}")
def test_files_to_install_are_there(page: Path) -> None:
    for name in re.findall(r"\bdeploy/[\w./*-]+\w", page.read_text()):
        assert list(DEPLOY.parent.glob(name)), name


@pytest.mark.parametrize(
    "page", [*PAGES, DEPLOY / "prometheus" / "towngate-alerts.yml"], ids=lambda p: p.name
)
def test_commands_of_towngate_exist(page: Path) -> None:
    for words in re.findall(r"(?:`|^    |-- )towngate ([a-z][\w .:/=-]*)", page.read_text(), re.MULTILINE):
        command: click.Command = cli
        for word in words.split():
            if not isinstance(command, click.Group):
                break
            found = command.get_command(click.Context(command), word)
            assert found is not None, words
            command = found
        known = {option for parameter in command.params for option in parameter.opts}
        assert set(re.findall(r"--[a-z-]+", words)) <= known, words
