"""`make bench-evasion`: the cases through Towngate, a stock mitmdump and Debian's squid, as README.md."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tests.evasion.cases import ANY_ANSWER, Case, Group, groups, vector_group
from tests.evasion.outside import run_outside
from tests.evasion.proxies import COMPARED, SQUID
from tests.evasion.trying import Outcome

README = Path(__file__).with_name("README.md")
_TABLES = "<!-- from here on written by `make bench-evasion` -->\n"


def main() -> None:
    """Run everything and write the tables; what is above them in README.md stays."""
    data = os.environ.get("TOWNGATE_TEST_DATA")
    if os.geteuid() != 0 or not Path(SQUID).exists() or data is None:
        sys.exit("bench-evasion needs root, Debian's squid-openssl, and TOWNGATE_TEST_DATA")
    with tempfile.TemporaryDirectory(prefix="towngate-evasion-") as name:
        folder = Path(name)
        with tarfile.open(Path(data, "vectors.tar.xz")) as archive:
            archive.extractall(folder, filter="data")
        vectors = folder / "vectors"
        found = outcomes(folder, COMPARED, vectors)
        about = [f"{proxy}: {tried['about']}." for proxy, tried in found.items()]
        tables = written([*groups(), vector_group(vectors)], {p: t["outcomes"] for p, t in found.items()})
    versions = f"mitmdump {_version('mitmdump')}; squid {_version(SQUID)}."
    above = README.read_text().partition(_TABLES)[0]
    README.write_text(above + _TABLES + "\n" + "\n".join([*about, versions, "", *tables]))


def outcomes(
    folder: Path, proxies: Iterable[str], vectors: Path | None, only: str | None = None
) -> dict[str, Any]:
    """Try every case, or those of one kind, through each of these proxies; return what came of them."""
    path = folder / "outcomes.json"
    arguments = [argument for proxy in proxies for argument in ("--proxy", proxy)]
    arguments += ["--vectors", str(vectors)] if vectors else []
    arguments += ["--only", only] if only else []
    done = run_outside("tests.evasion", *arguments, "--json", str(path))
    if done.returncode != 0:
        raise RuntimeError(f"the cases could not be tried:\n{done.stderr}")
    found: dict[str, Any] = json.loads(path.read_text())
    for tried in found.values():
        tried["outcomes"] = {id_: Outcome.of(made) for id_, made in tried["outcomes"].items()}
    return found


def written(found: Iterable[Group], by_proxy: Mapping[str, Mapping[str, Outcome]]) -> list[str]:
    """Return the tables as lines of Markdown, each case a row; of llhttp's the counts alone."""
    lines = []
    for group in found:
        lines += [f"## {group.name}", "", group.about, ""]
        if group.name == "llhttp":
            lines += _counts(group.cases, by_proxy)
        else:
            lines += [f"| case | expected | {' | '.join(by_proxy)} |", "|---" * (2 + len(by_proxy)) + "|"]
            lines += [row(case, [tried[case.id] for tried in by_proxy.values()]) for case in group.cases]
        lines.append("")
    return lines


def row(case: Case, made: Iterable[Outcome]) -> str:
    """Return the row of a case: what must come of it, and what came of it."""
    expected = Outcome(case.answer, case.reached)
    cells = [case.name, _said(case, expected), *(_said(case, outcome) for outcome in made)]
    return f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"


def _said(case: Case, outcome: Outcome) -> str:
    """Say an outcome shortly; in bold where the origin saw what it must not."""
    reached = ", ".join(sorted(outcome.reached)) or "nothing reached"
    if not outcome.reached <= case.reached:
        return f"**{outcome.answer}: {reached}**"
    if outcome.targets and not case.may_be_asked:
        return f"**{outcome.answer}: {reached} was asked**"
    if outcome.ambiguous is not None:
        return f"**two ways: {reached}**"
    if case.answer == ANY_ANSWER:
        return "refused, or read one way" if outcome.answer == ANY_ANSWER else "safe"
    return f"{outcome.answer}: {reached}"


def _counts(cases: Iterable[Case], by_proxy: Mapping[str, Mapping[str, Outcome]]) -> Iterable[str]:
    cases = tuple(cases)
    yield "| proxy | cases | read one way, or refused | forwarded in two ways |"
    yield "|---|---|---|---|"
    for proxy, tried in by_proxy.items():
        safe = sum(tried[case.id].is_safe(case) for case in cases)
        yield f"| {proxy} | {len(cases)} | {safe} | {len(cases) - safe} |"


def _version(program: str) -> str:
    found = shutil.which(program, path=f"{Path(sys.executable).parent}:{os.environ['PATH']}") or program
    said = subprocess.run([found, "--version"], check=True, capture_output=True, text=True).stdout
    return said.splitlines()[0].split()[-1]


if __name__ == "__main__":
    main()
