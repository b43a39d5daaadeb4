"""What is wrong with a policy document, and where: all of it at once."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing wrong. `line` and `column` count from 1; `place` is like "rules[3].categories[0]".

    `file` is "" for the document itself, and the name of one that is read with it.

    `message` says what is wrong and, where there is one, names the nearest valid word.
    """

    line: int
    column: int
    place: str
    message: str
    file: str = ""

    def __str__(self) -> str:
        where = f"line {self.line}: {self.place}" if self.place else f"line {self.line}"
        return f"{where}: {self.message}"

    def in_file(self, name: str) -> str:
        """Return it with its file before it: `name`, unless it is of another one."""
        return f"{self.file or name}: {self}"


class PolicyError(Exception):
    """A policy document cannot be used; the policy in force stays. `problems` is never empty."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems
