"""The table of origin servers in README.md is what is tested."""

from pathlib import Path

from tests.tls.origin_cases import CASES

_README = Path(__file__).with_name("README.md")


def test_table_of_the_readme_has_every_case_and_no_other() -> None:
    rows = [
        f"| `{case.id}` | {case.says} | {f'refused: {case.refused.value}' if case.refused else 'taken'} |"
        for case in CASES
    ]

    assert [line for line in _README.read_text().splitlines() if line.startswith("| `")] == rows
