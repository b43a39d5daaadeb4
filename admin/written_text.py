"""What people write into a form, tidied; and as it goes into a table."""

from admin.asking import MAX_REASON_LENGTH, InvalidRequestError

# A cell that begins with one of these is a formula to a spreadsheet.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def tidy_text(field: str, text: str, when_empty: str) -> str:
    """Return the text of a field: browsers send CRLF, and nobody means control characters.

    Raises InvalidRequestError, with the words `when_empty` where nothing is left.
    """
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    tidy = "".join(c for c in lines if c == "\n" or c.isprintable()).strip()
    if not tidy:
        raise InvalidRequestError(field, when_empty)
    if len(tidy) > MAX_REASON_LENGTH:
        raise InvalidRequestError(field, f"Use {MAX_REASON_LENGTH} characters at most; this has {len(tidy)}")
    return tidy


def one_line(text: str) -> str:
    """Return a text in one line, without what nobody can see: control characters, marks of direction."""
    return " ".join("".join(c for c in text if c.isspace() or c.isprintable()).split())


def as_cell(text: str) -> str:
    """Return a cell of a table: an apostrophe stands before what a spreadsheet would take for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text
