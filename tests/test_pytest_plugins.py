"""Missing parts, coverage's floor, long files and the real data, each tried in a pytest run of its own."""

import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

type Run = Callable[..., pytest.RunResult]

NEEDS_WHAT_NO_ONE_HAS = """
import pytest

@pytest.mark.needs("sh", "towngate-missing-program")
def test_with_a_program(): ...

def test_with_data(test_data):
    test_data("ut1")

@pytest.mark.xfail(strict=True)
def test_that_is_expected_to_fail():
    assert False
"""
CONFIGURATION = """
[tool.pytest.ini_options]
markers = ["needs(*programs)", "long"]

[tool.coverage.run]
source = ["good", "bad"]

[tool.coverage.report]
fail_under = 60
"""


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that runs pytest with our plugins, on a workstation without the real data."""
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.delenv("TOWNGATE_TEST_DATA", raising=False)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent.parent))
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyprojecttoml(CONFIGURATION)
    ours = ("missing_parts", "coverage_floor", "long_files", "real_data")
    plugins = ("xdist.plugin", "pytest_cov", *(f"tests.{name}" for name in ours))
    options = [option for plugin in plugins for option in ("-p", plugin)]

    def run_pytest(*arguments: str) -> pytest.RunResult:
        return pytester.runpytest_subprocess(*options, "-ra", *arguments)

    return run_pytest


def test_missing_parts_are_skipped_by_name(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile(NEEDS_WHAT_NO_ONE_HAS)

    result = run()

    result.assert_outcomes(skipped=2, xfailed=1)
    result.stdout.fnmatch_lines(
        [
            "SKIPPED*needs towngate-missing-program: make test-setup installs it",
            "SKIPPED*needs the real data: TOWNGATE_TEST_DATA names the folder of ut1.tar.xz",
        ]
    )


@pytest.mark.parametrize("processes", [0, 2])
def test_missing_parts_fail_in_ci(
    processes: int, pytester: pytest.Pytester, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    pytester.makepyfile(NEEDS_WHAT_NO_ONE_HAS)

    result = run(f"--numprocesses={processes}")

    result.assert_outcomes(errors=1, failed=1, xfailed=1)
    result.stdout.fnmatch_lines(["*needs towngate-missing-program*", "In CI nothing is skipped*"])


def test_module_that_skips_itself_fails_in_ci(
    pytester: pytest.Pytester, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    pytester.makepyfile("import pytest\n\npytest.importorskip('towngate_missing_module')\n")

    result = run()

    result.assert_outcomes(errors=1)


@pytest.mark.parametrize("processes", [0, 2])
def test_package_below_the_floor_fails_the_run_and_is_named(
    processes: int, pytester: pytest.Pytester, run: Run
) -> None:
    pytester.mkpydir("good").joinpath("counting.py").write_text("number = 1\n" * 90)
    pytester.mkpydir("bad").joinpath("counting.py").write_text("def never():\n" + "    number = 1\n" * 9)
    pytester.makepyfile("def test_good():\n    import good.counting\n    import bad.counting\n")

    measured = run("--cov=good", "--cov=bad", "--cov-report=", f"--numprocesses={processes}")
    unmeasured = run()

    assert measured.ret == pytest.ExitCode.TESTS_FAILED
    measured.stdout.fnmatch_lines(
        ["ERROR: bad: 10.00 % of its lines are run by tests, 60 % are needed", "*1 passed in*"]
    )
    measured.stdout.no_fnmatch_line("ERROR: good*")
    assert unmeasured.ret == pytest.ExitCode.OK


def test_run_on_several_cores_begins_with_the_long_files_and_one_by_one_keeps_their_order(
    pytester: pytest.Pytester, run: Run
) -> None:
    quick = "import pytest\n\n@pytest.mark.parametrize('n', range(9))\ndef test_quick(n): ...\n"
    long = (
        "import pytest\n\npytestmark = pytest.mark.long\n\ndef test_first(): ...\n\ndef test_second(): ...\n"
    )
    pytester.makepyfile(test_a=quick, test_b=quick, test_c=long)

    # One process beside the one that gives out the work: the order in which it is given out.
    several = run("-v", "--numprocesses=1", "--dist=loadfile", "--no-loadscope-reorder")
    one = run("-v")

    several.stdout.fnmatch_lines(
        ["*PASSED test_c.py::test_first *", "*PASSED test_c.py::test_second *", "*PASSED test_a.py::*"]
    )
    one.stdout.fnmatch_lines(["test_a.py::*", "test_b.py::*", "test_c.py::test_first *"])


def test_archive_is_unpacked_once_and_anew_when_it_changes(
    pytester: pytest.Pytester, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TOWNGATE_TEST_DATA", str(tmp_path))
    pytester.makepyfile(
        """
        def test_data_is_there(test_data):
            assert (test_data("ut1") / "domains").read_text() == "first"
        """
    )
    kept = pytester.path / ".pytest_cache" / "d" / "test-data"

    pack(tmp_path, "first")
    run().assert_outcomes(passed=1)
    run().assert_outcomes(passed=1)
    assert len(list(kept.iterdir())) == 1

    pack(tmp_path, "second, and longer")
    run().assert_outcomes(failed=1)
    assert len(list(kept.iterdir())) == 2


def pack(folder: Path, text: str) -> None:
    (folder / "ut1").mkdir(exist_ok=True)
    (folder / "ut1" / "domains").write_text(text)
    with tarfile.open(folder / "ut1.tar.xz", "w:xz") as tar:
        tar.add(folder / "ut1", "ut1")
