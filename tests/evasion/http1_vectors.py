"""llhttp's request cases, read from its own Markdown: bytes as they come on the wire."""

import re
from collections.abc import Iterator
from pathlib import Path

_CASE = re.compile(r"^#+ (?P<title>[^\n]+)\n(?P<text>.*?)(?=^#+ |\Z)", re.M | re.S)
_MESSAGE = re.compile(r"^```(?:http|url)\n(.*?)^```", re.M | re.S)
_TARGET = re.compile(rb"^([A-Z]+) (/[^ \r\n]*)", re.M)


def request_vectors(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield every request case as its name and its bytes, the targets made absolute for library.example.

    In llhttp's notation a line ends in CRLF unless a backslash hides its end; "\\r", "\\n", "\\t",
    "\\f" and "\\xNN" are escapes.
    """
    for path in sorted((folder / "http1" / "conf-llhttp" / "test" / "request").glob("*.md")):
        text = path.read_text()
        for number, found in enumerate(_CASE.finditer(text), start=1):
            for message in _MESSAGE.findall(found["text"]):
                absolute = _TARGET.sub(rb"\1 http://library.example\2", _on_the_wire(message))
                yield f"{path.stem} {number}, {found['title']}", absolute


def _on_the_wire(message: str) -> bytes:
    text = message.removesuffix("\n")
    text = text.replace("\\\n", "").replace("\n", "\r\n")
    escapes = {"\\r": "\r", "\\n": "\n", "\\t": "\t", "\\f": "\f"}
    text = re.sub(r"\\([rntf])", lambda m: escapes[m.group()], text)
    text = re.sub(r"\\x([0-9a-fA-F]{2})", lambda m: chr(int(m[1], 16)), text)
    return text.encode("latin-1", "replace")
