"""What people write into a form, tidied."""

from admin.asking import MAX_REASON_LENGTH, InvalidRequestError


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
