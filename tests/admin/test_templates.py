"""Templates are those of the version that runs, whatever is installed meanwhile."""

from pathlib import Path

import pytest

from admin.templates import environment


def install(folder: Path, page: str, part: str) -> None:
    """Write a package's templates, as an installation over it does."""
    (folder / "page.html").write_text(page)
    (folder / "part.html").write_text(part)


def test_templates_that_are_installed_over_a_running_admin_count_from_the_next_start_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "town_pages/templates"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    install(folder, '{{ name }}, {% include "part.html" %}', "of {{ town }}")
    running = environment("town_pages", autoescape=True)
    assert running.get_template("part.html").render(town="<Exampleton>") == "of &lt;Exampleton&gt;"
    install(folder, "{{ what_the_old_code_has_not }}", "{{ nor_this }}")
    shown = running.get_template("page.html").render(name="Clerk", town="Exampleton")
    assert shown == "Clerk, of Exampleton", "neither one that was used before, nor one that was not"
    started_again = environment("town_pages", autoescape=False)
    assert started_again.get_template("part.html").render(nor_this="<new>") == "<new>"
