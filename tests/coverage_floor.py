"""Each package that is measured reaches the floor by itself (pyproject.toml: coverage's fail_under).

A pytest plugin, beside pytest-cov, which holds only their total to it. One well-covered package
must not hide a bad one.
"""

import io
from collections.abc import Generator

import pytest

_BELOW = pytest.StashKey[list[str]]()


# Around pytest-cov's own wrapper: by then it has stopped measuring and combined what was measured.
@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> Generator[None, object, object]:
    result = yield
    plugin = session.config.pluginmanager.get_plugin("_cov")
    # Of several processes, each knows only what it ran itself, and the one that started them knows all.
    if plugin is None or plugin.cov_controller is None or hasattr(session.config, "workerinput"):
        return result
    measured = plugin.cov_controller.cov
    floor = measured.get_option("report:fail_under")
    below = session.config.stash.setdefault(_BELOW, [])
    for package in measured.get_option("run:source"):
        percent = measured.report(include=[f"{package}/*"], file=io.StringIO())
        if percent < floor:
            below.append(f"{package}: {percent:.2f} % of its lines are run by tests, {floor:g} % are needed")
    session.testsfailed += len(below)
    return result


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for line in config.stash.get(_BELOW, []):
        terminalreporter.write_line(f"ERROR: {line}", red=True, bold=True)
