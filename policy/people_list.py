"""People beside the policy document: a table, as a personnel system or a spreadsheet writes it, or YAML.

id,name,mail,department,kind
clerk,Clerk,clerk@town.example,finance,employee

Columns are found by their names in the first line, in any order; between them is a comma, a semicolon or a
tab, whichever that line has. Every cell is text: "=1+1" is a name like others, and nothing is computed.
"""

import csv
import difflib
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from policy import yaml_tree
from policy.document_value import Findings, Value
from policy.problem import PolicyError, Problem
from policy.town_policy import Person
from policy.yaml_tree import Scalar

COLUMNS = ("id", "name", "mail", "department", "kind")
_DELIMITERS = ",;\t"
_MAX_PEOPLE = 50_000
# A spreadsheet would compute what begins so; an apostrophe before it says that it is text.
_COMPUTED = ("=", "+", "-", "@")


@dataclass(frozen=True, slots=True)
class PeopleList:
    """A list as it was read: `text` is what was written, `root` its people by id, with what was found."""

    text: str
    root: Value

    @property
    def findings(self) -> Findings:
        """What is wrong with it, or strange, so far."""
        return self.root.findings


def read_people_csv(text: str, name: str = "people.csv") -> PeopleList:
    """Read a table of people. Whatever is wrong is in its findings, under the file's name."""
    findings = Findings(name)
    pairs = tuple(_people(text.removeprefix("\ufeff"), findings))
    node = yaml_tree.Mapping(1, 1, pairs, 1 + sum(fields.node_count for _, fields in pairs))
    return PeopleList(text, Value(node, "", findings, 1, 1))


def read_people_yaml(text: str, name: str) -> PeopleList:
    """Read people as policy.yaml has them, with or without `people:` before them.

    Raises PolicyError when it is no YAML.
    """
    try:
        node = yaml_tree.compose(text)
    except PolicyError as error:
        raise PolicyError(tuple(replace(problem, file=name) for problem in error.problems)) from error
    root = Value(node, "", Findings(name), 1, 1)
    if isinstance(node, yaml_tree.Mapping) and len(node.pairs) == 1:
        key, value = node.pairs[0]
        if isinstance(key, Scalar) and key.text == "people" and _holds_mappings(value):
            root = root.fields(required=("people",))["people"]
    return PeopleList(text, root)


def as_csv(people: Mapping[str, Person]) -> str:
    """Return people as a table that `read_people_csv` reads back, by their ids."""
    written = io.StringIO(newline="")
    table = csv.writer(written, lineterminator="\n")
    table.writerow(COLUMNS)
    for id_, person in sorted(people.items()):
        cells = (id_, person.name, person.mail, person.department or "", person.kind.value)
        table.writerow(map(_as_text, cells))
    return written.getvalue()


def _people(text: str, findings: Findings) -> Iterable[tuple[Scalar, yaml_tree.Mapping]]:
    def report(line: int, message: str) -> None:
        findings.problems.append(Problem(line, 1, "", message, findings.file))

    if len(text) > yaml_tree.MAX_BYTES:
        report(1, f"the table has {len(text):,} characters; at most {yaml_tree.MAX_BYTES:,} are read")
        return
    head = text.partition("\n")[0]
    delimiter = max(_DELIMITERS, key=head.count)
    table = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    columns: list[str | None] | None = None
    line, count = 1, 0
    while True:
        line = table.line_num + 1
        try:
            row = next(table, None)
        except csv.Error as error:
            report(line, f"this is no table: {error}")
            return
        if row is None:
            break
        cells = [_cell(cell) for cell in row]
        if not any(cells):
            continue
        if columns is None:
            columns = _columns(cells, line, findings)
            if "id" not in columns:
                return
            continue
        count += 1
        if count > _MAX_PEOPLE:
            report(line, f"more than {_MAX_PEOPLE:,} people")
            return
        if any(cells[len(columns) :]):
            report(
                line, f"{len(cells)} cells, and the first line names {len(columns)}; put quotes round a comma"
            )
            continue
        yield _person(cells, columns, line)
    if columns is None:
        report(1, f"the table is empty; its first line is {','.join(COLUMNS)}")


def _columns(cells: list[str], line: int, findings: Findings) -> list[str | None]:
    found: list[str | None] = []
    for number, cell in enumerate(cells, 1):
        word = cell.lower()
        near = difflib.get_close_matches(word, COLUMNS, n=1)
        if word in found:
            problem = f"{cell!r} is a column twice"
        elif word in COLUMNS:
            found.append(word)
            continue
        elif near:
            problem = f"{cell!r} is not a column (nearest: {near[0]!r})"
        else:
            if cell:
                note = f"the column {cell!r} is not read; read are {', '.join(COLUMNS)}"
                findings.warnings.append(Problem(line, number, "", note, findings.file))
            found.append(None)
            continue
        findings.problems.append(Problem(line, number, "", problem, findings.file))
        found.append(None)
    for needed in ("id", "name"):
        if needed not in found:
            problem = f"the column {needed!r} is missing; the first line names them: {','.join(COLUMNS)}"
            findings.problems.append(Problem(line, 1, "", problem, findings.file))
    return found


def _person(cells: list[str], columns: list[str | None], line: int) -> tuple[Scalar, yaml_tree.Mapping]:
    written = {
        name: Scalar(line, number, cell, is_null=False)
        for number, (name, cell) in enumerate(zip(columns, cells, strict=False), 1)
        if name is not None
    }
    id_ = written.pop("id", Scalar(line, 1, "", is_null=False))
    pairs = tuple(
        (Scalar(line, cell.column, name, is_null=False), cell) for name, cell in written.items() if cell.text
    )
    return id_, yaml_tree.Mapping(line, 1, pairs, 1 + 2 * len(pairs))


def _holds_mappings(node: yaml_tree.Node) -> bool:
    return isinstance(node, yaml_tree.Mapping) and all(
        isinstance(value, yaml_tree.Mapping) for _, value in node.pairs
    )


def _cell(text: str) -> str:
    cell = text.strip()
    return cell[1:] if cell[:1] == "'" and cell[1:].startswith(_COMPUTED) else cell


def _as_text(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_COMPUTED) else cell
