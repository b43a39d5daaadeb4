"""people.csv beside policy.yaml: read as bytes that a spreadsheet may have written."""

import codecs
from pathlib import Path

from policy.people_list import PeopleList, read_people_csv, read_people_yaml
from policy.problem import PolicyError, Problem

_YAML = (".yaml", ".yml")


def read_people(path: Path) -> PeopleList | None:
    """Return the list in a file, None where there is no such file.

    Raises OSError, and PolicyError when it is no text.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    return people_in(data, path.name)


def people_in(data: bytes, name: str) -> PeopleList:
    """Return the list in a file's bytes: YAML where its name says so, else a table.

    Raises PolicyError when it is no text, or no YAML.
    """
    return people_in_text(_text(data, name), name)


def people_in_text(text: str, name: str) -> PeopleList:
    """Return the list in a file's text, as `people_in`. Raises PolicyError when it is no YAML."""
    return read_people_yaml(text, name) if Path(name).suffix in _YAML else read_people_csv(text, name)


def _text(data: bytes, name: str) -> str:
    # What Excel calls Unicode text; its UTF-8 begins with a mark, too.
    is_wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return data.decode("utf-16" if is_wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        message = "this is not UTF-8 text; save the file as UTF-8 (in Excel: CSV UTF-8)"
        raise PolicyError((Problem(line, 1, "", message, name),)) from error
