"""What a test needs and this machine lacks: skipped by name here, a failure in CI (CI=true).

A pytest plugin. `@pytest.mark.needs("chromium")` on a test, or `require("chromium")` in a fixture.
In CI nothing at all is skipped: a missing part must not look like a passing run.
"""

import os
import shutil
from collections.abc import Generator

import pytest


def require(*programs: str) -> None:
    """Skip the test that asks, unless each of these programs is installed."""
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        pytest.skip(f"needs {' and '.join(missing)}: make test-setup installs it")


def require_root(what_for: str) -> None:
    """Skip the test that asks, unless root runs it. `what_for`: "boots systemd in namespaces"."""
    if os.geteuid() != 0:
        pytest.skip(f"needs root: it {what_for}")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark in item.iter_markers("needs"):
        require(*mark.args)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    # A test that is expected to fail, and did, is reported as skipped too.
    if not hasattr(report, "wasxfail"):
        _fail_in_ci(report)
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _fail_in_ci(report)
    return report


def _fail_in_ci(report: pytest.TestReport | pytest.CollectReport) -> None:
    if report.skipped and os.environ.get("CI") == "true":
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        report.outcome = "failed"
        report.longrepr = f"{reason}\nIn CI nothing is skipped: what is missing must be there."
